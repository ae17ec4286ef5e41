#include "common/data/partition.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/random.h"

namespace mdgan {
namespace {

using Samples = std::span<const std::uint32_t>;

// The seed is fixed: see the header. Stream 0 orders all of the data, stream
// 1 + c belongs to class c.
constexpr std::uint64_t kSeed = 0;
constexpr std::uint32_t kWholeStream = 0;

constexpr std::string_view kDirichlet = "dirichlet:";
constexpr std::string_view kClasses = "classes:";

// The whole of `text` as a number.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

std::vector<std::uint32_t> iid_order(std::size_t size) {
  MDGAN_CHECK(size <= std::numeric_limits<std::uint32_t>::max());
  Random random(kSeed, Purpose::kShardCut, kWholeStream);
  return permutation(static_cast<std::uint32_t>(size), random);
}

// Part `index` of `count`; the first size % count parts have one more.
Samples even_part(Samples samples, std::size_t index, std::size_t count) {
  const std::size_t each = samples.size() / count;
  const std::size_t more = samples.size() % count;
  return samples.subspan(index * each + std::min(index, more),
                         each + (index < more ? 1 : 0));
}

void append(Samples samples, std::vector<std::uint32_t>& shard) {
  shard.insert(shard.end(), samples.begin(), samples.end());
}

// Gives shard i the share weights[i] / sum of the samples, in their order.
void append_in_shares(Samples samples, std::span<const double> weights,
                      Shards& shards) {
  double sum = 0;
  for (const double w : weights) sum += w;
  const auto size = static_cast<double>(samples.size());
  std::size_t begin = 0;
  double so_far = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    so_far += weights[i];
    // Sums are rounded, not shares, so that errors do not add up.
    const std::size_t end =
        i + 1 == shards.size()
            ? samples.size()
            : std::min(samples.size(), static_cast<std::size_t>(std::floor(
                                           so_far / sum * size + 0.5)));
    append(samples.subspan(begin, end - begin), shards[i]);
    begin = end;
  }
}

// The logarithm of a Gamma(shape, 1) variate: Marsaglia and Tsang 2000, whose
// way to shapes below 1 multiplies by U^(1/shape). Small shapes give numbers
// that only a logarithm can hold.
double log_gamma_variate(double shape, Random& random) {
  const double d = shape + (shape < 1 ? 1 : 0) - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  const auto positive = [&random] { return 1 - random.uniform(); };  // (0, 1]
  const double boost = shape < 1 ? std::log(positive()) / shape : 0;
  while (true) {
    float x = 0;
    random.fill_normal({&x, 1});
    const double root = 1 + c * static_cast<double>(x);
    if (root <= 0) continue;
    const double v = root * root * root;
    const double x2 = static_cast<double>(x) * static_cast<double>(x);
    if (std::log(positive()) < x2 / 2 + d - d * v + d * std::log(v))
      return std::log(d * v) + boost;
  }
}

// p ~ Dir(alpha, ..., alpha), up to a common factor; the largest is 1.
std::vector<double> dirichlet_weights(double alpha, std::size_t count,
                                      Random& random) {
  std::vector<double> weights(count);
  for (double& w : weights) w = log_gamma_variate(alpha, random);
  const double largest = *std::max_element(weights.begin(), weights.end());
  for (double& w : weights) w = std::exp(w - largest);
  return weights;
}

// One class's samples in random order; the stream then goes on with `random`.
struct ClassSamples {
  std::vector<std::uint32_t> samples;
  Random random;
};

// The classes that occur, in the order of their numbers.
std::vector<ClassSamples> by_class(std::span<const std::int32_t> labels) {
  std::vector<std::vector<std::uint32_t>> sorted;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::size_t>(labels[i]);
    if (label >= sorted.size()) sorted.resize(label + 1);
    sorted[label].push_back(static_cast<std::uint32_t>(i));
  }
  std::vector<ClassSamples> classes;
  for (std::uint32_t c = 0; c < sorted.size(); ++c) {
    if (sorted[c].empty()) continue;
    Random random(kSeed, Purpose::kShardCut, 1 + c);
    std::vector<std::uint32_t> samples;
    for (const std::uint32_t i :
         permutation(static_cast<std::uint32_t>(sorted[c].size()), random))
      samples.push_back(sorted[c][i]);
    classes.push_back({std::move(samples), random});
  }
  return classes;
}

Shards cut_dirichlet(double alpha, std::span<const std::int32_t> labels,
                     std::uint32_t count) {
  Shards shards(count);
  for (ClassSamples& c : by_class(labels))
    append_in_shares(c.samples, dirichlet_weights(alpha, count, c.random),
                     shards);
  return shards;
}

Result<Shards> cut_classes(std::uint32_t each,
                           std::span<const std::int32_t> labels,
                           std::uint32_t count) {
  const std::vector<ClassSamples> classes = by_class(labels);
  if (each > classes.size())
    return Error{
        fmt::format("partition classes:{} gives every peer {} classes and the "
                    "data has {}: give fewer",
                    each, each, classes.size()),
        ExitCode::kConfiguration};
  std::vector<std::vector<std::uint32_t>> holders(classes.size());
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint64_t j = 0; j < each; ++j)
      holders[(std::uint64_t{i} * each + j) % classes.size()].push_back(i);
  Shards shards(count);
  for (std::size_t c = 0; c < classes.size(); ++c)
    for (std::size_t h = 0; h < holders[c].size(); ++h)
      append(even_part(classes[c].samples, h, holders[c].size()),
             shards[holders[c][h]]);
  return shards;
}

Shards cut_zipf(std::size_t size, std::uint32_t count) {
  std::vector<double> weights;
  for (std::uint32_t i = 0; i < count; ++i) weights.push_back(1.0 / (1.0 + i));
  Shards shards(count);
  append_in_shares(iid_order(size), weights, shards);
  return shards;
}

// Moves the last samples of the largest shards (the first of them) to those
// below `least`. REQUIRES: there are shards.size() * least samples.
void fill_up(Shards& shards, std::size_t least) {
  const auto smaller = [](const auto& a, const auto& b) {
    return a.size() < b.size();
  };
  for (std::vector<std::uint32_t>& shard : shards)
    while (shard.size() < least) {
      const auto largest =
          std::max_element(shards.begin(), shards.end(), smaller);
      shard.push_back(largest->back());
      largest->pop_back();
    }
}

}  // namespace

std::optional<Partition> parse_partition(std::string_view text) {
  using Kind = Partition::Kind;
  if (text == "iid") return Partition{};
  if (text == "sizes:zipf") return Partition{Kind::kSizesZipf};
  if (text.starts_with(kDirichlet)) {
    const auto alpha = number_in<double>(text.substr(kDirichlet.size()));
    if (alpha && *alpha >= 0.001 && *alpha <= 1e6)
      return Partition{Kind::kDirichlet, *alpha};
  } else if (text.starts_with(kClasses)) {
    const auto each = number_in<std::uint32_t>(text.substr(kClasses.size()));
    if (each && *each > 0) return Partition{Kind::kClasses, 0, *each};
  }
  return std::nullopt;
}

std::string to_text(const Partition& partition) {
  switch (partition.kind) {
    case Partition::Kind::kDirichlet:
      return fmt::format("{}{}", kDirichlet, partition.alpha);
    case Partition::Kind::kClasses:
      return fmt::format("{}{}", kClasses, partition.classes);
    case Partition::Kind::kSizesZipf:
      return "sizes:zipf";
    case Partition::Kind::kIid:
      break;
  }
  return "iid";
}

Shards cut_evenly(std::size_t size, std::uint32_t count) {
  MDGAN_CHECK(count > 0);
  const std::vector<std::uint32_t> order = iid_order(size);
  Shards shards(count);
  for (std::uint32_t i = 0; i < count; ++i)
    append(even_part(order, i, count), shards[i]);
  return shards;
}

Result<Shards> cut_data(const Partition& partition, std::size_t size,
                        std::span<const std::int32_t> labels,
                        std::uint32_t count) {
  using Kind = Partition::Kind;
  MDGAN_CHECK(count > 0);
  const auto refuse = [&partition](std::string_view why) {
    return Error{fmt::format("partition {}: {}", to_text(partition), why),
                 ExitCode::kData};
  };
  if (partition.kind == Kind::kIid) return cut_evenly(size, count);
  if (partition.needs_labels() && labels.size() != size)
    return refuse(
        "the data has no labels to cut by: give labelled data, or partition "
        "iid or sizes:zipf");
  if (size < count)
    return refuse(fmt::format(
        "{} images are too few for {} peers: give more data or fewer peers",
        size, count));
  if (partition.kind == Kind::kClasses) {
    auto shards = cut_classes(partition.classes, labels, count);
    if (shards && std::any_of(shards->begin(), shards->end(),
                              [](const auto& s) { return s.empty(); }))
      return refuse(fmt::format(
          "a class has fewer images than there are peers, of {}, that share "
          "it: give more data, fewer peers or more classes a peer",
          count));
    return shards;
  }
  Shards shards = partition.kind == Kind::kDirichlet
                      ? cut_dirichlet(partition.alpha, labels, count)
                      : cut_zipf(size, count);
  fill_up(shards, std::min(kLeastSamples, size / count));
  return shards;
}

}  // namespace mdgan
