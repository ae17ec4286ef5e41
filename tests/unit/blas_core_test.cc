#include "common/tensor/blas_core.h"

#include <cstdlib>
#include <string>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

constexpr ProcessorFeatures kOld{};
constexpr ProcessorFeatures kAvx2{.avx2 = true};
constexpr ProcessorFeatures kAmdAvx2{.amd = true, .avx2 = true};
constexpr ProcessorFeatures kAvx512{.avx2 = true, .avx512 = true};
constexpr ProcessorFeatures kBf16{
    .avx2 = true, .avx512 = true, .avx512_bf16 = true};

}  // namespace

TEST_CASE("Kernels narrower than the processor are replaced", "[unit]") {
  CHECK(better_blas_core(kAvx2, "Prescott") == "Haswell");
  CHECK(better_blas_core(kAvx2, "Sandybridge") == "Haswell");
  CHECK(better_blas_core(kAmdAvx2, "Barcelona") == "Zen");
  CHECK(better_blas_core(kAvx512, "Prescott") == "SkylakeX");
  CHECK(better_blas_core(kAvx512, "Haswell") == "SkylakeX");
  CHECK(better_blas_core(kAvx512, "Zen") == "SkylakeX");
  CHECK(better_blas_core(kBf16, "Prescott") == "Cooperlake");
  CHECK(better_blas_core(kBf16, "Zen") == "Cooperlake");
}

TEST_CASE("Kernels that suit the processor stay", "[unit]") {
  CHECK(better_blas_core(kOld, "Prescott").empty());
  CHECK(better_blas_core(kOld, "Nehalem").empty());
  CHECK(better_blas_core(kAvx2, "Haswell").empty());
  CHECK(better_blas_core(kAmdAvx2, "Zen").empty());
  CHECK(better_blas_core(kAmdAvx2, "Haswell").empty());
  CHECK(better_blas_core(kAvx512, "SkylakeX").empty());
  CHECK(better_blas_core(kBf16, "Cooperlake").empty());
  CHECK(better_blas_core(kBf16, "SkylakeX").empty());
}

TEST_CASE("Kernels this program does not know are left alone", "[unit]") {
  CHECK(better_blas_core(kBf16, "Sapphirerapids").empty());
  CHECK(better_blas_core(kBf16, "Zen9").empty());
  CHECK(better_blas_core(kBf16, "neoversen1").empty());
  CHECK(better_blas_core(kBf16, "").empty());  // not OpenBLAS
}

TEST_CASE("cuBLAS is told where to compute, unless the user has told it") {
  constexpr const char* kName = "CUBLAS_WORKSPACE_CONFIG";
  ::unsetenv(kName);
  fix_cublas_workspace();
  CHECK(std::string(std::getenv(kName)) == ":4096:8");
  ::setenv(kName, ":16:8", 1);
  fix_cublas_workspace();
  CHECK(std::string(std::getenv(kName)) == ":16:8");
  ::unsetenv(kName);
}

}  // namespace mdgan::test
