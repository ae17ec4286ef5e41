// The options of the commands that look at runs or end them.

#include "common/options/text.h"
#include "protocol/limits.h"
#include "server/command_options.h"
#include "server/train_options.h"

namespace mdgan {
namespace {

constexpr std::string_view kStatusIntro =
    R"(Says how a run stands: in a sentence first, then for each peer. RUN is its
folder; without it, the one under runs/ whose server was heard of last. It only
reads: a run that trains is not disturbed.

Usage: mdgan-server status [RUN] [--watch | --json]

)";

constexpr std::string_view kViewIntro =
    R"(Serves a run's page for a browser: how it goes, its pictures, curves, peers and
events, from the files of its folder alone, whether it trains, has ended, or runs on
another machine that shares the disk. RUN is its folder; without it, the one under
runs/ whose server was heard of last. /metrics is for Prometheus. Ctrl-C ends it.
`mdgan-server train --http ADDRESS:PORT` serves the same beside training.

Usage: mdgan-server view [RUN] [--KEY VALUE ...]

)";

constexpr std::string_view kStopIntro =
    R"(Ends a run as SIGTERM does: its server finishes the round, saves, tells the
peers and ends with code 10; `mdgan-server train --resume RUN` goes on. Waits
until the server is gone, and says what happened.

Usage: mdgan-server stop RUN

Exit code: 0 the run is saved and over, or was before; 5 its server was killed
earlier, or runs elsewhere; else the server's own.
)";

constexpr std::string_view kInspectIntro =
    R"(Says what a file or folder is: a run, a checkpoint of a server or a peer, or
a generator as `mdgan-server export` writes it; with round, model, number of
parameters and shapes. Sizes and hashes are verified, and damage is told.

A model of your own, a TorchScript file, is run as a start of training does, which
says what it lacks or prints its parameters and whether penalties can be used. What
it was made for is to be given:
  mdgan-server inspect mlp.pt --image 1x28x28 --condition acgan --classes 10

Usage: mdgan-server inspect FILE|FOLDER [--KEY VALUE ...]

)";

}  // namespace

Result<ParsedCommand> parse_status(std::span<const char* const> arguments) {
  StatusOptions o;
  OptionTable table(
      {{"Options",
        {{"watch", &o.watch, "",
          "Show it again every second until the run is over; where the output "
          "is no terminal, a line whenever the sentence changes."},
         {"json", &o.json, "",
          "Show status.json, and in \"server\" whether that runs."}}}});
  if (asks_for_help(arguments))
    return ParsedCommand(HelpRequest{std::string(kStatusIntro) + table.help()});
  o.run = take_word(arguments);
  if (auto done = table.parse(arguments); !done) return done.error();
  if (o.watch && o.json)
    return Error{"--watch and --json exclude each other", ExitCode::kUsage};
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_view(std::span<const char* const> arguments,
                                 const Environment& environment) {
  ViewOptions o;
  OptionTable table(
      {{"Options",
        {{"http", &o.http, "ADDRESS:PORT",
          "Where the page is. Port 0: any free one. Other machines need "
          "--http-token, or a tunnel such as `ssh -L 8080:127.0.0.1:8080 "
          "HOST`."},
         {"http-token", &o.http_token, "FILE", kHttpTokenHelp}}}});
  if (asks_for_help(arguments))
    return ParsedCommand(HelpRequest{std::string(kViewIntro) + table.help()});
  o.run = take_word(arguments);
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_stop(std::span<const char* const> arguments) {
  StopOptions o;
  if (asks_for_help(arguments))
    return ParsedCommand(HelpRequest{std::string(kStopIntro)});
  o.run = take_word(arguments);
  if (o.run.empty() || !arguments.empty())
    return Error{"which run? Give its folder: mdgan-server stop RUN",
                 ExitCode::kUsage};
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_inspect(std::span<const char* const> arguments) {
  InspectOptions o;
  OptionTable table(
      {{"A TorchScript file's model",
        {{"image", image_size(&o.image), "CxHxW",
          "Size of its images, such as 1x28x28. Required."},
         {"condition", one_of(&o.condition, kConditionNames), "NAME",
          "How labels enter it, as train's."},
         {"classes",
          &o.classes,
          "N",
          "Number of its classes. Required with a condition.",
          {0, protocol::kMaxClasses}},
         {"latent", &o.latent, "N", "Length of its latents.", {1, 65536}}}}});
  if (asks_for_help(arguments))
    return ParsedCommand(
        HelpRequest{std::string(kInspectIntro) + table.help()});
  o.path = take_word(arguments);
  if (auto done = table.parse(arguments); !done) return done.error();
  if (o.path.empty())
    return Error{"what? Give a file or folder: mdgan-server inspect PATH",
                 ExitCode::kUsage};
  if (o.path.ends_with(".pt") && o.image.values() == 0)
    return Error{"which images is the model in " + o.path +
                     " for? Give their size: --image CxHxW",
                 ExitCode::kUsage};
  o.image.classes = o.condition == Condition::kNone ? 0 : o.classes;
  return ParsedCommand(std::move(o));
}

}  // namespace mdgan
