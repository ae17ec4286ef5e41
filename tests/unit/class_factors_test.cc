#include "common/merge/class_factors.h"

#include <numeric>

#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

using Counts = std::vector<std::uint64_t>;

// What class y counts in the mean over all answers, in expectation: the labels
// of batch g are y with probability counts[y] / sum.
std::vector<double> shares_of(const std::vector<AnsweredBatch>& batches,
                              ClassShare share) {
  const auto factors = class_factors(batches, share);
  std::vector<double> shares(batches[0].counts.size());
  double answers = 0;
  for (const AnsweredBatch& b : batches)
    answers += static_cast<double>(b.answers);
  for (std::size_t g = 0; g < batches.size(); ++g) {
    const auto& counts = batches[g].counts;
    const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
    for (std::size_t y = 0; y < shares.size(); ++y)
      shares[y] += factors[g][y] * static_cast<double>(counts[y]) / total *
                   static_cast<double>(batches[g].answers) / answers;
  }
  return shares;
}

TEST_CASE("One class a peer: all answers count alike") {
  const Counts a{70, 0}, b{0, 70};
  const std::vector<AnsweredBatch> batches{{a, 1, 70}, {b, 1, 70}};
  CHECK(class_factors(batches, ClassShare::kUniform) ==
        std::vector<std::vector<double>>{{1, 0}, {0, 1}});
}

TEST_CASE(
    "Uneven shards that overlap: each class has the share it is to have") {
  const Counts a{90, 10, 0}, b{0, 30, 30}, c{20, 0, 20};
  const std::vector<AnsweredBatch> batches{
      {a, 1, 100}, {b, 2, 120}, {c, 1, 40}};
  const auto uniform = shares_of(batches, ClassShare::kUniform);
  for (const double share : uniform) CHECK(share == Approx(1.0 / 3));
  const auto data = shares_of(batches, ClassShare::kData);
  CHECK(data[0] == Approx(110.0 / 260));
  CHECK(data[1] == Approx(70.0 / 260));
  CHECK(data[2] == Approx(80.0 / 260));
}

TEST_CASE(
    "A class that nobody has answered for leaves its share to the others") {
  const Counts a{50, 50, 0}, b{0, 0, 100};
  const std::vector<AnsweredBatch> batches{{a, 2, 200}, {b, 0, 0}};
  const auto factors = class_factors(batches, ClassShare::kUniform);
  CHECK(factors[0] == std::vector<double>{1, 1, 0});
  CHECK(factors[1] == std::vector<double>{0, 0, 0});
}

TEST_CASE("A class that is rare in all data does not make the generator leap") {
  const Counts a{5999, 1}, b{6000, 0};
  const std::vector<AnsweredBatch> batches{{a, 1, 6000}, {b, 1, 6000}};
  const auto factors = class_factors(batches, ClassShare::kUniform);
  CHECK(factors[0][1] == kMostClassFactor);
  CHECK(factors[0][0] == Approx(0.5).epsilon(0.01));
}

}  // namespace
}  // namespace mdgan::test
