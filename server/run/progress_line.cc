#include "server/run/progress_line.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>
#include <mutex>

namespace mdgan {
namespace {

constexpr const char* kFilePattern = "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v";
constexpr const char* kTerminalPattern = "%H:%M:%S %^%-7l%$ %v";

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e8) return "?";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60,
                       whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bytes_text(std::uint64_t bytes) {
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", value, bytes < 1024 ? 0 : 1, unit);
}

// Log lines above, the progress line last; one mutex (base_sink's) guards both.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  TerminalSink(std::FILE* terminal, bool rewrite)
      : terminal_(terminal), rewrite_(rewrite) {}

  void show(std::string line) {
    const std::lock_guard lock(mutex_);
    line_ = std::move(line);
    erase();
    draw();
    std::fflush(terminal_);
  }

  // Leaves the line where it is; what follows comes below it.
  void end_line() {
    const std::lock_guard lock(mutex_);
    if (!line_.empty()) std::fputc('\n', terminal_);
    line_.clear();
    std::fflush(terminal_);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    erase();
    std::fwrite(text.data(), 1, text.size(), terminal_);
    draw();
    std::fflush(terminal_);
  }
  void flush_() override { std::fflush(terminal_); }

 private:
  void erase() {
    if (rewrite_ && !line_.empty()) std::fputs("\r\033[K", terminal_);
  }
  void draw() {
    // A line that wraps could not be erased.
    winsize size{};
    const bool known = ioctl(fileno(terminal_), TIOCGWINSZ, &size) == 0;
    const std::size_t columns = known && size.ws_col > 1 ? size.ws_col - 1 : 79;
    std::fwrite(line_.data(), 1, std::min(line_.size(), columns), terminal_);
  }

  std::FILE* terminal_;
  const bool rewrite_;
  std::string line_;
};

}  // namespace

struct ProgressLine::Sinks {
  std::shared_ptr<spdlog::sinks::sink> file;
  std::shared_ptr<TerminalSink> terminal;
};

void RemainingTime::add(double seconds_per_round) {
  constexpr double kWeight = 0.2;  // about the last five ticks
  average_ = empty_ ? seconds_per_round
                    : average_ + kWeight * (seconds_per_round - average_);
  empty_ = false;
}

std::string progress_text(const StatsRecord& record, std::uint64_t rounds,
                          double seconds_left, std::uint64_t total_sent,
                          std::uint64_t total_received) {
  std::string text = fmt::format(
      "round {}/{}  {:.1f} rounds/s  {} left  D {:.3f}  G {:.3f}  {} peer{}  "
      "sent {}  received {}",
      record.round, rounds, record.rounds_per_second,
      duration_text(seconds_left), record.d_loss, record.g_loss, record.peers,
      record.peers == 1 ? "" : "s", bytes_text(total_sent),
      bytes_text(total_received));
  if (record.evaluation)
    text += fmt::format("  {} at {}", summary(*record.evaluation),
                        record.evaluation->round);
  return text;
}

Result<std::unique_ptr<ProgressLine>> ProgressLine::open(
    const Options& options) {
  auto sinks = std::make_unique<Sinks>();
  try {
    sinks->file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(
        options.log_file.string());
  } catch (const spdlog::spdlog_ex& error) {
    return Error{fmt::format("{}: the log cannot be written: {}",
                             options.log_file.string(), error.what()),
                 ExitCode::kCheckpoint};
  }
  sinks->terminal =
      std::make_shared<TerminalSink>(options.terminal, options.rewrite);
  sinks->file->set_pattern(kFilePattern);
  sinks->terminal->set_pattern(kTerminalPattern);
  if (options.quiet) sinks->terminal->set_level(spdlog::level::warn);
  auto logger = std::make_shared<spdlog::logger>(
      "mdgan", spdlog::sinks_init_list{sinks->file, sinks->terminal});
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return std::unique_ptr<ProgressLine>(
      new ProgressLine(options, std::move(sinks)));
}

ProgressLine::ProgressLine(const Options& options, std::unique_ptr<Sinks> sinks)
    : options_(options), sinks_(std::move(sinks)) {}

ProgressLine::~ProgressLine() {
  sinks_->terminal->end_line();
  auto logger = std::make_shared<spdlog::logger>(
      "mdgan", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(kTerminalPattern);
  spdlog::set_default_logger(std::move(logger));
}

void ProgressLine::tick(const StatsRecord& finished) {
  StatsRecord record = finished;
  if (record.evaluation) evaluation_ = record.evaluation;
  record.evaluation = evaluation_;
  remaining_.add(record.seconds_per_round);
  total_sent_ += record.bytes_sent;
  total_received_ += record.bytes_received;
  const std::uint64_t to_come =
      options_.rounds > record.round ? options_.rounds - record.round : 0;
  const std::string text =
      progress_text(record, options_.rounds, remaining_.of(to_come),
                    total_sent_, total_received_);
  if (!options_.rewrite) {
    spdlog::info(text);
    return;
  }
  // A person at a terminal sees the line; the file gets it as any other.
  spdlog::details::log_msg message("mdgan", spdlog::level::info, text);
  sinks_->file->log(message);
  sinks_->file->flush();
  if (!options_.quiet) sinks_->terminal->show(text);
}

}  // namespace mdgan
