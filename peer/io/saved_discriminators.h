// The discriminators that one peer has on its disk, of every run that it took
// part in:
//
//   STATE/RUN/00001000/      checkpoints, when the server asks for them
//   STATE/RUN/swapped/0, 1/  what exchanges have brought: the one in use, and
//                            one of which it is not known whether it will be
//
// Each names its discriminator in meta.json. Nothing depends on the times of
// files. Errors have ExitCode::kCheckpoint.
//
// Threads: any; one that writes at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/files/checkpoint_store.h"
#include "common/train/discriminator/peer_state.h"
#include "protocol/messages.h"

namespace mdgan {

class SavedDiscriminators {
 public:
  // Touches nothing yet. The checkpoints of the newest rounds stay, and the
  // first at or after each multiple of `keep_every` (0: none).
  SavedDiscriminators(std::filesystem::path state, std::string peer_name,
                      std::uint64_t keep_every);

  // What a hello offers: the newest of each run, as many of each as of the
  // others, and not more than a hello takes.
  std::vector<protocol::Held> offers() const;
  // Where there are checkpoints of more runs than a hello takes: that, in
  // words, and what to do. Else nothing.
  std::string warning_of_many_runs() const;

  Result<SavedState> load(const protocol::Held& which) const;
  // Why this one, which cannot be loaded, may not be done without: another
  // version of the program has saved it. Nothing where it is damaged.
  std::optional<Error> may_be_sound(const protocol::Held& which) const;

  // A checkpoint. `history` is what the trainer keeps besides; the checkpoint
  // of round `keep` stays.
  Result<void> save(const protocol::Held& as, const PeerState& state,
                    const std::vector<NamedBlob>& history, Round keep) const;

  // What an exchange has brought, in the place of an earlier one that is not
  // `in_use`; with what belongs to the shard, whichever discriminator it has.
  Result<void> save_transfer(const protocol::Held& as, const PeerState& state,
                             const std::vector<NamedBlob>& of_shard,
                             DiscriminatorId in_use) const;

 private:
  struct Store {
    std::filesystem::path directory;
    RunId run{};
  };
  std::vector<Store> stores() const;  // of every run
  std::map<RunId, std::vector<protocol::Held>> by_run() const;
  std::vector<Store> stores(RunId run) const;
  static std::vector<NamedBlob> together(const PeerState& state,
                                         const std::vector<NamedBlob>& more);
  std::string meta(const protocol::Held& as, const PeerState& state) const;

  std::filesystem::path state_;
  std::string peer_name_;
  std::uint64_t keep_every_;
};

// The state in what was loaded; fails when it does not say how many steps Adam
// has made. REQUIRES: `saved` is one of save() or save_transfer().
Result<PeerState> peer_state_of(const SavedState& saved);

}  // namespace mdgan
