#include "peer/io/server_probe.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/net/channel.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAnswerTime = 15s;
constexpr int kQuestions = 5;
// What a stranger may send at a time (PROTOCOL.md, section 2), with room for
// the envelope.
constexpr std::size_t kLoad = 49'152;
constexpr int kLoads = 8;
constexpr Duration kLoadTime = 4s;  // in all
// What takes less cannot be told from the round trip's own changes.
constexpr Duration kMeasurable = 500us;

Error no_answer(const std::string& server) {
  return {server +
              " does not answer: does it hang, or is it another program? Its "
              "log.txt may tell",
          ExitCode::kUnreachable};
}

}  // namespace

ServerProbe::ServerProbe(zmq::context_t& context, std::string endpoint,
                         std::optional<ClientKeys> keys)
    : link_(context, std::move(endpoint), {}, std::move(keys)) {}

void ServerProbe::wait_for_socket(TimePoint end) {
  zmq::pollitem_t items[] = {{link_.socket().handle(), 0, ZMQ_POLLIN, 0},
                             {link_.monitor().handle(), 0, ZMQ_POLLIN, 0}};
  const TimePoint next = std::min(link_.next_deadline(), end);
  wait_readable(items,
                std::chrono::ceil<std::chrono::milliseconds>(std::clamp(
                    next - Clock::now(), Duration::zero(), Duration(500ms))));
}

Result<void> ServerProbe::connect(Duration patience) {
  const TimePoint end = Clock::now() + patience;
  if (auto opened = link_.open(Clock::now()); !opened) return opened;
  while (Clock::now() < end) {
    link_.advance(Clock::now());
    if (const auto refusal = link_.refusal()) return *refusal;
    if (link_.connected()) return {};
    wait_for_socket(end);
  }
  return Error{"what listens at " + link_.text() +
                   " does not speak this program's protocol, or is overloaded: "
                   "is it mdgan-server, and the port right?",
               ExitCode::kUnreachable};
}

Result<Duration> ServerProbe::ask(const protocol::Message& message,
                                  const Blob& tensor) {
  std::vector<Blob> tensors;
  if (!tensor.empty()) tensors.push_back(tensor);
  TensorFrames frames{tensors};
  const TimePoint asked = Clock::now();
  const TimePoint end = asked + kAnswerTime;
  if (link_.send(message, &frames) != Sent::kYes)
    return no_answer(link_.text());
  while (Clock::now() < end) {
    link_.advance(Clock::now());
    if (!link_.connected()) return no_answer(link_.text());
    std::optional<Received> received;
    while (link_.take(received)) {
      if (!received) continue;
      const Duration took = Clock::now() - asked;
      if (!received->message) return received->message.error();
      const auto* reply =
          std::get_if<protocol::ErrorReply>(&received->message->body);
      if (reply == nullptr) continue;
      if (reply->code == protocol::ErrorCode::kUnknownPeer) return took;
      return Error{link_.text() + ": " + reply->text,
                   reply->code == protocol::ErrorCode::kVersion
                       ? ExitCode::kConfiguration
                       : ExitCode::kUnreachable};
    }
    wait_for_socket(end);
  }
  return no_answer(link_.text());
}

Result<void> ServerProbe::compare_versions() {
  protocol::Message question;
  question.body = protocol::Staged{};
  const auto answered = ask(question);
  return answered ? Result<void>() : answered.error();
}

Result<LinkSpeed> ServerProbe::measure() {
  protocol::Message question;
  question.body = protocol::Staged{};
  LinkSpeed speed{Duration::max(), std::nullopt};
  for (int i = 0; i < kQuestions; ++i) {
    const auto took = ask(question);
    if (!took) return took.error();
    speed.round_trip = std::min(speed.round_trip, *took);
  }
  const NewBlob load = make_blob({protocol::DType::kUint8, {kLoad}});
  std::ranges::fill(load.bytes, std::byte{});
  protocol::Feedback feedback;
  feedback.tensors = {load.blob.meta};
  question.body = feedback;
  // The first ones find the connection slow, as TCP begins.
  Duration least = Duration::max();
  const TimePoint begun = Clock::now();
  for (int i = 0; i < kLoads && Clock::now() - begun < kLoadTime; ++i) {
    const auto took = ask(question, load.blob);
    if (!took) return took.error();
    least = std::min(least, *took);
  }
  const Duration transfer = least - speed.round_trip;
  if (transfer > kMeasurable)
    speed.bytes_per_second = static_cast<double>(kLoad) / seconds(transfer);
  return speed;
}

}  // namespace mdgan
