#include "server/command_options.h"

#include <charconv>

#include "common/keys/authorized_peers.h"
#include "common/net/endpoint.h"
#include "common/options/text.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

constexpr std::string_view kSampleIntro =
    R"(Makes a grid of pictures from a checkpoint of a run.

Usage: mdgan-server sample --run DIR [--KEY VALUE ...]

)";
constexpr std::string_view kSampleExample = R"(
Example: eight pictures of each of the classes 0 and 7
  mdgan-server sample --run runs/00001-mnist-mlp --count 16 --classes 0,7
)";

constexpr std::string_view kEvaluateIntro =
    R"(Measures the generator of a run's checkpoint against real images, under the
names that torch-fidelity uses, and puts the results into the run's
metric-*.jsonl.

Usage: mdgan-server evaluate --run DIR [--KEY VALUE ...]

)";
constexpr std::string_view kEvaluateExample = R"(
Examples
  mdgan-server evaluate --run runs/00001-mnist-mlp --all
with 500 images, as the paper does
  mdgan-server evaluate --run runs/00001-mnist-mlp --samples 500
)";

constexpr std::string_view kExportIntro =
    R"(Writes the generator of a run's checkpoint as a safetensors file, with
PyTorch's names and shapes.

Usage: mdgan-server export --run DIR [--KEY VALUE ...]

)";
constexpr std::string_view kExportExample = R"(
Example
  mdgan-server export --run runs/00001-mnist-mlp --out generator.safetensors
and in Python
  from safetensors.torch import load_file
  weights = load_file("generator.safetensors")
)";

constexpr std::string_view kKeygenIntro =
    R"(Makes the key by which peers know this server, and an empty list of those that
it lets in. Nothing is sent anywhere.

Usage: mdgan-server keygen [--key FILE]

)";

constexpr std::string_view kInviteIntro =
    R"(Prints an invitation for the peer NAME: one line, good once and for a while, to
be sent to whoever runs that peer and to nobody else. There,

  mdgan-peer join LINE

makes the peer's key and leaves the public half here. The server that runs says so,
with the key's fingerprint; compare it by telephone, then `mdgan-server admit NAME`.
A new invitation for a name takes the place of the one before.

Usage: mdgan-server invite NAME [--KEY VALUE ...]

)";
constexpr std::string_view kAdmitIntro =
    R"(Lets in the peer NAME, which joined by its invitation: appends its key to
authorized_peers, which a server that runs reads by itself. Without NAME: shows who
waits, with fingerprints.

Usage: mdgan-server admit [NAME] [--KEY VALUE ...]

)";

// "90m"; whole minutes, hours or days.
CustomValue time_span(std::chrono::seconds* span) {
  return {"a number and m, h or d, such as 24h, of at most 365 days",
          [=] { return std::to_string(span->count() / 3600) + "h"; },
          [=](std::string_view text) {
            std::uint32_t number = 0;
            const char* const end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, number);
            if (read.ec != std::errc{} || end - read.ptr != 1 || number == 0)
              return false;
            const std::uint64_t unit = *read.ptr == 'm'   ? 60
                                       : *read.ptr == 'h' ? 3600
                                       : *read.ptr == 'd' ? 86'400
                                                          : 0;
            if (unit == 0 || number > 365 * 86'400 / unit) return false;
            *span = std::chrono::seconds(number * unit);
            return true;
          }};
}

// Takes the word that a command begins with, if there is one.
std::string take_word(std::span<const char* const>& arguments) {
  if (arguments.empty() || std::string_view(arguments[0]).starts_with('-'))
    return "";
  std::string word = arguments[0];
  arguments = arguments.subspan(1);
  return word;
}

Result<void> check_name(const std::string& name) {
  const std::string defect = defect_of_name(name);
  if (defect.empty()) return {};
  return Error{"the name '" + protocol::presentable(name) + "' " + defect,
               ExitCode::kUsage};
}

// "0,1,2"; empty: none.
CustomValue class_list(std::vector<std::int32_t>* classes) {
  return {"class numbers like 0,1,2",
          [=] {
            std::string text;
            for (const std::int32_t value : *classes)
              text += (text.empty() ? "" : ",") + std::to_string(value);
            return text;
          },
          [=](std::string_view text) {
            std::vector<std::int32_t> values;
            const char* at = text.data();
            const char* const end = at + text.size();
            while (at != end) {
              std::int32_t value = -1;
              const auto [next, error] = std::from_chars(at, end, value);
              if (error != std::errc{} || value < 0) return false;
              values.push_back(value);
              at = next;
              if (at == end) break;
              if (*at++ != ',' || at == end) return false;
            }
            *classes = std::move(values);
            return true;
          }};
}

CustomValue optional_seed(std::optional<std::uint64_t>* seed) {
  return {"a whole number from 0",
          [=] { return *seed ? std::to_string(**seed) : std::string(); },
          [=](std::string_view text) {
            std::uint64_t value = 0;
            const char* const end = text.data() + text.size();
            const auto result = std::from_chars(text.data(), end, value);
            if (result.ec != std::errc{} || result.ptr != end) return false;
            *seed = value;
            return true;
          }};
}

CustomValue weights(bool* ema) {
  return {"one of ema, generator",
          [=] { return std::string(*ema ? "ema" : "generator"); },
          [=](std::string_view text) {
            if (text != "ema" && text != "generator") return false;
            *ema = text == "ema";
            return true;
          }};
}

Option run_option(std::string* run) {
  return {"run", run, "DIR", "The run's folder. Required."};
}

Option round_option(std::uint64_t* round) {
  return {"round",
          round,
          "N",
          "Use the checkpoint of this round. 0: the newest one.",
          {0, 1e12}};
}

ParsedCommand help(std::string_view intro, const OptionTable& table,
                   std::string_view example) {
  return HelpRequest{std::string(intro) + table.help() + std::string(example)};
}

// Sets the table's values; `run` is one of them and must not stay empty.
Result<void> parse_flags(OptionTable& table,
                         std::span<const char* const> arguments,
                         const std::string& run) {
  const auto no_files = [] { return std::vector<std::filesystem::path>(); };
  if (auto done = table.parse(arguments, no_files); !done) return done.error();
  if (run.empty())
    return Error{"which run? Give its folder with --run DIR", ExitCode::kUsage};
  return {};
}

}  // namespace

Result<ParsedCommand> parse_sample(std::span<const char* const> arguments) {
  SampleOptions o;
  OptionTable table(
      {{"Options",
        {run_option(&o.run),
         round_option(&o.round),
         {"count",
          &o.count,
          "N",
          "Number of pictures in the grid.",
          {1, 65536}},
         {"out", &o.out, "FILE", "The PNG file to write."},
         {"classes", class_list(&o.classes), "LIST",
          "The pictures' classes, in turn. Without it: all classes."},
         {"seed", optional_seed(&o.seed), "N",
          "Seed of the latents. Without it: the run's own seed, which gives "
          "the pictures in samples/."}}}});
  if (asks_for_help(arguments))
    return help(kSampleIntro, table, kSampleExample);
  if (auto done = parse_flags(table, arguments, o.run); !done)
    return done.error();
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_evaluate(std::span<const char* const> arguments) {
  EvaluateOptions o;
  OptionTable table(
      {{"Options",
        {run_option(&o.run),
         {"data", &o.data, "DIR",
          "The folder with the real images: the test part of MNIST or CIFAR-10 "
          "files, or a tenth of another folder's images. Without it: the run's "
          "evaluate-data or data."},
         round_option(&o.round),
         {"all", &o.all, "", "Measure every checkpoint there is."},
         {"samples",
          &o.samples,
          "N",
          "Number of generated images, and at most as many real ones; 20 or "
          "more. 0: the run's evaluate-samples.",
          {0, 50'000}},
         {"features", &o.features, "FILE",
          "A TorchScript module that computes the features, such as StyleGAN's "
          "inception-2015-12-05.pt. Without it: as in the run; by default a "
          "classifier, trained once on the data."},
         {"no-ema", &o.no_ema, "",
          "Measure the weights under training rather than their moving "
          "average; the results are only printed."},
         {"cache", &o.cache, "DIR",
          "The folder that keeps trained classifiers. Without it: the run's "
          "evaluate-cache, or ~/.cache/mdgan."}}}});
  if (asks_for_help(arguments))
    return help(kEvaluateIntro, table, kEvaluateExample);
  if (auto done = parse_flags(table, arguments, o.run); !done)
    return done.error();
  if (o.all && o.round > 0)
    return Error{"--all and --round exclude each other", ExitCode::kUsage};
  if (o.samples > 0 && o.samples < 20)
    return Error{"--samples must be 0 or in [20, 50000], not " +
                     std::to_string(o.samples),
                 ExitCode::kUsage};
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_export(std::span<const char* const> arguments) {
  ExportOptions o;
  OptionTable table(
      {{"Options",
        {run_option(&o.run),
         round_option(&o.round),
         {"out", &o.out, "FILE", "The safetensors file to write."},
         {"weights", weights(&o.ema), "WHICH",
          "ema: the moving average that samples come from; generator: the "
          "weights under training."}}}});
  if (asks_for_help(arguments))
    return help(kExportIntro, table, kExportExample);
  if (auto done = parse_flags(table, arguments, o.run); !done)
    return done.error();
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_keygen(std::span<const char* const> arguments) {
  KeygenOptions o;
  OptionTable table({{"Options",
                      {{"key", &o.key, "FILE",
                        "The file to write the secret key to; the public one "
                        "goes beside it, with .pub in place of the "
                        "extension."}}}});
  if (asks_for_help(arguments)) return help(kKeygenIntro, table, "");
  const auto no_files = [] { return std::vector<std::filesystem::path>(); };
  if (auto done = table.parse(arguments, no_files); !done) return done.error();
  if (o.key.empty())
    return Error{"which file? Give it with --key FILE", ExitCode::kUsage};
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_invite(std::span<const char* const> arguments) {
  InviteOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The server's secret key; the list of invitations is beside it."},
         {"address", &o.address, "tcp://HOST:PORT",
          "Where the peer reaches the server. Empty: this host's name, port "
          "5555."},
         {"valid", time_span(&o.valid), "TIME", "How long it is good."}}}});
  if (asks_for_help(arguments)) return help(kInviteIntro, table, "");
  o.name = take_word(arguments);
  const auto no_files = [] { return std::vector<std::filesystem::path>(); };
  if (auto done = table.parse(arguments, no_files); !done) return done.error();
  if (o.name.empty())
    return Error{"whom? Give the peer's name: mdgan-server invite NAME",
                 ExitCode::kUsage};
  if (auto named = check_name(o.name); !named) return named.error();
  if (!o.address.empty()) {
    const auto endpoint = parse_endpoint(o.address, "address");
    if (!endpoint) return endpoint.error();
    if (endpoint->port == "*" || endpoint->host == "*")
      return Error{
          "address must be a host and a port that the peer reaches; "
          "it is '" +
              o.address + "'",
          ExitCode::kUsage};
  }
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_admit(std::span<const char* const> arguments) {
  AdmitOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The server's secret key; the list of those who wait is beside it."},
         {"authorized-peers", &o.authorized_peers, "FILE",
          "The list to append to. Empty: authorized_peers beside the key."}}}});
  if (asks_for_help(arguments)) return help(kAdmitIntro, table, "");
  o.name = take_word(arguments);
  const auto no_files = [] { return std::vector<std::filesystem::path>(); };
  if (auto done = table.parse(arguments, no_files); !done) return done.error();
  if (!o.name.empty())
    if (auto named = check_name(o.name); !named) return named.error();
  return ParsedCommand(std::move(o));
}

}  // namespace mdgan
