// One peer of the process: its session, its trainer and its checkpoints. The
// loop talks to the session; the trainer is touched by tasks on the lane
// `training` alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/lane.h"
#include "common/base/worker_pool.h"
#include "common/files/newest_file.h"
#include "peer/core/session.h"
#include "peer/io/peer_shell.h"
#include "peer/io/relays.h"
#include "peer/io/saved_discriminators.h"
#include "peer/train/peer_trainer.h"

namespace mdgan {

// What the server sent for a round, shared by all peers of the connection.
struct SharedBatch {
  // Generated images [b, c, h, w] float32, whatever they travelled as; in the
  // other algorithms a replica [P] float32.
  Blob sent;
  Blob labels;  // [b] int32, or empty
};

// What a round's arithmetic gave, on its way to the server.
struct ComputedFeedback {
  std::vector<Blob> tensors;  // of the message, as they travel
  double discriminator_loss = 0;
  double generator_loss = 0;
  double seconds = 0;
  std::optional<PrivacySpent> privacy;  // once this was computed
};

// A discriminator as it came from another peer.
struct IncomingTransfer {
  protocol::Transfer message;
  PublicKey key{};  // of the connection
  PeerState state;
};

class PeerRuntime {
 public:
  PeerRuntime(WorkerPool& pool, WorkerPool& file_pool, LaneReturns& returns,
              PeerSetup peer, std::shared_ptr<const Dataset> data,
              const PeerArithmetic& arithmetic, std::uint64_t keep_every);

  // --- on the loop ---
  Session session;
  Lane training;
  // Measures generators, beside training; none where it has no images for it.
  std::optional<Lane> evaluation;
  std::size_t measuring = 0;  // generators, or waiting for it
  std::map<Round, Result<SiteMetrics>> measured;  // and not sent yet
  Lane files;                // reads and writes its checkpoints
  std::uint32_t number = 0;  // its place in the process
  // The peer id under which the shell's index has this session; see
  // PeerShell::Impl::track().
  std::optional<PeerId> address;
  std::optional<TimePoint> alarm;
  std::vector<PublicKey> let_in;  // on the listener, for its exchanges
  std::uint64_t nonce = 0;        // tells this process from an earlier one
  // How many checkpoints were begun, the newest of them that has ended, and why
  // that is not on the disk; empty if it is. Rounds may go back: another run.
  std::uint64_t saves = 0;
  std::uint64_t newest_save = 0;
  std::string not_saved;
  std::optional<ComputedFeedback> computed;
  std::optional<double> answer_seconds;  // that the last answer took
  std::optional<NewestFile> status;      // its status.json
  std::optional<PrivacySpent> privacy;   // as it was known last
  std::map<std::uint64_t, PeerState> arrivals;
  // What it sends and receives by relay.
  std::map<SwapId, OutgoingRelay> outgoing;
  std::optional<IncomingRelay> incoming;
  // Transfers that came while the trainer was still being made.
  std::vector<IncomingTransfer> early;
  bool ever_prepared = false;  // there has been a trainer: hello offers its D
  bool trainer_ready = false;  // validate() may be called
  std::size_t unpacking = 0;   // transfers that a worker is at
  // None once it may have changed: before the next hello it is made anew.
  std::optional<std::vector<protocol::Held>> offer;
  bool finding_offer = false;
  bool has_looked = false;  // for an offer, ever

  const PeerSetup& peer() const { return peer_; }
  const Dataset& data() const { return *data_; }
  // What hello says. REQUIRES: `offer` is there.
  protocol::Hello hello(const std::string& endpoint) const;
  // To write to and to look into for the next offer: on the lane `files`.
  const SavedDiscriminators& saved() const { return saved_; }
  // Why a discriminator cannot be used; empty if it can.
  // REQUIRES: trainer_ready.
  std::string defect_of(const PeerState& state) const;
  void forget_checkpoint(const protocol::Held& bad) { bad_.push_back(bad); }

  // --- on the lane `training` ---
  // Nothing, or why this peer cannot train what the welcome asks for. A
  // discriminator that is there already stays, whatever else changes.
  std::optional<Error> prepare(PeerId peer, const protocol::Welcome& welcome,
                               const TensorCodecs& codecs);
  std::optional<PrivacySpent> trainer_privacy() const {
    return trainer_ ? trainer_->privacy() : std::nullopt;
  }
  void initialise() { trainer_->initialise(); }
  void learn(Round round, std::uint32_t steps, const SharedBatch& batch);
  ComputedFeedback compute_feedback(Round round, const SharedBatch& batch);
  // What is kept of the shard, whichever discriminator it has.
  std::vector<NamedBlob> of_shard() const;
  // A copy of the discriminator as it travels.
  PeerState packed(bool with_optimizer) const;
  Result<void> load(const PeerState& s) { return trainer_->load(s); }
  // Copies the discriminator. What is returned writes the copy, on any thread,
  // one of this peer's at a time.
  std::function<Result<void>()> copy_to_save(const protocol::Held& as,
                                             Round keep) const;
  Result<void> restore(const protocol::Held& which);

 private:
  PeerSetup peer_;
  std::shared_ptr<const Dataset> data_;
  const PeerArithmetic& arithmetic_;
  SavedDiscriminators saved_;
  std::vector<protocol::Held> bad_;  // could not be read

  std::unique_ptr<PeerTrainer> trainer_;
  TrainingSpec spec_;
  TensorCodecs codecs_;
  PeerId trained_as_;
  double seconds_ = 0;
};

}  // namespace mdgan
