// The folder of one run:
//   config.ini   the configuration in force; --config takes it
//   log.txt      what the server said      stats.jsonl  one line a tick
//   samples/     pictures                  checkpoints/ the server's state
//   peers/       the state of local peers  lock         held while in use
//   incarnation  starts so far             partition.json  local peers' classes
//   status.json  how it stands now         events.jsonl  what happened
//   model.pt     a model of the user's own (common/models/script_file.h)
//   tensorboard/ event files, if asked for
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/files/file_descriptor.h"

namespace mdgan {

// Fails with kUsage where `file` is one of those that the program writes into
// the folder of a run, and that nothing else may take the place of.
Result<void> check_output(const std::filesystem::path& file,
                          const std::filesystem::path& run);

// Holds the folder's lock while it lives: the kernel lets go of it when the
// process dies, however it dies.
class RunDirectory {
 public:
  // A new folder PARENT/NNNNN-NAME with the next free number. Processes that do
  // this at the same time get different numbers.
  static Result<RunDirectory> create_numbered(
      const std::filesystem::path& parent, const std::string& name);

  // Exactly this folder, made if there is none, to go on with the run in it or
  // to begin one. Fails with kCheckpoint when it holds a run whose config.ini
  // is missing or empty, which would mean the defaults; one that has trained
  // and whose checkpoints are gone, which would begin anew; or something else
  // than a file where a server writes one. Of a run that is there it changes
  // nothing but `lock`.
  static Result<RunDirectory> open(const std::filesystem::path& path);

  // The same, for the folder of an existing run: fails with kCheckpoint and
  // makes nothing when there is none.
  static Result<RunDirectory> reopen(const std::filesystem::path& path);

  // Whether there is a run to go on with: some checkpoint, damaged or not. A
  // server that was killed before it saved one has not begun.
  static bool has_run(const std::filesystem::path& path);

  // All fail with kConfiguration when another process uses the folder, naming
  // that process, and with kCheckpoint when it cannot be written.

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path log() const { return path_ / "log.txt"; }
  std::filesystem::path status() const { return path_ / "status.json"; }
  std::filesystem::path stats() const { return path_ / "stats.jsonl"; }
  std::filesystem::path events() const { return path_ / "events.jsonl"; }
  std::filesystem::path tensorboard() const { return path_ / "tensorboard"; }
  std::filesystem::path samples() const { return path_ / "samples"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path peers() const { return path_ / "peers"; }
  std::filesystem::path partition() const { return path_ / "partition.json"; }

  Result<void> write_configuration(const std::string& text) const;
  // Those for samples, checkpoints and local peers, where they are missing.
  Result<void> make_folders() const;

  bool holds_run() const { return has_run(path_); }

  // Fails with kCheckpoint where this folder is not at its path any more: it
  // was moved or removed, and what is written goes nowhere.
  Result<void> check_in_place() const;
  // Removes the folder where this start has made it and no run began in it: a
  // start that is refused leaves nothing behind.
  void remove_unless_begun() const;

  // The starts of the run are numbered, so that what was meant for an earlier
  // server of it is recognised.
  // The largest number that is found in the folder's files, but for
  // checkpoints; 0: none. To be asked before this start's status.json is
  // written.
  std::uint32_t last_incarnation() const;
  // The number after `last`. Where none is known: 1 for a run that begins,
  // random bits for one that goes on.
  std::uint32_t next_incarnation(std::uint32_t last) const;
  // Fails with kCheckpoint.
  Result<void> write_incarnation(std::uint32_t incarnation) const;

 private:
  RunDirectory(std::filesystem::path path, FileDescriptor lock,
               FileDescriptor folder)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        folder_(std::move(folder)) {}
  static Result<RunDirectory> open_folder(const std::filesystem::path& path);
  static Result<RunDirectory> lock(const std::filesystem::path& path);

  std::filesystem::path path_;
  FileDescriptor lock_;
  FileDescriptor folder_;  // wherever it is moved to
  bool is_new_ = false;    // this start made the folder
};

}  // namespace mdgan
