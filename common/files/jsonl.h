// Metrics as JSON lines: one object a line, appended, so that a reader or a
// crash sees whole lines.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/files/file_descriptor.h"

namespace mdgan {

// Threads: one at a time.
class JsonlWriter {
 public:
  // Makes the file if there is none; cuts off a last line without an end, which
  // a crash left. Fails with kCheckpoint.
  static Result<JsonlWriter> open(const std::filesystem::path& path);

  // Appends the line and its end in one write. On an error (a full disk) the
  // file is as before and the writer stays usable: later lines may succeed.
  // REQUIRES: no line end in `line`.
  Result<void> append(std::string_view line);

 private:
  JsonlWriter(std::string path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::string path_;
  FileDescriptor file_;
};

// For a resumed run: drops, atomically, the lines whose "round" is greater than
// `round`, and a last line without an end. Lines without a "round" stay. A
// missing file is no error. Fails with kCheckpoint.
Result<void> truncate_after_round(const std::filesystem::path& path,
                                  Round round);

}  // namespace mdgan
