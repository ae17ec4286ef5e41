#include "server/command_options.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
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
Examples: eight pictures of each of two classes
  mdgan-server sample --run runs/00001-mnist-mlp --count 16 --classes 0,7
  mdgan-server sample --run runs/00002-pets --count 16 --classes cat,dog
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
PyTorch's names and shapes; or, with --format npz, the mean and covariance of
features of its images or of the real ones.

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
            if (unit == 0 || number > std::uint64_t{365} * 86'400 / unit)
              return false;
            *span = std::chrono::seconds(number * unit);
            return true;
          }};
}

Result<void> check_name(const std::string& name) {
  const std::string defect = defect_of_name(name);
  if (defect.empty()) return {};
  return Error{"the name '" + protocol::presentable(name) + "' " + defect,
               ExitCode::kUsage};
}

// "cat,dog"; empty: none.
CustomValue class_list(std::vector<std::string>* classes) {
  return {"classes like cat,dog or 0,1,2",
          [=] { return fmt::format("{}", fmt::join(*classes, ",")); },
          [=](std::string_view text) {
            std::vector<std::string> values;
            for (std::size_t at = 0; !text.empty() && at <= text.size();) {
              const std::size_t end = std::min(text.find(',', at), text.size());
              values.emplace_back(text.substr(at, end - at));
              if (values.back().empty()) return false;
              at = end + 1;
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

// What images are measured with.
OptionGroup measure_group(MeasureOptions& o) {
  return {
      "Measuring",
      {{"data", &o.data, "DIR",
        "The folder with the real images: the test part of MNIST's or CIFAR's "
        "files or of a folder with train/ and test/, or a tenth of another "
        "folder's images. They are read as the run's size, fit, channels and "
        "skip-bad say. Without it: the run's evaluate-data or data."},
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
       {"cache", &o.cache, "DIR",
        "The folder that keeps trained classifiers. Without it: the run's "
        "evaluate-cache, or ~/.cache/mdgan."}}};
}

Result<void> check_samples(const MeasureOptions& o) {
  if (o.samples == 0 || o.samples >= 20) return {};
  return Error{
      "--samples must be 0 or in [20, 50000], not " + std::to_string(o.samples),
      ExitCode::kUsage};
}

ParsedCommand help(std::string_view intro, const OptionTable& table,
                   std::string_view example) {
  return HelpRequest{std::string(intro) + table.help() + std::string(example)};
}

// Sets the table's values; `run` is one of them and must not stay empty.
Result<void> parse_flags(OptionTable& table,
                         std::span<const char* const> arguments,
                         const std::string& run) {
  if (auto done = table.parse(arguments); !done) return done.error();
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
          "The pictures' classes, in turn: names, or numbers in the order of "
          "the run's classes. Without it: all classes. Names stand above the "
          "columns where there are few."},
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
         round_option(&o.round),
         {"all", &o.all, "", "Measure every checkpoint there is."},
         {"against", &o.against, "FILE",
          "Compare with the mean and covariance of features in FILE, as "
          "`export "
          "--format npz` and pytorch-fid write them, and not with images: FID "
          "alone, which is only printed. The features must be the same "
          "network's."},
         {"tstr", &o.tstr, "",
          "Also train a classifier on as many generated images as there are "
          "real ones to train on, and measure it on the real test images, "
          "beside one that real images have trained (train on synthetic, test "
          "on real). For conditional models; it takes minutes."},
         {"no-ema", &o.no_ema, "",
          "Measure the weights under training rather than their moving "
          "average; the results are only printed."}}},
       measure_group(o.measure)});
  if (asks_for_help(arguments))
    return help(kEvaluateIntro, table, kEvaluateExample);
  if (auto done = parse_flags(table, arguments, o.run); !done)
    return done.error();
  if (o.all && o.round > 0)
    return Error{"--all and --round exclude each other", ExitCode::kUsage};
  if (!o.against.empty() && o.tstr)
    return Error{"--against compares features alone: leave out --tstr",
                 ExitCode::kUsage};
  if (auto enough = check_samples(o.measure); !enough) return enough.error();
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_export(std::span<const char* const> arguments) {
  ExportOptions o;
  OptionTable table(
      {{"Options",
        {run_option(&o.run),
         round_option(&o.round),
         {"format", one_of(&o.format, kExportFormatNames), "FORMAT",
          "safetensors: the generator's weights. npz: the mean (mu) and the "
          "covariance (sigma) of features of images, as pytorch-fid keeps "
          "them: `evaluate --against` and pytorch-fid take such files in place "
          "of images."},
         {"out", &o.out, "FILE",
          "The file to write. Empty: generator.safetensors, or features.npz."},
         {"weights", weights(&o.ema), "WHICH",
          "ema: the moving average that samples come from; generator: the "
          "weights under training."},
         {"real", &o.real, "",
          "With npz: of the real images, of which a generator's distance is "
          "measured, rather than of generated ones."}}},
       measure_group(o.measure)});
  if (asks_for_help(arguments))
    return help(kExportIntro, table, kExportExample);
  if (auto done = parse_flags(table, arguments, o.run); !done)
    return done.error();
  if (auto enough = check_samples(o.measure); !enough) return enough.error();
  const bool is_npz = o.format == ExportFormat::kNpz;
  const MeasureOptions& m = o.measure;
  if (!is_npz && (o.real || !m.data.empty() || m.samples != 0 ||
                  !m.features.empty() || !m.cache.empty()))
    return Error{
        "--real, --data, --samples, --features and --cache are for --format "
        "npz: the weights are exported without them",
        ExitCode::kUsage};
  if (o.out.empty()) o.out = is_npz ? "features.npz" : "generator.safetensors";
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_keygen(std::span<const char* const> arguments,
                                   const Environment& environment) {
  KeygenOptions o;
  OptionTable table({{"Options",
                      {{"key", &o.key, "FILE",
                        "The file to write the secret key to; the public one "
                        "goes beside it, with .pub in place of the "
                        "extension."}}}});
  if (asks_for_help(arguments)) return help(kKeygenIntro, table, "");
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (o.key.empty())
    return Error{"which file? Give it with --key FILE", ExitCode::kUsage};
  return ParsedCommand(std::move(o));
}

Result<ParsedCommand> parse_invite(std::span<const char* const> arguments,
                                   const Environment& environment) {
  InviteOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The server's secret key; the list of invitations is beside it."},
         {"authorized-peers", &o.authorized_peers, "FILE",
          "The list that says which names have a key already. Empty: "
          "authorized_peers beside the key."},
         {"address", &o.address, "tcp://HOST:PORT",
          "Where the peer reaches the server. Empty: this host's name, port "
          "5555."},
         {"valid", time_span(&o.valid), "TIME",
          "How long the invitation is valid: 90m, 24h, 7d."}}}});
  if (asks_for_help(arguments)) return help(kInviteIntro, table, "");
  o.name = take_word(arguments);
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (o.name.empty())
    return Error{"no peer named: give its name, as in mdgan-server invite NAME",
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

Result<ParsedCommand> parse_admit(std::span<const char* const> arguments,
                                  const Environment& environment) {
  AdmitOptions o;
  OptionTable table(
      {{"Options",
        {{"key", &o.key, "FILE",
          "The server's secret key; the list of those who wait is beside it."},
         {"authorized-peers", &o.authorized_peers, "FILE",
          "The list to append to. Empty: authorized_peers beside the key."}}}});
  if (asks_for_help(arguments)) return help(kAdmitIntro, table, "");
  o.name = take_word(arguments);
  if (auto done = table.parse(arguments, environment); !done)
    return done.error();
  if (!o.name.empty())
    if (auto named = check_name(o.name); !named) return named.error();
  return ParsedCommand(std::move(o));
}

}  // namespace mdgan
