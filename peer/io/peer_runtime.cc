#include "peer/io/peer_runtime.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/base/time.h"
#include "common/files/hash.h"
#include "common/tensor/quantise.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

// Peers keep the checkpoints that a server, stopped at any moment, may ask for.
constexpr std::size_t kKeepLast = 3;

std::optional<RunId> run_of(const fs::path& folder) {
  RunId run{};
  if (!from_hex(folder.filename().string(), run)) return std::nullopt;
  return run;
}

// The run that was saved to last below `state`.
std::optional<RunId> newest_run(const fs::path& state) {
  std::optional<RunId> newest;
  fs::file_time_type newest_time;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(state, failure)) {
    const auto run = run_of(entry.path());
    const auto time = entry.last_write_time(failure);
    if (run && !failure && (!newest || newest_time < time)) {
      newest = run;
      newest_time = time;
    }
  }
  return newest;
}

double seconds_since(TimePoint start) { return seconds(Clock::now() - start); }

}  // namespace

PeerState unpacked(const PeerState& state) {
  PeerState result = state;
  for (Blob* blob :
       {&result.parameters, &result.first_moment, &result.second_moment})
    if (!blob->empty()) *blob = from_bfloat16(*blob);
  return result;
}

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
      keep_every_(keep_every) {}

fs::path PeerRuntime::folder(const RunId& run) const {
  return peer_.state / to_hex(run);
}

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
  MDGAN_CHECK(offer.has_value());
  if (!offer->run) return hello;
  hello.held_run = *offer->run;
  if (ever_prepared) hello.held_round = session.held_round();
  for (const Round round : offer->rounds)
    if (std::ranges::find(bad_, round) == bad_.end())
      hello.checkpoints.push_back(round.value);
  if (hello.checkpoints.size() > protocol::kMaxOffers)
    hello.checkpoints.erase(
        hello.checkpoints.begin(),
        hello.checkpoints.end() - std::ptrdiff_t{protocol::kMaxOffers});
  return hello;
}

std::function<Offer()> PeerRuntime::find_offer() const {
  std::optional<RunId> run;
  if (ever_prepared) run = session.run();
  return [run, state = peer_.state] {
    Offer found{run ? run : newest_run(state), {}};
    if (found.run)
      found.rounds = CheckpointStore(state / to_hex(*found.run), 1, 0).rounds();
    return found;
  };
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
    // Of another architecture it is of no use, and nobody will ask for it.
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
  loss_ = trainer_->learn(round, steps, batch.sent, batch.labels);
  seconds_ = seconds_since(start);
}

ComputedFeedback PeerRuntime::compute_feedback(Round round,
                                               const SharedBatch& batch) {
  const auto start = Clock::now();
  ComputedFeedback result;
  const PeerFeedback answer = trainer_->feedback(batch.sent, batch.labels);
  switch (codecs_.feedback) {
    case FeedbackCodec::kFloat32:
      result.tensors = {answer.feedback};
      if (!answer.logits.empty()) result.tensors.push_back(answer.logits);
      break;
    case FeedbackCodec::kBfloat16:
      result.tensors = {to_bfloat16(answer.feedback), answer.logits};
      break;
    case FeedbackCodec::kInt8: {
      Random random(spec_.seed, Purpose::kFeedbackRounding, trained_as_.value,
                    round.value);
      const ScaledInt8 packed = to_int8(answer.feedback, random.next64());
      result.tensors = {packed.values, answer.logits, packed.scales};
      break;
    }
  }
  result.discriminator_loss = loss_;
  result.generator_loss = answer.generator_loss;
  result.seconds = seconds_ + seconds_since(start);
  return result;
}

PeerState PeerRuntime::packed(bool with_optimizer) const {
  PeerState state = trainer_->snapshot(with_optimizer);
  if (codecs_.swap == SwapCodec::kBfloat16)
    for (Blob* blob :
         {&state.parameters, &state.first_moment, &state.second_moment})
      if (!blob->empty()) *blob = to_bfloat16(*blob);
  return state;
}

std::function<Result<void>()> PeerRuntime::copy_to_save(const RunId& run,
                                                        Round round) const {
  PeerState state = trainer_->snapshot(true);
  const nlohmann::json meta{{"adam_steps", state.adam_steps},
                            {"peer", trained_as_.value},
                            {"name", peer_.name}};
  return [state = std::move(state), history = trainer_->history(),
          store_at = folder(run), every = keep_every_, round,
          meta = meta.dump()]() -> Result<void> {
    std::vector<NamedBlob> tensors{
        NamedBlob{"discriminator", state.parameters},
        NamedBlob{"adam.first_moment", state.first_moment},
        NamedBlob{"adam.second_moment", state.second_moment}};
    std::ranges::copy(history, std::back_inserter(tensors));
    CheckpointStore store(store_at, kKeepLast, every);
    if (auto opened = store.open_for_writing(); !opened) return opened;
    return store.save(round, tensors, meta);
  };
}

Result<void> PeerRuntime::restore(const RunId& run, Round round) {
  const auto saved = CheckpointStore(folder(run), kKeepLast, 0).load(round);
  if (!saved) return saved.error();
  PeerState state;
  for (const NamedBlob& tensor : saved->tensors) {
    if (tensor.name == "discriminator") state.parameters = tensor.blob;
    if (tensor.name == "adam.first_moment") state.first_moment = tensor.blob;
    if (tensor.name == "adam.second_moment") state.second_moment = tensor.blob;
  }
  const auto meta = nlohmann::json::parse(saved->meta, nullptr, false);
  if (!meta.is_object() || !meta.contains("adam_steps") ||
      !meta["adam_steps"].is_number_unsigned())
    return Error{"the checkpoint of round " + std::to_string(round.value) +
                     " in " + folder(run).string() + " names no adam_steps",
                 ExitCode::kCheckpoint};
  state.adam_steps = meta["adam_steps"].get<std::uint64_t>();
  if (auto loaded = trainer_->load(state); !loaded) return loaded;
  trainer_->load_history(saved->tensors);
  return {};
}

}  // namespace mdgan
