// Checkpoints of one program, in a directory of its own:
//
//   DIRECTORY/00001000/state.safetensors  the tensors
//                      meta.json          whatever else the program needs
//                      manifest.json      sizes and SHA-256 of the two; it is
//                                         written last
//
// A checkpoint is made under a temporary name and renamed when it is complete
// and on the disk, so that a program or machine that dies at any moment leaves
// the old or the new state, never a mixture. Errors have ExitCode::kCheckpoint.
//
// Threads: one at a time. One writer a directory; readers may be other
// processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/tensor/blob.h"

namespace mdgan {

struct SavedState {
  Round round;
  std::vector<NamedBlob> tensors;
  std::string meta;  // JSON text, as it was given to save()
};

class CheckpointStore {
 public:
  // Touches nothing yet. Kept are the newest `keep_last` (at least 1), the
  // first at or after each multiple of `keep_every` (0: none), and what keep()
  // names.
  CheckpointStore(std::filesystem::path directory, std::size_t keep_last,
                  std::uint64_t keep_every);

  // Makes the directory if need be, and fails when nothing can be written. The
  // writer calls it before its first save(); a program that only reads must
  // not.
  Result<void> open_for_writing();

  // Removes what an earlier process left half done, and saves, replacing a
  // checkpoint of the same round; then removes what need not be kept, and any
  // later round: those are of a past that was rewound. When saving fails all
  // older checkpoints are as they were.
  Result<void> save(Round round, std::span<const NamedBlob> tensors,
                    std::string_view meta);

  // What is saved from now on need not survive the machine, only this process:
  // it is not waited for until it is on the disk.
  void for_this_process() { sync_ = false; }

  // The checkpoint of this round stays whatever is saved.
  void keep(Round round) { kept_ = round; }

  // Whether there is any, complete or not: a directory with none may be begun
  // in. What cannot be read counts.
  bool empty() const;

  // The rounds of the complete checkpoints, ascending; empty when there is no
  // directory.
  std::vector<Round> rounds() const;

  // Verifies format version, sizes and hashes first.
  Result<SavedState> load(Round round) const;

  // The meta data alone, unverified: to choose what to load.
  Result<std::string> meta(Round round) const;

  // Why this checkpoint, which cannot be loaded, may not be passed over for
  // another: it may be sound, of another format version or unreadable. Nothing
  // where it is damaged.
  std::optional<Error> may_be_sound(Round round) const;

  // The newest one that is valid; every newer one is damaged, and reported in
  // the log with what is wrong with it. Nothing when there is no checkpoint at
  // all; an error when there are some and none is valid, or when a newer one
  // cannot be judged: it is of another format version, or cannot be read.
  Result<std::optional<SavedState>> load_latest() const;

 private:
  std::filesystem::path path_of(Round round) const;
  void prune(Round newest) const;
  void remove_stale() const;

  std::filesystem::path directory_;
  std::size_t keep_last_;
  std::uint64_t keep_every_;
  std::optional<Round> kept_;
  bool sync_ = true;
};

}  // namespace mdgan
