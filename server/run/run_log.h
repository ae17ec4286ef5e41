// The log of a training server: log.txt has every line; the terminal shows them
// above a progress line.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/files/write_queue.h"

namespace mdgan {

// Makes the process's log (spdlog's default logger) write to a file and to the
// terminal, with time and level. A terminal or pipe that nobody reads, and a
// disk that hangs, cost the lines, never time. Threads: any may log;
// show_progress() and the destructor belong to one. The destructor ends the
// progress line, waits for the file, and gives the log back to stderr alone.
class RunLog {
 public:
  struct Options {
    std::filesystem::path file;    // appended to
    bool quiet = false;            // terminal: warnings and errors only
    std::FILE* terminal = stderr;  // not owned
    bool rewrite = false;          // whether that is a terminal
    WriteQueue::Post post = {};    // the file is written by its thread
  };

  // Fails with kCheckpoint when the log file cannot be written.
  static Result<std::unique_ptr<RunLog>> open(const Options& options);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  // On a terminal the line takes the place of the one before; elsewhere, and in
  // the file, it is a log line as any other.
  void show_progress(const std::string& text);

 private:
  struct Sinks;
  RunLog(const Options& options, std::unique_ptr<Sinks> sinks);

  Options options_;
  std::unique_ptr<Sinks> sinks_;
};

}  // namespace mdgan
