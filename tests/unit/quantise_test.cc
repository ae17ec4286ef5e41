// Small forms of tensors: how far they are from the truth, and that they are
// right in the mean.
#include "common/tensor/quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/random.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Blob blob_of(const std::vector<float>& values, std::uint64_t rows = 1) {
  return copy_blob({protocol::DType::kFloat32, {rows, values.size() / rows}},
                   std::as_bytes(std::span(values)));
}

template <typename T>
std::vector<T> values_of(const Blob& blob) {
  std::vector<T> values(blob.bytes.size() / sizeof(T));
  std::memcpy(values.data(), blob.bytes.data(), blob.bytes.size());
  return values;
}

std::vector<float> decoded(const ScaledInt8& packed) {
  std::vector<float> sum(packed.values.bytes.size(), 0.0F);
  add_to(sum, packed.values, packed.scales);
  return sum;
}

// Normally distributed, of very different sizes from sample to sample.
std::vector<float> feedback_like(std::uint64_t seed, std::size_t rows,
                                 std::size_t each) {
  Random random(seed, Purpose::kSimulation);
  std::vector<float> values(rows * each);
  random.fill_normal(values);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] *= std::pow(10.0F, -static_cast<float>(i / each));
  return values;
}

float largest_of(const std::vector<float>& values, std::size_t row,
                 std::size_t each) {
  float largest = 0;
  for (std::size_t i = row * each; i < (row + 1) * each; ++i)
    largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

}  // namespace

TEST_CASE("images as bytes are within 1/255 of themselves", "[quantise]") {
  std::vector<float> values;
  for (int i = -10'000; i <= 10'000; ++i)
    values.push_back(static_cast<float>(i) / 10'000.0F);
  const Blob packed = images_to_uint8(blob_of(values));
  CHECK(packed.meta.dtype == protocol::DType::kUint8);
  CHECK(packed.meta.dims == std::vector<std::uint64_t>{1, values.size()});
  const auto back = values_of<float>(images_from_uint8(packed));
  REQUIRE(back.size() == values.size());
  float worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::fabs(back[i] - values[i]));
  CHECK(worst <= 1.0F / 255.0F + 1e-6F);
  CHECK(worst > 0.9F / 255.0F);
}

TEST_CASE("every byte is an image value that comes back as that byte",
          "[quantise]") {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  const Blob images = images_from_uint8(copy_blob(
      {protocol::DType::kUint8, {256}}, std::as_bytes(std::span(bytes))));
  const auto floats = values_of<float>(images);
  CHECK(floats.front() == -1.0F);
  CHECK(floats.back() == 1.0F);
  for (std::size_t i = 0; i < 256; ++i)
    CHECK(floats[i] == static_cast<float>(i) / 127.5F - 1.0F);
  CHECK(values_of<std::uint8_t>(images_to_uint8(images)) == bytes);
}

TEST_CASE("image values outside [-1, 1] are clamped, NaN is black",
          "[quantise]") {
  const Blob packed = images_to_uint8(
      blob_of({-1.5F, 1.5F, -kInfinity, kInfinity, 1e30F, kNan, -0.0F}));
  CHECK(values_of<std::uint8_t>(packed) ==
        std::vector<std::uint8_t>{0, 255, 0, 255, 255, 0, 128});
}

TEST_CASE("bfloat16 is within 2^-8 of a number's magnitude", "[quantise]") {
  Random random(11, Purpose::kSimulation);
  std::vector<float> values;
  while (values.size() < 20'001) {
    const auto value = std::bit_cast<float>(random.next());
    if (std::isnormal(value) && std::fabs(value) < 3.38e38F)
      values.push_back(value);
  }
  const Blob packed = to_bfloat16(blob_of(values));
  CHECK(packed.meta.dtype == protocol::DType::kBfloat16);
  CHECK(packed.bytes.size() == 2 * values.size());
  const auto back = values_of<float>(from_bfloat16(packed));
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::fabs(double{back[i]} / values[i] - 1.0));
  CHECK(worst <= 0x1p-8);
  CHECK(worst > 0.9 * 0x1p-8);
  CHECK(values_of<float>(from_bfloat16(to_bfloat16(blob_of(back)))) == back);
}

TEST_CASE("bfloat16 rounds ties to even and keeps what is not finite",
          "[quantise]") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float huge = std::numeric_limits<float>::max();
  const auto back = values_of<float>(from_bfloat16(to_bfloat16(
      blob_of({1.0F + 0x1p-8F, 1.0F + 0x3p-8F, -1.0F - 0x1p-8F, 0.0F, -0.0F,
               kInfinity, -kInfinity, huge, -huge, tiny, 0x1p-130F}))));
  CHECK(back == std::vector<float>{1.0F, 1.0F + 0x1p-6F, -1.0F, 0.0F, -0.0F,
                                   kInfinity, -kInfinity, kInfinity, -kInfinity,
                                   0.0F, 0x1p-130F});
  CHECK(std::signbit(back[4]));
  std::vector<float> nans;
  for (const std::uint32_t bits :
       {0x7F800001U, 0x7FFFFFFFU, 0xFF800001U, 0xFFFFFFFFU, 0x7FC00000U})
    nans.push_back(std::bit_cast<float>(bits));
  for (const float value :
       values_of<float>(from_bfloat16(to_bfloat16(blob_of(nans)))))
    CHECK(std::isnan(value));
}

TEST_CASE("int8 is within a 127th of the sample's largest magnitude",
          "[quantise]") {
  const std::size_t each = 1001;  // no multiple of any vector's length
  const auto values = feedback_like(12, 10, each);
  const Blob samples = blob_of(values, 10);
  for (std::uint64_t key = 0; key < 20; ++key) {
    const ScaledInt8 packed = to_int8(samples, key);
    REQUIRE(packed.values.meta ==
            protocol::TensorMeta{protocol::DType::kInt8, {10, each}});
    REQUIRE(packed.scales.meta ==
            protocol::TensorMeta{protocol::DType::kFloat32, {10}});
    const auto back = decoded(packed);
    const auto scales = values_of<float>(packed.scales);
    for (std::size_t row = 0; row < 10; ++row) {
      const float largest = largest_of(values, row, each);
      CHECK(scales[row] == largest / 127);
      float worst = 0;
      for (std::size_t i = row * each; i < (row + 1) * each; ++i)
        worst = std::max(worst, std::fabs(back[i] - values[i]));
      CHECK(worst <= largest / 127 * 1.00001F);
      CHECK(worst > largest / 127 * 0.9F);
    }
    for (const std::int8_t value : values_of<std::int8_t>(packed.values))
      REQUIRE(value >= -127);
  }
}

TEST_CASE("int8 is right in the mean", "[quantise]") {
  const std::uint64_t seed = 13;
  INFO("seed " << seed);
  constexpr std::size_t kEach = 500;
  constexpr int kTimes = 4000;
  const auto values = feedback_like(seed, 2, kEach);
  const Blob samples = blob_of(values, 2);
  const double steps_of[] = {largest_of(values, 0, kEach) / 127.0,
                             largest_of(values, 1, kEach) / 127.0};
  std::vector<double> mean(values.size(), 0.0);
  Random keys(seed, Purpose::kFeedbackRounding);
  double squares = 0;  // of the error summed over a tensor, in steps
  for (int t = 0; t < kTimes; ++t) {
    const auto back = decoded(to_int8(samples, keys.next64()));
    double sum = 0;
    for (std::size_t i = 0; i < back.size(); ++i) {
      mean[i] += back[i] / double{kTimes};
      sum += (double{back[i]} - values[i]) / steps_of[i / kEach];
    }
    squares += sum * sum / kTimes;
  }
  // A value between two steps is off by at most half a step's standard
  // deviation: over 4000 draws 0.0079 of a step, six of which a thousand values
  // exceed once in half a million.
  double variance = 0;  // of the error of a tensor's sum, if independent
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double step = steps_of[i / kEach];
    const double steps = values[i] / step;
    const double part = steps - std::floor(steps);
    variance += part * (1 - part);
    INFO("value " << i);
    REQUIRE(std::fabs(mean[i] - values[i]) <
            6 * 0.5 / std::sqrt(double{kTimes}) * step);
  }
  // The places' draws do not go together: errors cancel in the sum as
  // independent ones do. The ratio's standard deviation is sqrt(2 / 4000).
  CHECK(squares / variance == Approx(1.0).margin(6 * std::sqrt(2.0 / kTimes)));
}

TEST_CASE("the same key gives the same rounding, another one another",
          "[quantise]") {
  const Blob samples = blob_of(feedback_like(14, 2, 300), 2);
  const auto first = values_of<std::int8_t>(to_int8(samples, 5).values);
  CHECK(values_of<std::int8_t>(to_int8(samples, 5).values) == first);
  for (const std::uint64_t other : {std::uint64_t{6}, std::uint64_t{5} << 32})
    CHECK(values_of<std::int8_t>(to_int8(samples, other).values) != first);
}

TEST_CASE("a sample of zeros or next to it is zeros with scale 0",
          "[quantise]") {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const ScaledInt8 packed =
      to_int8(blob_of({0.0F, -0.0F, tiny, -1e-37F, 1e-36F, -1e-30F}, 3), 1);
  const auto scales = values_of<float>(packed.scales);
  CHECK(scales[0] == 0.0F);
  CHECK(scales[1] == 0.0F);
  CHECK(scales[2] == 1e-30F / 127);
  const auto back = decoded(packed);
  for (std::size_t i = 0; i < 4; ++i) CHECK(back[i] == 0.0F);
  CHECK(back[5] == Approx(-1e-30F));
}

TEST_CASE("a sample that is not finite is marked, the others are not touched",
          "[quantise]") {
  const ScaledInt8 packed =
      to_int8(blob_of({1.0F, kNan, -kInfinity, 2.0F, 0.5F, -0.25F}, 3), 1);
  const auto scales = values_of<float>(packed.scales);
  CHECK(std::isnan(scales[0]));
  CHECK(std::isnan(scales[1]));
  CHECK(scales[2] == 0.5F / 127);
  CHECK(decoded(packed)[4] == Approx(0.5F));
  CHECK_FALSE(is_within(packed.scales, 1e30F));
}

TEST_CASE("magnitudes near float32's largest survive int8", "[quantise]") {
  const float huge = 0.999F * std::numeric_limits<float>::max();
  const auto back = decoded(to_int8(blob_of({huge, -huge, 0.0F}), 3));
  CHECK(back[0] == Approx(huge).epsilon(1e-5));
  CHECK(back[1] == Approx(-huge).epsilon(1e-5));
  CHECK(back[2] == 0.0F);
}

TEST_CASE("every form is added onto the sum that is there", "[quantise]") {
  const std::vector<float> values{0.5F, -1.0F, 127.0F, 2.0F};
  const Blob plain = blob_of(values, 2);
  std::vector<float> sum{1, 2, 3, 4};
  add_to(sum, plain);
  CHECK(sum == std::vector<float>{1.5F, 1.0F, 130.0F, 6.0F});
  add_to(sum, to_bfloat16(plain));
  CHECK(sum == std::vector<float>{2.0F, 0.0F, 257.0F, 8.0F});
  const std::vector<std::int8_t> steps{-128, -1, 0, 127};
  const std::vector<float> scales{2.0F, 0.5F};
  add_to(sum,
         copy_blob({protocol::DType::kInt8, {2, 2}},
                   std::as_bytes(std::span(steps))),
         copy_blob({protocol::DType::kFloat32, {2}},
                   std::as_bytes(std::span(scales))));
  CHECK(sum == std::vector<float>{-254.0F, -2.0F, 257.0F, 71.5F});
}

TEST_CASE("the limit holds for bfloat16 too", "[quantise]") {
  const auto within = [](float value) {
    return is_within(to_bfloat16(blob_of({0.0F, value, 1.0F})), 1e6F);
  };
  CHECK(within(999'424.0F));  // a bfloat16, as the next one is
  CHECK(within(-999'424.0F));
  CHECK_FALSE(within(1'003'520.0F));
  CHECK_FALSE(within(-1'003'520.0F));
  for (const float bad : {kNan, kInfinity, -kInfinity})
    CHECK_FALSE(within(bad));
}

}  // namespace mdgan::test
