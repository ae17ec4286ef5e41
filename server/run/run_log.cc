#include "server/run/run_log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <mutex>
#include <utility>

#include "common/base/terminal.h"
#include "common/base/unblocking_output.h"
#include "common/files/line_writer.h"
#include "common/files/plain_file.h"

namespace mdgan {
namespace {

constexpr const char* kFilePattern = "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v";
constexpr const char* kTerminalPattern = "%H:%M:%S %^%-7l%$ %v";

// Log lines above, the progress line last; one mutex (base_sink's) guards both.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  TerminalSink(int terminal, bool rewrite)
      : terminal_(terminal), output_(terminal), rewrite_(rewrite) {}

  void show(std::string line) {
    const std::lock_guard lock(mutex_);
    const std::string erased = eraser();
    line_ = std::move(line);
    output_.write(erased + drawn());
  }

  // Says once that the log's file cannot be written.
  void complain(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(complained_, true))
      output_.write(eraser() + why + "\n" + drawn());
  }

  // Leaves the line where it is; what follows comes below it.
  void end_line() {
    const std::lock_guard lock(mutex_);
    if (!line_.empty()) output_.write("\n");
    line_.clear();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    output_.write(eraser() + std::string(text.data(), text.size()) + drawn());
  }
  void flush_() override { output_.flush(); }

 private:
  std::string eraser() const {
    return rewrite_ && !line_.empty() ? "\r\033[K" : "";
  }
  std::string drawn() const {
    // A line that wraps could not be erased.
    winsize size{};
    const bool known = ioctl(terminal_, TIOCGWINSZ, &size) == 0;
    const std::size_t columns = known && size.ws_col > 1 ? size.ws_col - 1 : 79;
    return line_.substr(0, columns);
  }

  const int terminal_;
  UnblockingOutput output_;
  const bool rewrite_;
  std::string line_;
  bool complained_ = false;
};

// spdlog's own would wait for the disk.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  FileSink(LineWriter file, WriteQueue queue)
      : file_(std::make_shared<LineWriter>(std::move(file))),
        queue_(std::move(queue)) {}

  void finish() { queue_.finish(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    std::string lines(text.data(), text.size());
    if (lines.ends_with('\n')) lines.pop_back();
    queue_.put([file = file_, lines = std::move(lines)] {
      return file->append(lines);
    });
  }
  void flush_() override {}

 private:
  std::shared_ptr<LineWriter> file_;  // with the writes that wait
  WriteQueue queue_;
};

}  // namespace

struct RunLog::Sinks {
  std::shared_ptr<FileSink> file;
  std::shared_ptr<TerminalSink> terminal;
};

Result<std::unique_ptr<RunLog>> RunLog::open(const Options& options) {
  if (auto plain = check_plain(options.file); !plain) return plain.error();
  auto file = LineWriter::open(options.file);
  if (!file) return file.error();
  auto sinks = std::make_unique<Sinks>();
  sinks->terminal =
      std::make_shared<TerminalSink>(fileno(options.terminal), options.rewrite);
  const auto complain = [terminal = sinks->terminal](const std::string& why) {
    terminal->complain("the log has gaps: " + why);
  };
  const std::string path = file->path();
  sinks->file = std::make_shared<FileSink>(
      std::move(*file), WriteQueue(path, options.post, complain));
  sinks->file->set_pattern(kFilePattern);
  sinks->terminal->set_pattern(kTerminalPattern);
  if (options.quiet) sinks->terminal->set_level(spdlog::level::warn);
  auto logger = std::make_shared<spdlog::logger>(
      "mdgan", spdlog::sinks_init_list{sinks->file, sinks->terminal});
  logger->flush_on(spdlog::level::info);
  // spdlog's own handler would wait for whoever reads stderr.
  logger->set_error_handler(complain);
  spdlog::set_default_logger(std::move(logger));
  return std::unique_ptr<RunLog>(new RunLog(options, std::move(sinks)));
}

RunLog::RunLog(const Options& options, std::unique_ptr<Sinks> sinks)
    : options_(options), sinks_(std::move(sinks)) {}

RunLog::~RunLog() {
  sinks_->terminal->end_line();
  sinks_->file->finish();
  log_to_stderr(kTerminalPattern);
}

void RunLog::show_progress(const std::string& text) {
  if (!options_.rewrite) {
    spdlog::info(text);
    return;
  }
  // A person at a terminal sees the line; the file gets it as any other.
  spdlog::details::log_msg message("mdgan", spdlog::level::info, text);
  sinks_->file->log(message);
  if (!options_.quiet) sinks_->terminal->show(text);
}

}  // namespace mdgan
