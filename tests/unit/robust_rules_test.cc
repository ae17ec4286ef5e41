// The rules that bear hostile rows: values checked by hand, properties of all
// of them, and how far each attack moves each rule.
#include <algorithm>
#include <cmath>

#include "common/base/random.h"
#include "common/merge/norms.h"
#include "common/merge/rules.h"
#include "common/tensor/quantise.h"
#include "server/simulated_attack.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

using Values = std::vector<float>;

constexpr AggregationRule kRobust[] = {aggregate_clip, aggregate_median,
                                       aggregate_trimmed_mean, aggregate_krum,
                                       aggregate_multi_krum};

Blob row_of(const Values& values) {
  return copy_blob({protocol::DType::kFloat32, {1, values.size()}},
                   std::as_bytes(std::span(values)));
}

std::vector<MergeRow> rows_of(const std::vector<Values>& all) {
  std::vector<MergeRow> rows;
  for (const Values& values : all)
    rows.push_back({.peer = PeerId{static_cast<std::uint32_t>(rows.size())},
                    .values = row_of(values)});
  return rows;
}

struct Merged {
  Values value;  // that stands for the group
  MergeReport report;
};

Merged merged(AggregationRule rule, const MergeParameters& parameters,
              const std::vector<MergeRow>& rows) {
  Merged result{Values(decoded(rows.front()).size(), -7.0F), {}};
  const std::span<float> sums[]{result.value};
  result.report = merge(rule, parameters, rows, sums);
  for (float& v : result.value) v /= static_cast<float>(rows.size());
  return result;
}

Values value_of(AggregationRule rule, std::uint32_t hostile,
                const std::vector<Values>& rows) {
  return merged(rule, {.hostile = hostile}, rows_of(rows)).value;
}

Values values_in(const Blob& blob, const Blob& scales = {}) {
  MergeRow row;
  row.values = blob;
  row.scales = scales;
  return decoded(row);
}

double length(const Values& values) { return euclidean_norm(row_of(values)); }

double distance(const Values& a, const Values& b) {
  return std::sqrt(squared_distance(a, b));
}

// Rows that have a direction in common, as the answers of peers with data of
// one mixture do, each with noise of its own.
std::vector<Values> honest_rows(std::size_t count, std::size_t size,
                                std::uint64_t seed) {
  Random random(seed, Purpose::kSimulation);
  Values common(size);
  random.fill_normal(common);
  std::vector<Values> rows(count, Values(size));
  for (Values& row : rows) {
    random.fill_normal(row);
    for (std::size_t i = 0; i < size; ++i) row[i] = common[i] + 0.5F * row[i];
  }
  return rows;
}

Values mean_of(std::span<const Values> rows) {
  Values mean(rows.front().size());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    double sum = 0;
    for (const Values& row : rows) sum += static_cast<double>(row[i]);
    mean[i] = static_cast<float>(sum / static_cast<double>(rows.size()));
  }
  return mean;
}

void check_close(const Values& got, const Values& wanted) {
  REQUIRE(got.size() == wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == Approx(wanted[i]).margin(1e-5));
}

}  // namespace

TEST_CASE("the robust rules give what their formulas give by hand",
          "[robust]") {
  const std::vector<Values> five{{1, -5}, {2, 0}, {4, 1}, {8, 2}, {100, 3}};
  CHECK(value_of(aggregate_median, 2, five) == Values{4, 1});
  // Without the lowest and the highest: (2 + 4 + 8) / 3, (0 + 1 + 2) / 3.
  check_close(value_of(aggregate_trimmed_mean, 1, five), {14.0F / 3, 1});
  check_close(value_of(aggregate_trimmed_mean, 2, five), {4, 1});
  // Each one's two nearest of five with f = 1, squared: 0: 1 + 9, 1: 1 + 4,
  // 2: 4 + 9, 3.5: 2.25 + 6.25 (to 2 and 1), 9: 30.25 + 49.
  const std::vector<Values> line{{0}, {1}, {2}, {3.5F}, {9}};
  CHECK(value_of(aggregate_krum, 1, line) == Values{1});
  // The two best of them: 1 (1 + 1) and 2 (1 + 2.25).
  check_close(value_of(aggregate_multi_krum, 1, line), {1.5F});
  // Lengths 3, 4, 5, 12, 13: those beyond the median 5 are scaled down to it.
  const std::vector<Values> lengths{{3, 0}, {0, 4}, {3, 4}, {0, 12}, {5, 12}};
  check_close(value_of(aggregate_clip, 0, lengths),
              {(3 + 3 + 25.0F / 13) / 5, (4 + 4 + 5 + 60.0F / 13) / 5});
}

TEST_CASE("an even median is the mean of the middle two", "[robust]") {
  CHECK(value_of(aggregate_median, 1, {{4}, {1}, {100}, {2}}) == Values{3});
  CHECK(median_of({4, 1, 100, 2}) == 3);
  CHECK(median_of({4, 1, 100}) == 4);
  // In double: the sum of two large floats does not overflow.
  CHECK(value_of(aggregate_median, 0, {{3e38F}, {1e38F}})[0] ==
        std::numeric_limits<float>::infinity());  // twice the value, as a sum
}

TEST_CASE("of rows that Krum likes equally the lower peer's is taken",
          "[robust]") {
  // Mirrored about 0: 1 and -1 have equal scores, whatever the order.
  const std::vector<Values> values{{5}, {1}, {-1}, {-5}, {40}};
  auto rows = rows_of(values);
  CHECK(merged(aggregate_krum, {.hostile = 1}, rows).value == Values{1});
  std::ranges::reverse(rows);
  CHECK(merged(aggregate_krum, {.hostile = 1}, rows).value == Values{1});
}

TEST_CASE("the order of the peers changes nothing", "[robust]") {
  const std::uint64_t seed = GENERATE(1U, 2U, 3U, 4U);
  const std::size_t count = GENERATE(5U, 9U, 10U);
  auto rows = rows_of(honest_rows(count, 300, seed));
  const auto f = static_cast<std::uint32_t>((count - 3) / 2);
  Random random(seed, Purpose::kSimulation, 1);
  const auto order = permutation(static_cast<std::uint32_t>(count), random);
  std::vector<MergeRow> shuffled;
  for (const std::uint32_t i : order) shuffled.push_back(rows[i]);
  for (const AggregationRule rule : kRobust) {
    INFO(name_of(kAggregationRules, rule));
    const Merged one = merged(rule, {.hostile = f}, rows);
    const Merged other = merged(rule, {.hostile = f}, shuffled);
    check_close(one.value, other.value);
    for (std::size_t i = 0; i < count; ++i)
      CHECK(one.report.verdicts[order[i]].verdict ==
            other.report.verdicts[i].verdict);
  }
}

TEST_CASE("rows that are all equal give their mean by every rule", "[robust]") {
  const std::size_t count = GENERATE(range<std::size_t>(3, 13));
  Values one(130);
  Random(count, Purpose::kSimulation).fill_normal(one);
  for (const AggregationRule rule : kRobust) {
    INFO(name_of(kAggregationRules, rule));
    const Merged result =
        merged(rule, {.hostile = 0}, rows_of(std::vector<Values>(count, one)));
    CHECK(result.report.fallbacks == 0);
    for (std::size_t i = 0; i < one.size(); ++i)
      CHECK(result.value[i] == Approx(one[i]).epsilon(1e-6));
  }
}

TEST_CASE("a median is what sorting gives, for any number of peers",
          "[robust]") {
  const std::size_t count = GENERATE(range<std::size_t>(1, 40));
  const auto rows = honest_rows(count, 131, count);
  const Values got = value_of(aggregate_median, 0, rows);
  for (std::size_t i = 0; i < got.size(); ++i) {
    std::vector<double> column;
    for (const Values& row : rows)
      column.push_back(static_cast<double>(row[i]));
    CHECK(got[i] == Approx(median_of(column)).epsilon(1e-6));
  }
}

TEST_CASE(
    "a minority moves the median and the trimmed mean only within what "
    "the honest rows hold",
    "[robust]") {
  const std::uint64_t seed = GENERATE(1U, 2U, 3U, 4U, 5U);
  const std::uint32_t f = GENERATE(1U, 2U, 4U);
  auto rows = honest_rows(f + 1, 200, seed);
  Random random(seed, Purpose::kSimulation, f);
  for (std::uint32_t i = 0; i < f; ++i) {
    Values& bad = rows.emplace_back(200);
    random.fill_uniform(bad, -1e6F, 1e6F);
    // One that sends the same extreme everywhere, too.
    if (i == 0) std::ranges::fill(bad, 1e6F);
  }
  for (const AggregationRule rule :
       {aggregate_median, aggregate_trimmed_mean}) {
    const Values got = value_of(rule, f, rows);
    for (std::size_t i = 0; i < got.size(); ++i) {
      float low = rows[0][i], high = rows[0][i];
      for (std::size_t n = 1; n <= f; ++n) {
        low = std::min(low, rows[n][i]);
        high = std::max(high, rows[n][i]);
      }
      CHECK(got[i] >= low - 1e-5F);
      CHECK(got[i] <= high + 1e-5F);
    }
  }
}

TEST_CASE("where no row is longer than the bound, clip is the mean bit for bit",
          "[robust]") {
  const auto rows = rows_of(honest_rows(7, 300, 1));
  CHECK(merged(aggregate_clip, {.clip = 10}, rows).value ==
        merged(aggregate_mean, {}, rows).value);
  const Merged clipped = merged(aggregate_clip, {.clip = 1}, rows);
  CHECK(std::ranges::count(clipped.report.verdicts, Verdict::kClipped,
                           &PeerVerdict::verdict) == 3);
}

TEST_CASE("clip knows the lengths of the whole round's answers", "[robust]") {
  // Each in a group of its own, as with k = N.
  auto rows = rows_of({{1}, {2}, {300}});
  for (std::uint32_t i = 0; i < 3; ++i) rows[i].group = i;
  std::vector<Values> values(3, Values(1));
  const std::vector<std::span<float>> sums(values.begin(), values.end());
  const MergeReport report = merge(aggregate_clip, {}, rows, sums);
  CHECK(values == std::vector<Values>{{1}, {2}, {2}});
  CHECK(report.verdicts[2].verdict == Verdict::kClipped);
  CHECK(report.fallbacks == 0);
}

TEST_CASE("a group too small for its rule is merged by clip, and counted",
          "[robust]") {
  const std::vector<Values> four{{1}, {2}, {3}, {400}};
  for (const AggregationRule rule : {aggregate_krum, aggregate_multi_krum}) {
    const Merged small = merged(rule, {.hostile = 1}, rows_of(four));
    CHECK(small.report.fallbacks == 1);
    check_close(small.value, {(1 + 2 + 2.5F + 2.5F) / 4});
  }
  CHECK(merged(aggregate_median, {.hostile = 1}, rows_of(four))
            .report.fallbacks == 0);
  CHECK(merged(aggregate_median, {.hostile = 2}, rows_of(four))
            .report.fallbacks == 1);
  CHECK(smallest_group(aggregate_median, 3) == 7);
  CHECK(smallest_group(aggregate_trimmed_mean, 3) == 7);
  CHECK(smallest_group(aggregate_krum, 3) == 9);
  CHECK(smallest_group(aggregate_multi_krum, 3) == 9);
  CHECK(smallest_group(aggregate_mean, 3) == 1);
}

TEST_CASE("norms and distances are those of what rows in small forms hold",
          "[robust]") {
  Values values(24);
  Random(3, Purpose::kSimulation).fill_normal(values);
  const Blob plain = copy_blob({protocol::DType::kFloat32, {4, 6}},
                               std::as_bytes(std::span(values)));
  double squares = 0;
  for (const float v : values)
    squares += static_cast<double>(v) * static_cast<double>(v);
  CHECK(euclidean_norm(plain) == Approx(std::sqrt(squares)).epsilon(1e-12));
  const ScaledInt8 packed = to_int8(plain, 5);
  CHECK(euclidean_norm(packed.values, packed.scales) ==
        euclidean_norm(row_of(values_in(packed.values, packed.scales))));
  CHECK(euclidean_norm(to_bfloat16(plain)) ==
        Approx(std::sqrt(squares)).epsilon(0.01));
  CHECK(squared_distance(values, values) == 0);
  // Large finite values do not overflow.
  CHECK(std::isfinite(euclidean_norm(row_of(Values(1000, 1e30F)))));
}

// How far, relative to its length, the honest peers' mean is from what the rule
// makes of seven honest answers and three hostile ones. The mean strays at
// least as far as `mean`, and each rule at most as far as its bound says.
// Answers that are not finite come to no rule: fault 17.
TEST_CASE("fault 19: hostile answers move each rule no farther than its bound",
          "[robust]") {
  struct Row {
    Attack attack;
    double mean;  // at least
    double clip, median, trimmed, krum, multi_krum;
  };
  constexpr Row kTable[] = {
      {Attack::kSignFlip, 0.59, 0.61, 0.27, 0.28, 0.46, 0.13},
      {Attack::kReverse, 3.3, 0.61, 0.27, 0.28, 0.46, 0.13},
      {Attack::kScale, 14.8, 0.11, 0.27, 0.28, 0.46, 0.13},
      {Attack::kConstant, 0.43, 0.46, 0.29, 0.3, 0.46, 0.13},
      {Attack::kNoise, 0.29, 0.31, 0.27, 0.27, 0.46, 0.13},
      {Attack::kZero, 0.29, 0.31, 0.27, 0.27, 0.46, 0.13},
      {Attack::kCollude, 3.2, 0.46, 0.31, 0.33, 0.46, 0.13},
  };
  const std::uint64_t seed = GENERATE(1U, 2U, 3U);
  for (const Row& row : kTable) {
    auto rows = honest_rows(10, 784, seed);
    const Values wanted = mean_of(std::span(rows).first(7));
    for (std::uint32_t i = 7; i < 10; ++i)
      // Not the seed of the honest rows, whose common direction it would draw.
      rows[i] = values_in(attacked(row.attack, row_of(rows[i]), seed + 100,
                                   PeerId{i}, Round{1}));
    const auto strays = [&](AggregationRule rule) {
      return distance(value_of(rule, 3, rows), wanted) / length(wanted);
    };
    INFO("attack " << name_of(kAttackNames, row.attack) << ": mean "
                   << strays(aggregate_mean) << ", clip "
                   << strays(aggregate_clip) << ", median "
                   << strays(aggregate_median) << ", trimmed-mean "
                   << strays(aggregate_trimmed_mean) << ", krum "
                   << strays(aggregate_krum) << ", multi-krum "
                   << strays(aggregate_multi_krum));
    CHECK(strays(aggregate_mean) >= row.mean);
    CHECK(strays(aggregate_clip) <= row.clip);
    CHECK(strays(aggregate_median) <= row.median);
    CHECK(strays(aggregate_trimmed_mean) <= row.trimmed);
    CHECK(strays(aggregate_krum) <= row.krum);
    CHECK(strays(aggregate_multi_krum) <= row.multi_krum);
  }
}

TEST_CASE("simulated attacks are what their names say, and repeat exactly",
          "[robust]") {
  const Values honest{3, 4, 0, 0};
  const Blob blob = copy_blob({protocol::DType::kFloat32, {2, 2}},
                              std::as_bytes(std::span(honest)));
  const auto values = [&](Attack attack, std::uint32_t peer = 8) {
    return values_in(attacked(attack, blob, 1, PeerId{peer}, Round{5}));
  };
  CHECK(values(Attack::kSignFlip) == Values{-3, -4, 0, 0});
  CHECK(values(Attack::kReverse) == Values{-30, -40, 0, 0});
  CHECK(values(Attack::kScale) == Values{150, 200, 0, 0});
  CHECK(values(Attack::kConstant) == Values{2.5F, 2.5F, 2.5F, 2.5F});
  CHECK(values(Attack::kZero) == Values{0, 0, 0, 0});
  for (const float v : values(Attack::kNan)) CHECK(std::isnan(v));
  CHECK(length(values(Attack::kNoise)) == Approx(0.05));
  CHECK(values(Attack::kNoise) == values(Attack::kNoise));
  CHECK(values(Attack::kNoise, 8) != values(Attack::kNoise, 9));
  const Values colluding = values(Attack::kCollude, 8);
  CHECK(length(colluding) == Approx(50));
  CHECK(colluding[0] == colluding[2]);  // one picture
  CHECK(colluding == values(Attack::kCollude, 9));
  // Every attack leaves a feedback of zeros as it is.
  for (const auto& [attack, name] : kAttackNames) {
    if (attack == Attack::kNan) continue;
    INFO(name);
    for (const float v : values_in(attacked(attack, row_of({0, 0}), 1, {}, {})))
      CHECK(v == 0);
  }
}

}  // namespace mdgan::test
