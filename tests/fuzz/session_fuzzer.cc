// A session that a server and other peers tell anything in any order, while its
// host answers each effect once, sooner or later. Each few bytes are an event.

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "peer/core/session.h"
#include "protocol/codec.h"
#include "protocol/limits.h"
#include "tests/fuzz/input.h"
#include "tests/protocol/examples.h"

namespace mdgan::test {
namespace {

using namespace std::chrono_literals;

// At most eight wait for their swap message, and one is staged.
constexpr std::size_t kMostArrivals = 10;
constexpr std::size_t kMostEffects = 300;  // all deferred orders at once

class Peer {
 public:
  explicit Peer(Input& input) : input_(input) { feed(Connected{}); }

  bool over() const { return over_; }

  void step() {
    switch (input_.below(13)) {
      case 0:
        return welcome();
      case 1:
      case 2:
        return answer();
      case 3:
        return say(protocol::RoundBegin{input_.below(3), input_.below(3),
                                        1U + input_.below(3)});
      case 4:
        return feed(BatchArrived{{input_.below(8)}, input_.below(3)});
      case 5:
        return swap();
      case 6:
        return transfer();
      case 7:
        if (input_.below(2) == 1) return say(protocol::Commit{swap_id()});
        return say(protocol::Abort{swap_id(), "a peer left"});
      case 8:
        return any_message();
      case 9:
        now_ += std::chrono::milliseconds(100 * (1 + input_.byte()));
        return feed(ClockTicked{});
      case 10:
        if (const auto due = session_.next_deadline())
          now_ = std::max(now_, *due);
        return feed(ClockTicked{});
      case 12:
        if (input_.below(2) == 1)
          return say(protocol::Chunk{swap_id(), input_.below(4), {}});
        return say(protocol::ChunksTaken{swap_id(), input_.below(40)});
      default:
        return seldom();
    }
  }

 private:
  protocol::Message of_this_run(protocol::Body body) {
    protocol::Message message;
    message.run[0] =
        std::byte{input_.below(8) == 1 ? std::uint8_t{2} : std::uint8_t{1}};
    message.incarnation = input_.below(8) == 1 ? 2 : 1;
    message.round = {input_.below(8)};
    message.peer = {input_.below(4)};
    message.body = std::move(body);
    return message;
  }
  void say(protocol::Body body) {
    feed(ServerSaid{of_this_run(std::move(body))});
  }
  SwapId swap_id() { return {input_.below(4)}; }

  void welcome() {
    protocol::Welcome welcome;
    welcome.start = static_cast<protocol::Start>(1 + input_.below(4));
    welcome.restore = {input_.below(8)};
    welcome.discriminator = {input_.below(4)};
    welcome.rounds = 8;
    if (input_.below(8) == 1) welcome.codecs = {"swap-bfloat16"};
    if (input_.below(16) == 1) welcome.codecs = {"unheard-of"};
    say(std::move(welcome));
  }
  void swap() {
    const std::uint8_t what = input_.below(4);
    say(protocol::Swap{swap_id(),
                       (what & 1U) != 0,
                       {input_.below(4)},
                       what == 1 ? "" : "tcp://h:1",
                       7,
                       (what & 2U) != 0,
                       {input_.below(4)},
                       input_.below(2),
                       {input_.below(4)}});
  }
  void transfer() {
    protocol::Transfer transfer;
    transfer.swap = swap_id();
    transfer.token = input_.below(2);
    transfer.source = {input_.below(4)};
    if (input_.below(8) == 1) transfer.schema[0] = std::byte{1};
    // The host drops what the session cannot await.
    if (!session_.may_await(transfer, {})) return;
    arrivals_.insert(++arrival_);
    feed(TransferArrived{transfer, input_.below(8) == 1 ? "not finite" : "",
                         arrival_});
  }
  void any_message() {
    static const auto messages = one_of_each();
    protocol::Message message = messages[input_.byte() % messages.size()];
    if (input_.below(2) == 1) message = of_this_run(std::move(message.body));
    const auto raw = protocol::decode(input_.bytes(input_.byte()));
    if (raw && input_.below(2) == 1) message = *raw;
    if (!std::holds_alternative<protocol::Batch>(message.body))
      feed(ServerSaid{message});
  }
  void answer() {
    const std::size_t which = input_.below(8);
    if (pending_.empty()) return;
    const std::size_t at = which % pending_.size();
    const SessionEvent event = pending_[at];
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
    feed(event);
  }
  void seldom() {
    switch (input_.below(16)) {
      case 0:
        return feed(ServerLost{{"lost", ExitCode::kUnreachable}});
      case 1:
        return feed(Failed{{"diverged", ExitCode::kDiverged}});
      case 2:
        return feed(LeaveRequested{});
      case 3:
      case 4:
        return say(protocol::Checkpoint{{input_.below(8)}});
      case 5:
        return say(protocol::ErrorReply{
            static_cast<protocol::ErrorCode>(1 + input_.below(9)), "text", 0});
      default:
        return feed(Connected{});
    }
  }

  void feed(const SessionEvent& event) {
    std::vector<SessionEffect> effects;
    session_.handle(event, now_, effects);
    require(effects.size() <= kMostEffects, "an event has few effects");
    for (const SessionEffect& effect : effects) {
      require(!over_, "nothing follows the session's end");
      std::visit([this](const auto& e) { apply(e); }, effect);
    }
    require(arrivals_.size() <= kMostArrivals, "few transfers are held");
    require(over_ == session_.over(), "the end is told");
    require(!over_ || arrivals_.empty(), "nothing is held after the end");
    (void)session_.staged();
  }

  static void check(const protocol::Message& message) {
    const auto bytes = protocol::encode(message);
    require(bytes.size() <= protocol::kMaxEnvelopeBytes,
            "what is sent fits an envelope");
    require(protocol::decode(bytes).ok(), "what is sent is decoded");
  }

  void apply(const SayHello&) {}
  void apply(const SayToServer& e) { check(e.message); }
  void apply(const SendFeedback& e) { check(e.message); }
  void apply(const PrepareTrainer&) {
    TrainerPrepared prepared;
    if (input_.below(16) == 1) prepared.error = Error{"no", ExitCode::kData};
    pending_.emplace_back(prepared);
  }
  void apply(const InitialiseDiscriminator&) {}
  void apply(const RestoreDiscriminator&) {
    if (input_.below(4) == 1)
      pending_.emplace_back(RestoreFailed{"damaged"});
    else
      pending_.emplace_back(Restored{});
  }
  void apply(const Learn&) {}
  void apply(const ComputeFeedback& e) {
    pending_.emplace_back(FeedbackComputed{e.ask});
  }
  void apply(const MeasureGenerator& e) {
    pending_.emplace_back(GeneratorMeasured{e.run, e.incarnation, e.round});
  }
  void apply(const SendEvaluated& e) { check(e.message); }
  void apply(const SendTransfer& e) {
    check(e.message);
    if (input_.below(4) == 1)
      pending_.emplace_back(TransferFailed{
          std::get<protocol::Transfer>(e.message.body).swap, "cut"});
  }
  void apply(const PrepareChunks& e) {
    check(e.message);
    const SwapId swap = std::get<protocol::Transfer>(e.message.body).swap;
    chunks_.erase(swap);
    pending_.emplace_back(ChunksReady{swap, input_.below(40)});
  }
  void apply(const SendChunk& e) {
    check(e.message);
    const auto& chunk = std::get<protocol::Chunk>(e.message.body);
    require(chunk.index == chunks_[chunk.swap]++, "chunks are sent in order");
  }
  void apply(const OpenChunk& e) {
    if (input_.below(4) == 1)
      pending_.emplace_back(ChunkRefused{e.swap, "changed"});
  }
  void apply(const DropChunks&) {}
  void apply(const SaveTransfer& e) {
    require(arrivals_.contains(e.arrival), "what is saved is there");
    pending_.emplace_back(TransferSaved{e.arrival});
  }
  void apply(const Install& e) {
    require(arrivals_.erase(e.arrival) == 1, "what is installed is there");
  }
  void apply(const DropTransfer& e) {
    require(arrivals_.erase(e.arrival) == 1, "what is dropped is there");
  }
  void apply(const SaveDiscriminator&) {}
  void apply(const Report& e) {
    require(!e.text.empty(), "a report says something");
  }
  void apply(const Leave&) { over_ = true; }

  Input& input_;
  Session session_;
  TimePoint now_{1h};
  std::vector<SessionEvent> pending_;
  std::set<std::uint64_t> arrivals_;
  std::uint64_t arrival_ = 0;
  std::map<SwapId, std::uint32_t> chunks_;  // sent by relay
  bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  Input input(data, size);
  Peer peer(input);
  while (!input.empty() && !peer.over()) peer.step();
  return 0;
}

}  // namespace mdgan::test
