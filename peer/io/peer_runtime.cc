#include "peer/io/peer_runtime.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "common/augment/adaptive_probability.h"
#include "common/base/random.h"
#include "common/base/time.h"
#include "common/files/hash.h"
#include "peer/io/packing.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

double seconds_since(TimePoint start) { return seconds(Clock::now() - start); }

}  // namespace

PeerRuntime::PeerRuntime(WorkerPool& pool, WorkerPool& file_pool,
                         LaneReturns& returns, PeerSetup peer,
                         std::shared_ptr<const Dataset> data,
                         const PeerArithmetic& arithmetic,
                         std::uint64_t keep_every)
    : training(pool, returns),
      files(file_pool, returns),
      nonce(random_number()),
      peer_(std::move(peer)),
      data_(std::move(data)),
      arithmetic_(arithmetic),
      saved_(peer_.is_private ? peer_.state / "private" : peer_.state,
             peer_.name, keep_every) {}

protocol::Hello PeerRuntime::hello(const std::string& endpoint) const {
  protocol::Hello hello;
  hello.session = number;
  hello.name = peer_.name;
  hello.index = peer_.index;
  hello.shard_size = peer_.shard.size();
  hello.image = data_->shape;
  hello.endpoint = endpoint;
  hello.nonce = nonce;
  hello.abilities = protocol::known_abilities();
  if (evaluation) hello.abilities.emplace_back(protocol::kEvaluation);
  MDGAN_CHECK(offer.has_value());
  if (ever_prepared) hello.held = session.held();
  if (const auto staged = session.staged()) hello.saved.push_back(*staged);
  for (const protocol::Held& saved : *offer)
    if (std::ranges::find(bad_, saved) == bad_.end() &&
        hello.saved.size() < protocol::kMaxOffers)
      hello.saved.push_back(saved);
  return hello;
}

std::string PeerRuntime::defect_of(const PeerState& state) const {
  const auto valid = trainer_->validate(state);
  return valid ? "" : valid.error().message;
}

std::optional<Error> PeerRuntime::prepare(PeerId peer,
                                          const protocol::Welcome& welcome,
                                          const TensorCodecs& codecs) {
  codecs_ = codecs;
  if (!trainer_ || spec_ != welcome.spec || trained_as_ != peer) {
    std::optional<PeerState> kept;
    std::vector<NamedBlob> history;
    if (trainer_) {
      kept = trainer_->snapshot(true);
      history = trainer_->history();
    }
    trainer_.reset();
    auto trainer =
        arithmetic_.make_trainer(welcome.spec, data_, peer_.shard, peer);
    if (!trainer) return trainer.error();
    trainer_ = std::move(*trainer);
    spec_ = welcome.spec;
    trained_as_ = peer;
    // A kept discriminator of another architecture is of no use, and nobody
    // will ask for it.
    if (kept && trainer_->validate(*kept)) (void)trainer_->load(*kept).ok();
    trainer_->load_history(history);
  }
  // What a copy of another's D will be trained on belongs to this run.
  if (welcome.start == protocol::Start::kReceive) trainer_->load_history({});
  if (trainer_->schema() != welcome.schema ||
      trainer_->parameter_count() != welcome.parameters)
    return Error{"the server's discriminator '" + welcome.spec.model +
                     "' has " + std::to_string(welcome.parameters) +
                     " parameters, ours has " +
                     std::to_string(trainer_->parameter_count()) +
                     " or other names and shapes: server and peer are of "
                     "different versions, install the same",
                 ExitCode::kConfiguration};
  return std::nullopt;
}

void PeerRuntime::learn(Round round, std::uint32_t steps,
                        const SharedBatch& batch) {
  const auto start = Clock::now();
  trainer_->learn(round, steps, batch.sent, batch.labels);
  seconds_ = seconds_since(start);
}

ComputedFeedback PeerRuntime::compute_feedback(Round round,
                                               const SharedBatch& batch) {
  const auto start = Clock::now();
  ComputedFeedback result;
  const PeerFeedback answer = trainer_->feedback(batch.sent, batch.labels);
  Random random(spec_.seed, Purpose::kFeedbackRounding, trained_as_.value,
                round.value);
  result.tensors = pack_feedback(answer, codecs_.feedback, random.next64());
  result.discriminator_loss = answer.discriminator_loss;
  result.generator_loss = answer.generator_loss;
  result.seconds = seconds_ + seconds_since(start);
  result.privacy = trainer_->privacy();
  return result;
}

std::vector<NamedBlob> PeerRuntime::of_shard() const {
  std::vector<NamedBlob> kept = trainer_->history();
  std::erase_if(kept, [](const NamedBlob& tensor) {
    return tensor.name != AdaptiveProbability::kSavedAs;
  });
  return kept;
}

PeerState PeerRuntime::packed(bool with_optimizer) const {
  return pack_state(trainer_->snapshot(with_optimizer), codecs_.swap);
}

std::function<Result<void>()> PeerRuntime::copy_to_save(
    const protocol::Held& as, Round keep) const {
  return [as, keep, state = trainer_->snapshot(true),
          history = trainer_->history(),
          saved = saved_] { return saved.save(as, state, history, keep); };
}

Result<void> PeerRuntime::restore(const protocol::Held& which) {
  const auto saved = saved_.load(which);
  if (!saved) return saved.error();
  const auto state = peer_state_of(*saved);
  if (!state) return state.error();
  if (auto loaded = trainer_->load(*state); !loaded) return loaded;
  trainer_->load_history(saved->tensors);
  return {};
}

}  // namespace mdgan
