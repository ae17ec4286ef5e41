#include "server/advice.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/algorithm.h"
#include "protocol/frames.h"

namespace mdgan {
namespace {

// At this share of the rounds that computing alone allows, more staleness is
// not worth its price.
constexpr double kEnough = 0.9;
constexpr std::array<std::uint32_t, 5> kStalenesses{0, 1, 2, 4, 8};
constexpr TensorCodecs kSmall{.image = ImageCodec::kUint8,
                              .feedback = FeedbackCodec::kInt8};

std::string bytes_text(std::uint64_t bytes) {
  return bytes < 1'000'000
             ? fmt::format("{:.0f} kB", static_cast<double>(bytes) / 1e3)
             : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string_view name_of(Expectation::Bound bound) {
  switch (bound) {
    case Expectation::Bound::kRate:
      return "the rate";
    case Expectation::Bound::kRoundTrip:
      return "the round trip";
    case Expectation::Bound::kComputing:
      break;
  }
  return "computing";
}

std::string_view codecs_text(const TensorCodecs& codecs) {
  return codecs == kSmall ? "uint8, int8" : "float32";
}

}  // namespace

RoundBytes round_bytes(const ServerOptions& options,
                       const TensorCodecs& codecs) {
  ClassNames classes;
  ImageShape image = options.image;
  if (options.condition != Condition::kNone) {
    classes = options.classes.empty() ? numbered_classes(10) : options.classes;
    image.classes = static_cast<std::uint32_t>(classes.size());
  }
  const TrainingSpec spec = training_spec(options, image, classes);
  const std::uint64_t batches =
      batches_per_round(options, options.min_peers) > 1 ? 2 : 1;
  return {batches * protocol::total_bytes(batch_metas(spec, codecs, 0)),
          protocol::total_bytes(answer_metas(spec, codecs, 0))};
}

Expectation expect(const AdviseOptions& options, std::uint32_t staleness,
                   const TensorCodecs& codecs) {
  const RoundBytes bytes = round_bytes(options.training, codecs);
  const double rate = options.bits_per_second / 8;
  const auto fuller =
      static_cast<double>(std::max(bytes.to_peer, bytes.from_peer));
  const auto all = static_cast<double>(bytes.to_peer + bytes.from_peer);
  using enum Expectation::Bound;
  const std::pair<double, Expectation::Bound> bounds[]{
      {1 / options.computing, kComputing},
      {rate / fuller, kRate},
      {(staleness + 1) / (options.round_trip + options.computing + all / rate),
       kRoundTrip}};
  const auto& least = *std::ranges::min_element(
      bounds, {}, [](const auto& bound) { return bound.first; });
  return {staleness, codecs, least.first, least.second};
}

std::string advice(const AdviseOptions& options) {
  const RoundBytes plain = round_bytes(options.training, {});
  std::string text = fmt::format(
      "Of a round a peer gets {} and sends {}, in float32; all peers together "
      "compute\n{:.0f} ms for it.\n\n"
      "staleness  codecs       rounds/s  bounded by\n",
      bytes_text(plain.to_peer), bytes_text(plain.from_peer),
      1000 * options.computing);
  std::vector<Expectation> all;
  for (const TensorCodecs& codecs : {TensorCodecs{}, kSmall})
    for (const std::uint32_t staleness : kStalenesses)
      all.push_back(expect(options, staleness, codecs));
  for (const Expectation& e : all)
    text += fmt::format("{:9}  {:11}  {:8.1f}  {}\n", e.staleness,
                        codecs_text(e.codecs), e.rounds_per_second,
                        name_of(e.bound));
  const auto speed = [](const Expectation& e) { return e.rounds_per_second; };
  const Expectation* best = &*std::ranges::max_element(all, {}, speed);
  const auto enough = std::ranges::find_if(all, [&](const Expectation& e) {
    return e.rounds_per_second >= kEnough / options.computing;
  });
  if (enough != all.end()) best = &*enough;
  text += fmt::format("\nTake --staleness {}", best->staleness);
  if (best->codecs == kSmall)
    text += " --image-codec uint8 --feedback-codec int8";
  text += fmt::format(": {:.1f} rounds/s, bounded by {}.\n",
                      best->rounds_per_second, name_of(best->bound));
  if (enough == all.end())
    text +=
        "Peers then wait for the network: --local-steps 5 --replay lets the\n"
        "discriminators learn more from each round meanwhile.\n";
  if (best->staleness > 0)
    text +=
        "Staleness has a price in what a round teaches the generator: see\n"
        "configs/experiments/results/far-apart.md.\n";
  return text;
}

}  // namespace mdgan
