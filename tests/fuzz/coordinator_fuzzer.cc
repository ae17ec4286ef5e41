// A coordinator whose peers say anything in any order, while its shell answers
// each effect once, sooner or later. The first bytes say how the run is set up;
// each further few are an event.

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "protocol/codec.h"
#include "protocol/limits.h"
#include "server/core/coordinator.h"
#include "tests/fuzz/input.h"
#include "tests/protocol/examples.h"

namespace mdgan::test {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kPeers = 6;
constexpr unsigned kConnections = 5;
constexpr ImageShape kImage{1, 4, 4, 10};
constexpr std::size_t kRemembered = 16;
// Per event: a welcome, a round and its batches, swaps and notes for each peer.
constexpr std::size_t kMostEffects = 20 * kPeers + 100;

CoordinatorConfig config_from(Input& input) {
  CoordinatorConfig c;
  c.run[0] = std::byte{1};
  c.k = 1U + input.below(3);
  c.algorithm = static_cast<Algorithm>(input.below(3));
  c.swap_epochs = input.below(3) * 0.01;
  c.rounds = 1U + input.below(40);
  c.min_peers = 1U + input.below(4);
  c.quorum = input.below(5) * 0.25;
  c.checkpoint_every = input.below(4);
  const std::uint32_t known = input.below(4);
  if (known % 2 == 1) c.image = kImage;
  c.conditional = known >= 2;
  return c;
}

RunPosition position_from(Input& input, const CoordinatorConfig& config) {
  RunPosition position;
  if (input.below(4) != 1) return position;
  position.completed = {input.byte() % config.rounds};
  const std::uint32_t peers = input.below(kPeers);
  for (std::uint32_t i = 0; i < peers; ++i) {
    position.names[std::string(1, static_cast<char>('a' + i))] = {i};
    if (input.below(2) == 1) position.discriminators[{i}] = {100ULL + i};
  }
  return position;
}

class Server {
 public:
  explicit Server(Input& input)
      : input_(input),
        config_(config_from(input)),
        coordinator_(config_, position_from(input, config_)),
        stepped_(coordinator_.position().completed) {
    feed(Started{});
  }

  bool over() const { return finished_; }

  void step() {
    switch (input_.below(13)) {
      case 0:
      case 1:
        return hello();
      case 2:
      case 3:
        return answer();
      case 4:
      case 5:
        return repeat();
      case 6:
        return any_message();
      case 7:
        return feed(ConnectionLost{{input_.below(kConnections)}});
      case 8:
        now_ += std::chrono::milliseconds(100 * (1 + input_.byte()));
        return feed(TimePassed{});
      case 9:
        if (const auto due = coordinator_.next_deadline())
          now_ = std::max(now_, *due);
        return feed(TimePassed{});
      case 10:
        return staged();
      case 12:
        return relayed();
      default:
        if (input_.below(16) == 1)
          feed(StopRequested{input_.below(2) == 1 ? ExitCode::kStopped
                                                  : ExitCode::kOk});
    }
  }

 private:
  void say(std::uint64_t connection, protocol::Message message) {
    arriving_ = message;
    feed(MessageArrived{{connection},
                        std::move(message),
                        input_.below(8) == 1 ? "not finite" : ""});
    arriving_.reset();
  }

  protocol::Message of_this_run(protocol::Body body) {
    return {config_.run,
            config_.incarnation,
            {stepped_.value + input_.below(3)},
            {input_.below(kPeers)},
            std::move(body)};
  }

  void hello() {
    protocol::Hello hello;
    hello.session = input_.below(4);
    hello.name = std::string(1, static_cast<char>('a' + input_.below(kPeers)));
    hello.index = input_.below(kPeers + 1) - 1;
    hello.shard_size = 1 + 100ULL * input_.below(3);
    hello.image = input_.below(16) == 1 ? ImageShape{3, 4, 4, 10} : kImage;
    hello.nonce = input_.below(3);
    if (hello.nonce != 2) hello.endpoint = "tcp://h:1";
    if (input_.below(8) != 1) {
      hello.abilities = protocol::known_abilities();
      hello.abilities.emplace_back(protocol::kEvaluation);
    }
    hello.held = held();
    for (unsigned n = input_.below(4); n > 0; --n)
      hello.saved.push_back(held());
    if (config_.conditional) {
      static const ClassNames kLists[] = {
          {"cat", "dog"}, {"dog", "fox"}, {"Dog"}};
      hello.classes = kLists[hello.nonce];
      hello.image.classes = static_cast<std::uint32_t>(hello.classes.size());
      hello.class_counts.assign(hello.classes.size(), 1);
    }
    say(input_.below(kConnections), {{}, 0, {}, {}, hello});
  }

  // A discriminator that was named, or any.
  protocol::Held held() {
    const unsigned which = input_.below(kRemembered + 4);
    protocol::Held held{config_.run, {input_.below(8)}, {which}};
    if (which < named_.size()) held.discriminator = named_[which];
    return held;
  }

  // The shell's answer to an effect of before, in any order.
  void answer() {
    const std::size_t which = input_.below(8);
    if (pending_.empty()) return;
    const std::size_t at = which % pending_.size();
    const ServerEvent event = pending_[at];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
    feed(event);
  }

  // A peer does as it was told, by chance once more.
  void repeat() {
    const std::size_t which = input_.byte();  // the last is 0
    const bool is_liar = input_.below(8) == 1;
    if (asked_.empty()) return;
    const auto& [connection, message] = asked_[which % asked_.size()];
    protocol::Message said = message;
    if (const auto* begin = std::get_if<protocol::RoundBegin>(&message.body))
      said.body = protocol::Feedback{begin->generated, 0, 0, 0, {}};
    else if (const auto* swap = std::get_if<protocol::Swap>(&message.body))
      said.body = protocol::Staged{swap->swap, true, ""};
    else if (std::holds_alternative<protocol::Evaluate>(message.body))
      said.body = protocol::Evaluated{};
    if (is_liar) said.peer = {input_.below(kPeers)};
    say(connection.value, std::move(said));
  }

  // A relayed message is of the last exchange or another, and by the peer that
  // it concerns or another.
  void relayed() {
    const SwapId swap{input_.below(16)};
    const std::uint32_t number = input_.below(8);
    const PeerId peer{input_.below(kPeers)};
    protocol::Message said = of_this_run(protocol::ChunksTaken{swap, number});
    if (input_.below(2) == 1)
      said.body =
          protocol::Chunk{swap, number, {{protocol::DType::kUint8, {100}}}};
    said.peer = peer;
    say(input_.below(kConnections), std::move(said));
  }

  void staged() {
    const SwapId swap{input_.below(16)};
    const bool ok = input_.below(2) == 1;
    protocol::Message said =
        of_this_run(protocol::Staged{swap, ok, "a bad link"});
    say(input_.below(kConnections), std::move(said));
  }

  // What the codec lets through.
  void any_message() {
    static const auto messages = one_of_each();
    protocol::Message message = messages[input_.byte() % messages.size()];
    if (input_.below(2) == 1) message = of_this_run(std::move(message.body));
    const auto raw = protocol::decode(input_.bytes(input_.byte()));
    if (raw && input_.below(2) == 1) message = *raw;
    say(input_.below(kConnections), std::move(message));
  }

  void feed(const ServerEvent& event) {
    std::vector<ServerEffect> effects;
    coordinator_.handle(event, now_, effects);
    require(effects.size() <= kMostEffects, "an event has few effects");
    for (const ServerEffect& effect : effects) {
      require(!finished_, "nothing follows the run's end");
      std::visit([this](const auto& e) { apply(e); }, effect);
    }
    check();
  }

  void apply(const SendMessage& e) {
    const auto bytes = protocol::encode(e.message);
    require(bytes.size() <= protocol::kMaxEnvelopeBytes,
            "what is sent fits an envelope");
    require(protocol::decode(bytes).ok(), "what is sent is decoded");
    if (const auto* w = std::get_if<protocol::Welcome>(&e.message.body))
      remember(named_, w->discriminator);
    if (const auto* swap = std::get_if<protocol::Swap>(&e.message.body))
      if (swap->receives) remember(named_, swap->discriminator);
    if (std::holds_alternative<protocol::RoundBegin>(e.message.body) ||
        std::holds_alternative<protocol::Swap>(e.message.body))
      remember(asked_, {e.connection, e.message});
  }
  void apply(const ForwardMessage& e) {
    require(arriving_ && arriving_->peer != e.message.peer &&
                std::holds_alternative<protocol::Chunk>(e.message.body),
            "what is forwarded is the chunk that arrives, to another peer");
  }
  void apply(const SendBatch& e) {
    require(e.peers > 0, "a batch is sent for somebody");
  }
  void apply(const DecideModel& e) {
    TrainingSpec spec;
    spec.model = "mlp";
    spec.image = e.image;
    spec.classes = e.classes;
    spec.algorithm = config_.algorithm;
    pending_.emplace_back(ModelReady{spec, {}, 100});
  }
  void apply(const GenerateBatches& e) {
    require(e.plan.batches > 0, "a round has batches");
    pending_.emplace_back(BatchesReady{e.round});
  }
  void apply(const KeepFeedback& e) {
    require(arriving_ && arriving_->round == e.round &&
                arriving_->peer == e.peer &&
                arriving_->incarnation == config_.incarnation,
            "kept is the feedback that arrives, of its round and peer");
    kept_.insert(e.peer);
  }
  void apply(const StepGenerator& e) {
    require(e.round.value == stepped_.value + e.steps,
            "no round is skipped or stepped twice");
    stepped_ = e.round;
    for (std::size_t i = 0; i < e.contributors.size(); ++i) {
      require(kept_.erase(e.contributors[i].peer) == 1,
              "a contribution was kept, and is used once");
      require(i == 0 || e.contributors[i - 1].peer < e.contributors[i].peer,
              "contributions are in the order of the peers");
    }
    kept_.clear();
    pending_.emplace_back(GeneratorStepped{e.round});
  }
  void apply(const MakeFeatures& e) {
    pending_.emplace_back(FeaturesReady{e.round, input_.below(8) != 1, {}});
  }
  void apply(const SendFeatures& e) {
    require(protocol::decode(protocol::encode(e.message)).ok(),
            "what is sent is decoded");
    remember(asked_, {e.connection, e.message});
  }
  void apply(const KeepEvaluated& e) {
    require(
        arriving_ && arriving_->round == e.round && arriving_->peer == e.peer,
        "what is kept has arrived");
  }
  void apply(const MergeEvaluations&) {}
  void apply(const ReportRound& e) {
    require(e.contributed <= e.asked, "who answers was asked");
  }
  void apply(const SaveCheckpoint& e) {
    require(e.round == coordinator_.position().completed || e.round <= stepped_,
            "what is saved has been stepped");
    pending_.emplace_back(CheckpointSaved{e.round, input_.below(4) != 1});
  }
  void apply(const Note& e) {
    require(!e.text.empty(), "a note says something");
  }
  void apply(const ReportRefusal& e) {
    require(!e.reason.empty(), "a refusal has a reason");
  }
  void apply(const Finish&) { finished_ = true; }

  template <typename T>
  static void remember(std::deque<T>& list, T value) {
    list.push_front(std::move(value));
    if (list.size() > kRemembered) list.pop_back();
  }

  void check() const {
    require(coordinator_.live_peers() <= kPeers + 1, "strangers are no peers");
    std::set<DiscriminatorId> owned;
    for (const auto& [peer, d] : coordinator_.position().discriminators)
      require(d.value == 0 || owned.insert(d).second,
              "no two peers own the same discriminator");
    const CoordinatorView view = coordinator_.view();
    require(!coordinator_.started() || coordinator_.waiting_peers() == 0,
            "nobody waits for a model that is there");
    // Before there is a model, those count that wait for it.
    require(view.live == std::max(coordinator_.live_peers(),
                                  coordinator_.waiting_peers()),
            "the view counts alike");
    std::set<PeerId> ids;
    for (const MemberView& member : view.members)
      require(ids.insert(member.id).second, "no two peers have the same id");
  }

  Input& input_;
  CoordinatorConfig config_;
  Coordinator coordinator_;
  TimePoint now_{1h};
  Round stepped_;
  std::vector<ServerEvent> pending_;
  std::deque<std::pair<ConnectionId, protocol::Message>> asked_;
  std::deque<DiscriminatorId> named_;
  std::optional<protocol::Message> arriving_;
  std::set<PeerId> kept_;
  bool finished_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Input input(data, size);
  Server server(input);
  while (!input.empty() && !server.over()) server.step();
  return 0;
}

}  // namespace mdgan::test
