// mdgan-simulate: runs of the coordinator and the sessions in virtual time, one
// for each seed, each with other peers and other faults. Ends with 1 when an
// invariant broke, and says how to see that again.
#include <boost/program_options.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>

#include "tests/support/random_cluster.h"

namespace po = boost::program_options;

namespace mdgan::test {
namespace {

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
};

// "7" or "1..1000".
std::optional<Seeds> parse(const std::string& text) {
  const auto number = [](std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole =
        error == std::errc{} && end == digits.data() + digits.size();
    return whole ? std::optional(value) : std::nullopt;
  };
  const std::string_view view = text;
  const auto dots = view.find("..");
  const auto first = number(view.substr(0, dots));
  const auto last =
      dots == std::string_view::npos ? first : number(view.substr(dots + 2));
  if (!first || !last || *last < *first) return std::nullopt;
  return Seeds{*first, *last};
}

}  // namespace
}  // namespace mdgan::test

int main(int argc, char** argv) {
  po::options_description description(
      "Simulates training runs with faults, one for each seed.\n\n"
      "  mdgan-simulate --seeds 1..10000\n\nOptions");
  std::string text = "1..1000";
  description.add_options()("help", "Show this text.")(
      "seeds", po::value(&text)->default_value(text)->value_name("A..B"),
      "The seeds to run; a single number runs one.")(
      "trace", "Print every message and every fault.");
  po::variables_map given;
  try {
    po::store(po::parse_command_line(argc, argv, description), given);
    po::notify(given);
  } catch (const po::error& e) {
    std::cerr << "mdgan-simulate: " << e.what() << "; see --help\n";
    return 2;
  }
  if (given.contains("help")) {
    std::cout << description;
    return 0;
  }
  const auto seeds = mdgan::test::parse(text);
  if (!seeds) {
    std::cerr << "mdgan-simulate: --seeds takes A..B with A <= B, got '" << text
              << "'\n";
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t failures = 0, events = 0, rounds = 0;
  for (std::uint64_t seed = seeds->first;; ++seed) {
    const mdgan::test::SimulatedRun run = mdgan::test::simulate(
        seed, given.contains("trace") ? &std::cout : nullptr);
    events += run.events;
    rounds += run.rounds;
    if (!run.failure.empty()) {
      ++failures;
      std::cout << run.failure << "\n  again: mdgan-simulate --seeds " << seed
                << std::endl;
    }
    if (seed == seeds->last) break;
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  std::printf("%llu seeds, %llu events, %llu rounds, %llu violations, %.1f s\n",
              static_cast<unsigned long long>(seeds->last - seeds->first + 1),
              static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(failures), took.count());
  return failures == 0 ? 0 : 1;
}
