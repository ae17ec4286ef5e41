// A file that grows by whole lines, and of which a crash leaves whole lines.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/files/file_descriptor.h"

namespace mdgan {

// Threads: one at a time.
class LineWriter {
 public:
  // Makes the file if there is none; cuts off a last line without an end, which
  // a crash left. Fails with kCheckpoint.
  static Result<LineWriter> open(const std::filesystem::path& path);

  // Appends one or more lines, of which the last comes without its end, in one
  // write. On an error (a full disk) the file is as before and the writer stays
  // usable: later lines may succeed. A file that was removed is made anew.
  Result<void> append(std::string_view lines);

  const std::string& path() const { return path_; }

 private:
  LineWriter(std::string path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::string path_;
  FileDescriptor file_;
};

}  // namespace mdgan
