// Merging through its public interface; the rules' weights are
// aggregation_test.cc's.
#include "common/merge/merge.h"

#include <algorithm>
#include <cmath>

#include "common/base/random.h"
#include "common/merge/rules.h"
#include "common/tensor/quantise.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

Blob blob_of(const std::vector<float>& values, std::uint64_t samples = 1) {
  return copy_blob(
      {protocol::DType::kFloat32, {samples, values.size() / samples}},
      std::as_bytes(std::span(values)));
}

MergeRow row_of(std::uint32_t peer, std::uint32_t group,
                const std::vector<float>& values, double weight = 1) {
  return {.peer = PeerId{peer},
          .group = group,
          .values = blob_of(values),
          .weight = weight};
}

struct Sums {
  std::vector<std::vector<float>> values;
  std::vector<PeerVerdict> verdicts;
};

Sums merged(AggregationRule rule, const std::vector<MergeRow>& rows,
            std::size_t groups, std::size_t size) {
  // Whatever stood there before does not count.
  Sums sums{std::vector(groups, std::vector<float>(size, -7.0F)), {}};
  const std::vector<std::span<float>> places(sums.values.begin(),
                                             sums.values.end());
  sums.verdicts = merge(rule, {}, rows, places).verdicts;
  return sums;
}

// The rules whose rows may have weights.
constexpr AggregationRule kLinear[] = {aggregate_mean, aggregate_by_shard_size,
                                       aggregate_gman, aggregate_f2a,
                                       aggregate_ua_gan};

// What a rule outside the table can do: the median of each value, from the rows
// that it has not refused for being far off.
void median(const MergeGroup& group) {
  std::vector<std::vector<float>> rows;
  for (std::size_t i = 0; i < group.rows.size(); ++i) {
    std::vector<float> values = decoded(*group.rows[i]);
    if (std::ranges::any_of(values, [](float v) { return v > 1000; })) {
      group.verdicts[i].verdict = Verdict::kRefused;
      group.verdicts[i].reason = "beyond 1000";
    } else {
      rows.push_back(std::move(values));
    }
  }
  std::vector<float> column(rows.size());
  for (std::size_t v = 0; v < group.sum.size(); ++v) {
    for (std::size_t i = 0; i < rows.size(); ++i) column[i] = rows[i][v];
    std::ranges::sort(column);
    group.sum[v] =
        static_cast<float>(group.weight()) * column[column.size() / 2];
  }
}

}  // namespace

TEST_CASE("each group's rows are summed, and every peer's is used", "[merge]") {
  const std::vector<MergeRow> rows{row_of(3, 2, {1, 2}), row_of(5, 0, {4, 8}),
                                   row_of(9, 2, {16, 32})};
  const Sums sums = merged(aggregate_mean, rows, 3, 2);
  CHECK(sums.values[0] == std::vector<float>{4, 8});
  CHECK(sums.values[1] == std::vector<float>{0, 0});
  CHECK(sums.values[2] == std::vector<float>{17, 34});
  REQUIRE(sums.verdicts.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sums.verdicts[i].peer == rows[i].peer);
    CHECK(sums.verdicts[i].verdict == Verdict::kUsed);
    CHECK(sums.verdicts[i].reason.empty());
  }
}

TEST_CASE("the mean adds in the order given", "[merge]") {
  // In float32 the large numbers swallow the 1 unless they cancel first.
  const auto sum = [](float a, float b, float c) {
    return merged(aggregate_mean,
                  {row_of(0, 0, {a}), row_of(1, 0, {b}), row_of(2, 0, {c})}, 1,
                  1)
        .values[0][0];
  };
  CHECK(sum(1e9F, -1e9F, 1) == 1);
  CHECK(sum(1e9F, 1, -1e9F) == 0);
}

TEST_CASE("a row that stands for n peers counts as n of its kind", "[merge]") {
  const float logits[] = {-0.5F, 1.25F};
  for (const AggregationRule rule : kLinear) {
    INFO(name_of(kAggregationRules, rule));
    MergeRow a = row_of(0, 0, {0.1F, -3, 7, 5});
    MergeRow b = row_of(1, 0, {2.3F, 11, -0.7F, 1});
    a.logits = b.logits = {&logits[0], 1};
    b.logits = {&logits[1], 1};
    b.shard_size = 40;
    const Sums apart = merged(rule, {a, b, b, b}, 1, 4);
    b.weight = 3;
    const Sums together = merged(rule, {a, b}, 1, 4);
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(together.values[0][i] == Approx(apart.values[0][i]));
  }
}

TEST_CASE("weights that sum to 1 give the mean, rounded once a row",
          "[merge]") {
  const std::size_t n = GENERATE(1U, 7U, 8U, 100U);
  Random random(n, Purpose::kSimulation);
  std::vector<std::vector<float>> values(3, std::vector<float>(n));
  const double weights[] = {0.2, 0.5, 0.3};
  std::vector<MergeRow> rows;
  for (std::uint32_t i = 0; i < 3; ++i) {
    random.fill_normal(values[i]);
    rows.push_back(row_of(i, 0, values[i], weights[i]));
  }
  const Sums sums = merged(aggregate_mean, rows, 1, n);
  for (std::size_t v = 0; v < n; ++v) {
    float sum = 0;
    for (std::size_t i = 0; i < 3; ++i)
      sum = std::fma(values[i][v], static_cast<float>(weights[i]), sum);
    CHECK(sums.values[0][v] == sum);
  }
}

TEST_CASE("rows in small forms count as what they stand for", "[merge]") {
  std::vector<float> values(24);
  Random(3, Purpose::kSimulation).fill_normal(values);
  const Blob plain = blob_of(values, 4);
  const ScaledInt8 packed = to_int8(plain, 5);
  const float logits[] = {0.5F, -1, 2, 3};
  MergeRow rows[3];
  rows[0].values = plain;
  rows[1].values = to_bfloat16(plain);
  rows[2].values = packed.values;
  rows[2].scales = packed.scales;
  const double weight = GENERATE(1.0, 0.5);
  for (const auto& [rule, name] : kAggregationRules) {
    if (weight != 1 && std::ranges::count(kLinear, rule) == 0) continue;
    INFO(name);
    for (MergeRow& row : rows) {
      row.logits = logits;
      row.weight = weight;
      MergeRow wide = row;
      wide.values = blob_of(decoded(row), 4);
      wide.scales = {};
      CHECK(merged(rule, {row, row}, 1, 24).values ==
            merged(rule, {wide, wide}, 1, 24).values);
    }
  }
}

TEST_CASE("a rule sees the values, and says whose it refused", "[merge]") {
  std::vector<MergeRow> rows{row_of(0, 0, {1, 5}), row_of(1, 1, {8, 9}),
                             row_of(2, 0, {2, -4}), row_of(3, 0, {9, 6}),
                             row_of(4, 0, {1e9F, 0})};
  const ScaledInt8 packed = to_int8(rows[3].values, 1);
  rows[3].values = packed.values;
  rows[3].scales = packed.scales;
  const Sums sums = merged(median, rows, 2, 2);
  // The medians 2 and 5, for each of four peers.
  CHECK(sums.values[0] == std::vector<float>{8, 20});
  CHECK(sums.values[1] == std::vector<float>{8, 9});
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(sums.verdicts[i].verdict == Verdict::kUsed);
  CHECK(sums.verdicts[4].peer == PeerId{4});
  CHECK(sums.verdicts[4].verdict == Verdict::kRefused);
  CHECK(sums.verdicts[4].reason == "beyond 1000");
}

}  // namespace mdgan::test
