#include "common/tensor/blob.h"

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

Blob view(std::span<const float> values) {
  return {{protocol::DType::kFloat32, {values.size()}},
          std::as_bytes(values),
          nullptr};
}

TEST_CASE("a copied blob has its own aligned bytes", "[blob]") {
  const auto n = GENERATE(0U, 1U, 17U);
  std::vector<float> values(n, 2.5F);
  const Blob blob = copy_blob({protocol::DType::kFloat32, {n}},
                              std::as_bytes(std::span(values)));
  std::fill(values.begin(), values.end(), 0.0F);
  REQUIRE(blob.bytes.size() == n * sizeof(float));
  CHECK(reinterpret_cast<std::uintptr_t>(blob.bytes.data()) % 64 == 0);
  CHECK(blob.meta.dims == std::vector<std::uint64_t>{n});
  for (std::size_t i = 0; i < n; ++i) {
    std::array<std::byte, sizeof(float)> bytes{};
    std::copy_n(blob.bytes.begin() + static_cast<std::ptrdiff_t>(4 * i), 4,
                bytes.begin());
    CHECK(std::bit_cast<float>(bytes) == 2.5F);
  }
}

TEST_CASE("a blob's bytes live as long as any copy of it", "[blob]") {
  Blob kept;
  {
    const std::array<float, 2> values{1, 2};
    const Blob first = copy_blob({protocol::DType::kFloat32, {2}},
                                 std::as_bytes(std::span(values)));
    kept = first;
  }
  CHECK(kept.owner.use_count() == 1);
  CHECK(is_finite(kept));
}

TEST_CASE("all finite numbers are finite", "[blob]") {
  using Limits = std::numeric_limits<float>;
  CHECK(is_finite(view({})));
  const std::vector<float> values{0.0F,
                                  -0.0F,
                                  1.0F,
                                  Limits::max(),
                                  Limits::lowest(),
                                  Limits::min(),
                                  Limits::denorm_min()};
  CHECK(is_finite(view(values)));
}

TEST_CASE("one number that is not finite is found anywhere", "[blob]") {
  using Limits = std::numeric_limits<float>;
  const auto bad =
      GENERATE(Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
               -Limits::quiet_NaN(), std::bit_cast<float>(0x7F800001U),
               std::bit_cast<float>(0xFFFFFFFFU));
  std::vector<float> values(37, 1.0F);
  for (float& value : values) {
    value = bad;
    CHECK_FALSE(is_finite(view(values)));
    value = 1.0F;
  }
  CHECK(is_finite(view(values)));
}

TEST_CASE("a number beyond the limit is found anywhere", "[blob]") {
  const auto bad =
      GENERATE(1.1F, -1.1F, 1e30F, std::numeric_limits<float>::quiet_NaN(),
               -std::numeric_limits<float>::infinity());
  std::vector<float> values(37, 1.0F);
  values[1] = -1.0F;
  CHECK(is_within(view(values), 1.0F));
  for (float& value : values) {
    value = bad;
    CHECK_FALSE(is_within(view(values), 1.0F));
    value = 1.0F;
  }
}

}  // namespace
}  // namespace mdgan::test
