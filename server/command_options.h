// The commands of mdgan-server: what each is given, and the command line.
#pragma once

#include <span>
#include <string_view>

#include "server/options.h"

namespace mdgan {

// `mdgan-server sample`: a grid of pictures from a run's newest checkpoint.
struct SampleOptions {
  std::string run;
  std::uint32_t count = 64;
  std::string out = "grid.png";
  // Names, or numbers in the run's order; empty: all, in turn.
  std::vector<std::string> classes;
  std::uint64_t round = 0;            // of the checkpoint; 0: the newest
  std::optional<std::uint64_t> seed;  // nothing: the run's own
};

// What images are measured with; what is empty or 0 is the run's own.
struct MeasureOptions {
  std::string data;
  std::uint32_t samples = 0;
  std::string features;
  std::string cache;
};

// `mdgan-server evaluate`: how good a run's generator is.
struct EvaluateOptions {
  std::string run;
  MeasureOptions measure;
  std::uint64_t round = 0;  // of the checkpoint; 0: the newest
  bool all = false;         // every checkpoint there is
  std::string against;      // a file of statistics; empty: the data's images
  bool tstr = false;        // train a classifier on generated images, too
  bool no_ema = false;
};

enum class ExportFormat { kSafetensors, kNpz };
inline constexpr std::array<std::pair<ExportFormat, std::string_view>, 2>
    kExportFormatNames{{
        {ExportFormat::kSafetensors, "safetensors"},
        {ExportFormat::kNpz, "npz"},
    }};

// `mdgan-server export`: the generator's weights, or the mean and covariance of
// features.
struct ExportOptions {
  std::string run;
  ExportFormat format = ExportFormat::kSafetensors;
  std::string out;          // parsed: never empty
  std::uint64_t round = 0;  // of the checkpoint; 0: the newest
  bool ema = true;  // the moving average rather than the weights under training
  bool real = false;       // features of the real images, not of generated ones
  MeasureOptions measure;  // with kNpz
};

// `mdgan-server advise`: which settings fit a network.
struct AdviseOptions {
  ServerOptions training;
  double round_trip = 0;       // seconds, to the farthest peer and back
  double bits_per_second = 0;  // of the slowest peer's link, each way
  double computing = 0;        // seconds a round, without a network
};

// `mdgan-server keygen`: the server's key.
struct KeygenOptions {
  std::string key = "server.key";
};

// `mdgan-server invite`: an invitation for a peer.
struct InviteOptions {
  std::string name;
  std::string key = "server.key";
  std::string authorized_peers;  // empty: beside the key
  std::string address;           // empty: this host's name, port 5555
  std::chrono::seconds valid = std::chrono::hours(24);
};

// `mdgan-server admit`: lets in a peer that joined.
struct AdmitOptions {
  std::string name;  // empty: shows who waits
  std::string key = "server.key";
  std::string authorized_peers;  // empty: beside the key
};

// `mdgan-server status`: how a run stands.
struct StatusOptions {
  std::string run;  // empty: the one under runs/ whose status is newest
  bool watch = false;
  bool json = false;
};

// `mdgan-server view`: a run's page.
struct ViewOptions {
  std::string run;  // empty: the one under runs/ whose status is newest
  std::string http = "127.0.0.1:8080";
  std::string http_token;
};

// `mdgan-server inspect`: what a file or folder is.
struct InspectOptions {
  std::string path;
  // Of a TorchScript file: what it is tried with.
  ImageShape image;           // all 0: none was given
  std::uint32_t classes = 0;  // 0: none was given
  Condition condition = Condition::kNone;
  std::uint32_t latent = 100;
};

// `mdgan-server stop`: saves and ends a run.
struct StopOptions {
  std::string run;
};

struct VersionRequest {};
struct HelpRequest {
  std::string text;
};

using ParsedCommand =
    std::variant<ServerOptions, SampleOptions, EvaluateOptions, ExportOptions,
                 AdviseOptions, KeygenOptions, InviteOptions, AdmitOptions,
                 StatusOptions, ViewOptions, StopOptions, InspectOptions,
                 VersionRequest, HelpRequest>;

// Reads the command line, for `train`, `view` and the commands for keys also
// the environment, and the files they name. Errors have ExitCode::kUsage, but
// kConfiguration where options contradict the run that they go on with.
Result<ParsedCommand> parse_server_options(int argc, const char* const* argv,
                                           const Environment& environment = {});

// Of `train` and `view`.
inline constexpr std::string_view kHttpTokenHelp =
    "A file with the secret that a browser asks for before it shows the page "
    "(and Prometheus sends as a bearer token), with mode 600. Empty: none, "
    "for a page that only this machine reaches.";

// `arguments` are those after the command.
Result<ParsedCommand> parse_sample(std::span<const char* const> arguments);
Result<ParsedCommand> parse_evaluate(std::span<const char* const> arguments);
Result<ParsedCommand> parse_export(std::span<const char* const> arguments);
Result<ParsedCommand> parse_advise(std::span<const char* const> arguments);
Result<ParsedCommand> parse_keygen(std::span<const char* const> arguments,
                                   const Environment& environment);
Result<ParsedCommand> parse_invite(std::span<const char* const> arguments,
                                   const Environment& environment);
Result<ParsedCommand> parse_admit(std::span<const char* const> arguments,
                                  const Environment& environment);
Result<ParsedCommand> parse_status(std::span<const char* const> arguments);
Result<ParsedCommand> parse_view(std::span<const char* const> arguments,
                                 const Environment& environment);
Result<ParsedCommand> parse_stop(std::span<const char* const> arguments);
Result<ParsedCommand> parse_inspect(std::span<const char* const> arguments);

}  // namespace mdgan
