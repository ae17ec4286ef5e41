// A member that keeps to the protocol at the server, and at other peers forges
// what it can: it has a token of its own, and knows everybody's address.
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/raw_peer.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {
namespace {

// Nobody takes what is sent to the forger: a peer keeps no more than 16.
constexpr std::uint64_t kRounds = 12;

class Forger {
 public:
  Forger(zmq::context_t& context, const std::string& server)
      : context_(context), peer_(context, server) {
    peer_.hello("forger", small_images()->shape);
  }

  // Takes part to the end. Returns how many discriminators it forged.
  std::size_t serve(bool forges) {
    while (true) {
      const protocol::Message message = peer_.next();
      if (std::holds_alternative<protocol::Goodbye>(message.body))
        return forged_;
      if (const auto* w = std::get_if<protocol::Welcome>(&message.body))
        welcome_ = *w;
      if (const auto* r = std::get_if<protocol::RoundBegin>(&message.body))
        peer_.say_feedback(
            message, r->generated,
            {constant_floats({4, 1, 4, 4}, 0), constant_floats({4}, 0)});
      if (const auto* s = std::get_if<protocol::Swap>(&message.body)) {
        endpoints_[s->target] = s->endpoint;
        if (forges) forge(message, *s);
        send_to(s->target, message, transfer(*s, message.peer, s->send_token),
                1);
        protocol::Message staged = message;
        staged.body = protocol::Staged{s->swap, true, ""};
        peer_.say(staged);
      }
    }
  }

 private:
  // To the one that it is not to send to: with the token of its own edges, as
  // itself, and in the name of who is that one's source.
  void forge(const protocol::Message& message, const protocol::Swap& swap) {
    for (const auto& [victim, endpoint] : endpoints_) {
      if (victim == swap.target) continue;
      for (const PeerId source : {message.peer, swap.target})
        for (const std::uint64_t token : {swap.send_token, swap.receive_token})
          send_to(victim, message, transfer(swap, source, token), 9);
      forged_ += 4;
    }
  }
  protocol::Transfer transfer(const protocol::Swap& swap, PeerId source,
                              std::uint64_t token) const {
    protocol::Transfer transfer;
    transfer.swap = swap.swap;
    transfer.token = token;
    transfer.source = source;
    transfer.schema = welcome_.schema;
    return transfer;
  }
  void send_to(PeerId target, protocol::Message message,
               protocol::Transfer transfer, float value) {
    const auto [link, is_new] =
        links_.try_emplace(target, make_link(context_, endpoints_.at(target)));
    const std::vector<Blob> tensors(
        3, constant_floats({welcome_.parameters}, value));
    for (const Blob& tensor : tensors) transfer.tensors.push_back(tensor.meta);
    message.peer = target;
    message.body = std::move(transfer);
    TensorFrames frames(tensors);
    REQUIRE(send(link->second, "", message, &frames) == Sent::kYes);
  }

  zmq::context_t& context_;
  RawPeer peer_;
  protocol::Welcome welcome_;
  std::map<PeerId, std::string> endpoints_;
  std::map<PeerId, Socket> links_;
  std::size_t forged_ = 0;
};

std::string weights(bool forges) {
  const TemporaryDirectory directory;
  ServerOptions options = small_options();
  options.bind = kAnyPort;
  options.min_peers = 3;
  options.rounds = kRounds;
  InProcessServer server(directory / "run", options);
  zmq::context_t context;
  InProcessPeers first(context, server.endpoint(), directory.path(), 0, 0, 3);
  InProcessPeers second(context, server.endpoint(), directory.path(), 1, 1, 3);
  Forger forger(context, server.endpoint());
  const std::size_t forged = forger.serve(forges);
  CHECK((forged > kRounds) == forges);
  CHECK(server.wait().code == ExitCode::kOk);
  for (InProcessPeers* peers : {&first, &second})
    CHECK(peers->wait().swaps > kRounds / 2);
  INFO(server.log());
  CHECK(server.log().find("aborted") == std::string::npos);
  return server.weights();
}

}  // namespace

TEST_CASE("fault 45: a member's token is good for its own edge alone",
          "[shell]") {
  CHECK((weights(true) == weights(false)));
}

}  // namespace mdgan::test
