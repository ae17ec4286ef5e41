// The options of `mdgan-server advise`.

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/options/text.h"
#include "server/command_options.h"
#include "server/train_options.h"

namespace mdgan {
namespace {

constexpr std::string_view kIntro =
    R"(Says which settings fit a network, from the bytes of a round, the time that a
message needs and the time that a round takes without a network. It trains nothing.

Usage: mdgan-server advise --rtt TIME --uplink RATE --round-time TIME --image CxHxW
                           [--config FILE] [--KEY VALUE ...]

All options of `mdgan-server train` are taken, too: those that change a round's bytes
count (batch, k, min-peers, condition). For example

  mdgan-server advise --config configs/mnist-mlp.ini --image 1x28x28 \
      --min-peers 4 --rtt 50ms --uplink 20Mbit --round-time 25ms

)";

// A positive number with one of the units.
CustomValue with_unit(double* value, std::string expected,
                      std::vector<std::pair<std::string_view, double>> units) {
  return {std::move(expected), [=] { return std::to_string(*value); },
          [value, units = std::move(units)](std::string_view text) {
            double number = 0;
            const char* const end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, number);
            if (read.ec != std::errc{} || !(number > 0) || number > 1e9)
              return false;
            const std::string_view unit(
                read.ptr, static_cast<std::size_t>(end - read.ptr));
            for (const auto& [name, factor] : units)
              if (unit == name) return *value = number * factor, true;
            return false;
          }};
}

CustomValue time_of(double* seconds) {
  return with_unit(seconds, "a time such as 50ms or 1.5s",
                   {{"ms", 1e-3}, {"s", 1}});
}

CustomValue rate_of(double* bits) {
  return with_unit(bits, "a rate such as 20Mbit, 1Gbit or 512kbit",
                   {{"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}});
}

}  // namespace

Result<ParsedCommand> parse_advise(std::span<const char* const> arguments) {
  AdviseOptions o;
  const OptionGroup network{
      "The network",
      {{"rtt", time_of(&o.round_trip), "TIME",
        "The time from the server to the farthest peer and back, as ping shows "
        "it: 50ms.",
        OptionRange{}, Where::kFlagOnly},
       {"uplink", rate_of(&o.bits_per_second), "RATE",
        "The rate of the slowest peer's link: 20Mbit.", OptionRange{},
        Where::kFlagOnly},
       {"round-time", time_of(&o.computing), "TIME",
        "The time of a round without a network: 1 over the rounds a second "
        "that a run with --local-peers shows, on machines like the peers'.",
        OptionRange{}, Where::kFlagOnly}}};
  std::vector<OptionGroup> groups = train_groups(o.training);
  groups.insert(groups.begin(), network);
  OptionTable table(std::move(groups));
  if (asks_for_help(arguments))
    return ParsedCommand(
        HelpRequest{std::string(kIntro) + OptionTable({network}).help()});
  const auto files = [&] {
    return o.training.config.empty()
               ? std::vector<std::filesystem::path>()
               : std::vector<std::filesystem::path>{o.training.config};
  };
  if (auto done = table.parse(arguments, {}, files); !done) return done.error();
  for (const auto& [given, what] :
       {std::pair(o.round_trip, "--rtt TIME"),
        std::pair(o.bits_per_second, "--uplink RATE"),
        std::pair(o.computing, "--round-time TIME")})
    if (given == 0)
      return Error{std::string("advise needs ") + what +
                       "; see mdgan-server advise --help",
                   ExitCode::kUsage};
  if (o.training.image.values() == 0)
    return Error{"advise needs the size of the images: give --image 1x28x28",
                 ExitCode::kUsage};
  if (o.training.training.standalone ||
      o.training.training.algorithm != Algorithm::kMdGan)
    return Error{"advise is for algorithm = md-gan", ExitCode::kUsage};
  o.training.min_peers = std::max(1U, o.training.min_peers);
  return ParsedCommand(std::move(o));
}

}  // namespace mdgan
