#include "common/data/partition.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/data/class_table.h"
#include "common/data/dataset.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"

namespace mdgan::test {
namespace {

// Classes one after the other, of different sizes: 60, 70, ... images.
std::vector<std::int32_t> some_labels(std::int32_t classes) {
  std::vector<std::int32_t> labels;
  for (std::int32_t c = 0; c < classes; ++c)
    labels.insert(labels.end(), static_cast<std::size_t>(60 + 10 * c), c);
  return labels;
}

Partition partition(std::string_view text) {
  const auto parsed = parse_partition(text);
  INFO(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

Shards cut(std::string_view text, const std::vector<std::int32_t>& labels,
           std::uint32_t count) {
  auto shards = cut_data(partition(text), labels.size(), labels, count);
  INFO((shards ? "" : shards.error().message));
  REQUIRE(shards.ok());
  REQUIRE(shards->size() == count);
  return *shards;
}

std::vector<std::uint32_t> sorted_union(const Shards& shards) {
  std::vector<std::uint32_t> all;
  for (const auto& shard : shards)
    all.insert(all.end(), shard.begin(), shard.end());
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<std::uint32_t> numbers(std::size_t size) {
  std::vector<std::uint32_t> all(size);
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

std::vector<std::uint64_t> counts(const std::vector<std::uint32_t>& shard,
                                  const std::vector<std::int32_t>& labels,
                                  std::uint32_t classes) {
  return count_classes("", 0, shard, labels, classes).counts;
}

}  // namespace

TEST_CASE("a partition is read from its text and written as it was",
          "[partition]") {
  for (const char* text : {"iid", "dirichlet:0.1", "dirichlet:1000000",
                           "dirichlet:0.001", "classes:3", "sizes:zipf"})
    CHECK(to_text(partition(text)) == text);
  CHECK(partition("dirichlet:1e-1") == partition("dirichlet:0.1"));
  for (const char* wrong :
       {"", "IID", "iid ", "dirichlet", "dirichlet:", "dirichlet:0",
        "dirichlet:-1", "dirichlet:nan", "dirichlet:inf", "dirichlet:1x",
        "dirichlet:1e7", "classes:0", "classes:-1", "classes:1.5",
        "classes:", "classes:4294967296", "sizes:", "sizes:2", "zipf"}) {
    INFO(wrong);
    CHECK_FALSE(parse_partition(wrong).has_value());
  }
}

TEST_CASE("the i.i.d. cut is what it has always been", "[partition]") {
  const auto whole = cut_data({}, 60'000, {}, 7);
  REQUIRE(whole.ok());
  std::uint64_t hash = 0;
  for (std::uint32_t i = 0; i < 7; ++i)
    for (const std::uint32_t sample : (*whole)[i])
      hash = hash * 6364136223846793005U + sample + i;
  CHECK(hash == 4292733120869845914U);
  const auto shard = cut_evenly(60'000, 10)[3];
  CHECK(std::vector(shard.begin(), shard.begin() + 6) ==
        std::vector<std::uint32_t>{18694, 54213, 21003, 48323, 8378, 33240});
}

TEST_CASE("every sample is in exactly one shard and nobody goes away empty",
          "[partition]") {
  const auto labels = some_labels(10);
  const char* const text =
      GENERATE("iid", "dirichlet:0.001", "dirichlet:0.1", "dirichlet:100",
               "classes:1", "classes:2", "classes:10", "sizes:zipf");
  const std::uint32_t count = GENERATE(1U, 2U, 10U, 25U, 64U);
  if (std::string_view(text).starts_with("classes") &&
      count * partition(text).classes < 10)
    return;  // some classes are nobody's: another test
  INFO(text << " among " << count);
  const Shards shards = cut(text, labels, count);
  CHECK(sorted_union(shards) == numbers(labels.size()));
  CHECK(shards == cut(text, labels, count));
  const std::size_t even = labels.size() / count;
  for (const auto& shard : shards)
    CHECK(shard.size() >= (std::string_view(text).starts_with("classes")
                               ? 1
                               : std::min(kLeastSamples, even)));
}

TEST_CASE("classes:C gives every peer C classes and shares each out evenly",
          "[partition]") {
  const auto labels = some_labels(10);
  const auto [each, count] =
      GENERATE(std::pair(1U, 10U), std::pair(2U, 10U), std::pair(3U, 7U),
               std::pair(1U, 23U), std::pair(10U, 4U));
  INFO(each << " classes, " << count << " peers");
  const Shards shards = cut("classes:" + std::to_string(each), labels, count);
  std::vector<std::vector<std::uint64_t>> parts(10);
  for (const auto& shard : shards) {
    std::uint32_t held = 0;
    const auto of_peer = counts(shard, labels, 10);
    for (std::size_t c = 0; c < 10; ++c)
      if (of_peer[c] > 0) parts[c].push_back(of_peer[c]), ++held;
    CHECK(held == each);
  }
  for (const auto& part : parts) {
    REQUIRE_FALSE(part.empty());
    CHECK(*std::max_element(part.begin(), part.end()) -
              *std::min_element(part.begin(), part.end()) <=
          1);
  }
}

TEST_CASE("with fewer places than classes the last ones are nobody's",
          "[partition]") {
  const auto labels = some_labels(10);
  const Shards shards = cut("classes:1", labels, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<std::uint64_t> expected(10);
    expected[i] = 60 + 10 * i;
    CHECK(counts(shards[i], labels, 10) == expected);
  }
}

TEST_CASE("classes that do not occur are dealt to nobody", "[partition]") {
  std::vector<std::int32_t> labels(40, 2);
  labels.insert(labels.end(), 40, 7);
  const Shards shards = cut("classes:1", labels, 2);
  CHECK(counts(shards[0], labels, 10)[2] == 40);
  CHECK(counts(shards[1], labels, 10)[7] == 40);
}

TEST_CASE("zipf's sizes fall like 1, 1/2, 1/3", "[partition]") {
  const auto labels = some_labels(10);  // 1050 images
  const Shards shards = cut("sizes:zipf", labels, 3);
  // 1050 * 6/11, 3/11, 2/11
  CHECK(shards[0].size() == 573);
  CHECK(shards[1].size() == 286);
  CHECK(shards[2].size() == 191);
  // The same mixture: class 9 is 150 of 1050 images.
  CHECK(counts(shards[0], labels, 10)[9] > 60);
  CHECK(counts(shards[0], labels, 10)[9] < 105);
}

TEST_CASE("dirichlet shares have the distribution's mean and variance",
          "[partition]") {
  const double alpha = GENERATE(0.1, 0.5, 1.0, 5.0);
  INFO(alpha);
  constexpr std::int32_t kClasses = 2000;
  constexpr std::int32_t kEach = 200;
  constexpr std::uint32_t kPeers = 4;
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < kClasses * kEach; ++i)
    labels.push_back(i % kClasses);
  const Shards shards =
      cut(to_text({Partition::Kind::kDirichlet, alpha}), labels, kPeers);
  for (const auto& shard : shards) {
    double mean = 0, square = 0;
    for (const std::uint64_t n : counts(shard, labels, kClasses)) {
      const double share = static_cast<double>(n) / kEach;
      mean += share / kClasses;
      square += share * share / kClasses;
    }
    const double expected = 0.25 * 0.75 / (kPeers * alpha + 1);
    CHECK(mean == Approx(0.25).margin(4 * std::sqrt(expected / kClasses)));
    CHECK(square - mean * mean == Approx(expected).epsilon(0.12));
  }
}

TEST_CASE("a dirichlet cut is the same on every machine", "[partition]") {
  const auto labels = some_labels(4);
  const Shards shards = cut("dirichlet:0.5", labels, 3);
  std::vector<std::vector<std::uint64_t>> table;
  for (const auto& shard : shards) table.push_back(counts(shard, labels, 4));
  CHECK(table == std::vector<std::vector<std::uint64_t>>{
                     {5, 9, 0, 59}, {3, 0, 21, 1}, {52, 61, 59, 30}});
  CHECK(std::vector(shards[0].begin(), shards[0].begin() + 4) ==
        std::vector<std::uint32_t>{22, 11, 50, 37});
}

TEST_CASE("a cut that cannot be made says why", "[partition]") {
  const auto labels = some_labels(3);
  const auto failure = [&](std::string_view text, std::size_t size,
                           std::span<const std::int32_t> of, std::uint32_t n) {
    const auto shards = cut_data(partition(text), size, of, n);
    REQUIRE_FALSE(shards.ok());
    return shards.error();
  };
  for (const char* text : {"classes:1", "dirichlet:1"}) {
    const Error error = failure(text, 100, {}, 4);
    CHECK(error.code == ExitCode::kData);
    CHECK(error.message == std::string("partition ") + text +
                               ": the data has no labels to cut by: give "
                               "labelled data, or partition iid or sizes:zipf");
  }
  const Error many = failure("classes:4", labels.size(), labels, 2);
  CHECK(many.code == ExitCode::kConfiguration);
  CHECK(many.message ==
        "partition classes:4 gives every peer 4 classes and the data has 3: "
        "give fewer");
  const Error few = failure("sizes:zipf", 3, {}, 4);
  CHECK(few.code == ExitCode::kData);
  CHECK(few.message.find("3 images are too few for 4 peers") !=
        std::string::npos);
  // Class 0 has one image, for two peers.
  const std::vector<std::int32_t> rare{0, 1, 1, 1, 1};
  const Error empty = failure("classes:1", rare.size(), rare, 4);
  CHECK(empty.message.find("a class has fewer images than") !=
        std::string::npos);
  CHECK(cut_data(partition("sizes:zipf"), 100, {}, 4).ok());
}

TEST_CASE("the class table has a row a peer and the sums", "[partition]") {
  const std::vector<std::int32_t> labels{0, 1, 2, 1, 1, 2};
  const std::vector<std::string> names{"cat", "dog", "wolverine"};
  const std::vector<PeerClasses> peers{
      count_classes("a", 0, std::vector<std::uint32_t>{0, 1, 3}, labels, 3),
      count_classes("b", 1, std::vector<std::uint32_t>{2, 4, 5}, labels, 3)};
  CHECK(table_lines(peers, names, true) ==
        std::vector<std::string>{"peer          cat  dog wol~   images",
                                 "a               1    2    0        3",
                                 "b               0    1    2        3",
                                 "all             1    3    2        6"});
  const auto json = nlohmann::json::parse(
      table_json(partition("classes:2"), 2, peers, names));
  CHECK(json["partition"] == "classes:2");
  CHECK(json["shards"] == 2);
  CHECK(json["classes"] == names);
  CHECK(json["peers"][1]["name"] == "b");
  CHECK(json["peers"][1]["shard"] == 1);
  CHECK(json["peers"][1]["images"] == 3);
  CHECK(json["peers"][1]["counts"] == std::vector<int>{0, 1, 2});
  CHECK(json["counts"] == std::vector<int>{1, 3, 2});
  CHECK(json["images"] == 6);
}

TEST_CASE("a class table shows no name that would break it", "[partition]") {
  const std::vector<std::string> names{"a\nb", "\x1b[31m",
                                       "h\u00e9\u00e9\u00e9"};
  const std::vector<PeerClasses> peers{
      count_classes("p\n", 0, std::vector<std::uint32_t>{0},
                    std::vector<std::int32_t>{0}, 3)};
  const std::vector<std::string> lines = table_lines(peers, names, false);
  REQUIRE(lines.size() == 2);
  for (const std::string& line : lines)
    CHECK(line.find_first_of("\n\x1b") == std::string::npos);
  CHECK(contains(lines[0], {"a?b", "?[3~", "h\u00e9~"}));
}

TEST_CASE("a class table of many peers and classes is cut short, its file not",
          "[partition]") {
  const auto labels = some_labels(30);
  const Shards shards = cut("iid", labels, 50);
  std::vector<PeerClasses> peers;
  for (std::uint32_t i = 0; i < 50; ++i)
    peers.push_back(
        count_classes("p" + std::to_string(i), i, shards[i], labels, 40));
  const auto lines = table_lines(peers, {}, true);
  REQUIRE(lines.size() == 1 + 20 + 1 + 1 + 1);
  CHECK(lines[20].starts_with("p19 "));
  CHECK(lines[21] == "and 30 more peers");
  CHECK(lines[23] == "10 of 40 classes are in nobody's data");
  const auto json = nlohmann::json::parse(table_json({}, 50, peers, {}));
  CHECK(json["peers"].size() == 50);
  CHECK(json["counts"].size() == 40);
  CHECK(json["images"] == labels.size());
}

TEST_CASE("images without labels are counted as well", "[partition]") {
  const std::vector<PeerClasses> peers{
      count_classes("\xff", 0, std::vector<std::uint32_t>{0, 1, 3}, {}, 0)};
  CHECK(table_lines(peers, {}, true).size() == 2);
  const auto json =
      nlohmann::json::parse(table_json(partition("sizes:zipf"), 1, peers, {}));
  CHECK(json["peers"][0]["images"] == 3);
  CHECK(json["peers"][0]["counts"].empty());
}

}  // namespace mdgan::test
