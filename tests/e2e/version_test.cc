// What the programs say of the libraries they run on.
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

TEST_CASE("the user's choice of OpenBLAS kernels wins over the program's") {
  const TemporaryDirectory directory;
  for (const char* program : {MDGAN_SERVER, MDGAN_PEER}) {
    ChildProcess child(
        {"/usr/bin/env", "OPENBLAS_CORETYPE=Prescott", program, "--version"},
        directory / "version");
    REQUIRE(child.wait() == 0);
    const std::string text = child.output();
    INFO(text);
    CHECK(text.find("BLAS: ") != std::string::npos);
    CHECK(text.find("chosen by this program") == std::string::npos);
#if defined(__x86_64__)
    if (text.find("DYNAMIC_ARCH") != std::string::npos)
      CHECK(text.find("kernels for Prescott") != std::string::npos);
#endif
  }
}

TEST_CASE("without the user's choice a program starts, with what suits it") {
  const TemporaryDirectory directory;
  for (const char* program : {MDGAN_SERVER, MDGAN_PEER}) {
    ChildProcess child({"/usr/bin/env", "-u", "OPENBLAS_CORETYPE", "-u",
                        "MDGAN_BLAS_CORE", program, "--version"},
                       directory / "version");
    REQUIRE(child.wait() == 0);
    CHECK(child.output().find("BLAS: ") != std::string::npos);
  }
}

}  // namespace mdgan::test
