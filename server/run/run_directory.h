// The folder of one run:
//   config.ini   the configuration in force; --config takes it
//   log.txt      what the server said      stats.jsonl  one line a tick
//   samples/     pictures                  checkpoints/ the server's state
//   peers/       the state of local peers  lock         held while in use
//   incarnation  starts so far             partition.json  local peers' classes
//   status.json  how it stands now (server/run/README.md)
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/files/file_descriptor.h"

namespace mdgan {

// Holds the folder's lock while it lives: the kernel lets go of it when the
// process dies, however it dies.
class RunDirectory {
 public:
  // A new folder PARENT/NNNNN-NAME with the next free number. Processes that do
  // this at the same time get different numbers.
  static Result<RunDirectory> create_numbered(
      const std::filesystem::path& parent, const std::string& name);

  // Exactly this folder, made if there is none. Fails with kConfiguration when
  // it holds a run already.
  static Result<RunDirectory> create(const std::filesystem::path& path);

  // The folder of an existing run, to go on with it. Fails with kCheckpoint
  // when there is none, and when its config.ini has been emptied: an empty
  // configuration would mean the defaults.
  static Result<RunDirectory> reopen(const std::filesystem::path& path);

  // All fail with kConfiguration when another process uses the folder, naming
  // that process, and with kCheckpoint when it cannot be written.

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path status() const { return path_ / "status.json"; }
  std::filesystem::path stats() const { return path_ / "stats.jsonl"; }
  std::filesystem::path samples() const { return path_ / "samples"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path peers() const { return path_ / "peers"; }
  std::filesystem::path partition() const { return path_ / "partition.json"; }

  Result<void> write_configuration(const std::string& text) const;

  // 1 at the run's first start and one more at each later one, so that what was
  // meant for an earlier server of this run is recognised. Fails with
  // kCheckpoint.
  Result<std::uint32_t> next_incarnation() const;

 private:
  RunDirectory(std::filesystem::path path, FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  static Result<RunDirectory> lock(const std::filesystem::path& path);
  Result<void> make_folders() const;

  std::filesystem::path path_;
  FileDescriptor lock_;
};

}  // namespace mdgan
