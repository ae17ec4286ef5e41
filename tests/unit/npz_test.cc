// NumPy's archives; tests/statistics_test.py compares them with NumPy.
#include "common/files/npz.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

std::string some_file() {
  return npz_bytes({{"mu", {{3}, {1, -2.5, 3e300}}},
                    {"sigma", {{2, 3}, {1, 2, 3, 4, 5, 6}}}});
}

}  // namespace

TEST_CASE("arrays come out of an archive as they went in") {
  const TemporaryDirectory folder;
  write_text(folder / "a.npz", some_file());
  const auto mu = read_npz(folder / "a.npz", "mu");
  REQUIRE(mu);
  CHECK(mu->dims == std::vector<std::uint64_t>{3});
  CHECK(mu->values == std::vector<double>{1, -2.5, 3e300});
  const auto sigma = read_npz(folder / "a.npz", "sigma");
  REQUIRE(sigma);
  CHECK(sigma->dims == std::vector<std::uint64_t>{2, 3});
  CHECK(sigma->values.back() == 6);
  const auto none = read_npz(folder / "a.npz", "other");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::kData);
  CHECK(none.error().message.find("'other' is not in it") != std::string::npos);
}

TEST_CASE("an archive that is damaged anywhere is refused, or reads the same") {
  const TemporaryDirectory folder;
  const std::string whole = some_file();
  const auto read = [&](const std::string& bytes) {
    write_text(folder / "b.npz", bytes);
    return read_npz(folder / "b.npz", "sigma");
  };
  const std::vector<double> values = read(whole)->values;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    CHECK_FALSE(read(whole.substr(0, i)));
    for (const int bit : {0, 3, 7}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      const auto array = read(bytes);
      if (array) CHECK(array->values == values);
    }
  }
}

}  // namespace mdgan::test
