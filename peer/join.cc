#include "peer/join.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/time.h"
#include "common/keys/enrolment.h"
#include "common/keys/key_file.h"
#include "common/net/channel.h"
#include "common/net/endpoint.h"
#include "peer/io/server_link.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;
constexpr Duration kAskEvery = 2s;

// A join that was broken off is done again with the key it made.
Result<KeyPair> own_key(const std::string& file, const std::string& name) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    KeyPair keys = make_key_pair();
    if (auto written = write_key_pair(file, keys, name); !written)
      return written.error();
    return keys;
  }
  const std::string whose = name_in_public_file(public_file_of(file));
  if (whose != name)
    return Error{
        fmt::format("{} is the key of {}, and the invitation is for {}: give "
                    "another file with --key",
                    file, whose.empty() ? "nobody" : whose, name),
        ExitCode::kAuthentication};
  return read_key_pair(file);
}

Error refusal_of(const ServerLink& link, const Error& refusal) {
  if (!link.key_refused())
    return {"this is not the server of the invitation: " + refusal.message,
            refusal.code};
  return {link.text() +
              " does not know this invitation: it was mistyped, or replaced by "
              "a later one, or the server's files are not where it was made; "
              "ask for a new one",
          ExitCode::kAuthentication};
}

// The fingerprint that the server tells.
Result<std::string> ask(ServerLink& link, const protocol::Join& join) {
  protocol::Message message;
  message.body = join;
  TimePoint due{};
  const TimePoint end = Clock::now() + kPatience;
  if (auto opened = link.open(Clock::now()); !opened) return opened.error();
  while (Clock::now() < end) {
    const TimePoint now = Clock::now();
    if (link.advance(now)) due = now;
    if (const auto refusal = link.refusal()) return refusal_of(link, *refusal);
    if (link.connected() && due <= now) {
      (void)link.send(message);  // again, until it is answered
      due = now + kAskEvery;
    }
    std::optional<Received> received;
    while (link.take(received)) {
      if (!received || !received->message) continue;
      const protocol::Body& body = received->message->body;
      if (const auto* joined = std::get_if<protocol::Joined>(&body))
        return joined->fingerprint;
      if (const auto* error = std::get_if<protocol::ErrorReply>(&body))
        return Error{link.text() + ": " + error->text,
                     ExitCode::kAuthentication};
    }
    zmq::pollitem_t items[] = {{link.socket().handle(), 0, ZMQ_POLLIN, 0},
                               {link.monitor().handle(), 0, ZMQ_POLLIN, 0}};
    const TimePoint next = std::min({link.next_deadline(), end, now + 500ms});
    wait_readable(items, std::chrono::ceil<std::chrono::milliseconds>(
                             std::max(next - Clock::now(), Duration::zero())));
  }
  return Error{"no answer from " + link.text() +
                   " for a minute: is the server running, and the "
                   "invitation's address right?",
               ExitCode::kUnreachable};
}

}  // namespace

Result<std::string> join(const PeerJoinOptions& options) {
  const auto invitation = parse_invitation(options.line);
  if (!invitation) return invitation.error();
  const auto endpoint = parse_endpoint(invitation->address, "invitation");
  if (!endpoint) return endpoint.error();
  const auto keys = own_key(options.key, invitation->name);
  if (!keys) return keys.error();
  const std::string print = fingerprint(keys->public_key);
  zmq::context_t context;
  ServerLink link(
      context, invitation->address, {},
      ClientKeys{invitation_key(invitation->secret), invitation->server});
  const auto told = ask(link, {keys->public_key, invitation->name});
  if (!told) return told.error();
  if (*told != print)
    return Error{"the server notes the fingerprint " + *told +
                     ", and this key has " + print + ": do not go on",
                 ExitCode::kAuthentication};
  return fmt::format(R"(secret key   {0}  (never send it to anybody)
fingerprint  {1}
name         {2}

Read the fingerprint to whoever runs the server, by telephone: if it is the same
there, this peer is let in. Then, here:

    mdgan-peer --key {0} --server-key '{3}' \
        --server {4} --name {2} --data DIR
)",
                     options.key, print, invitation->name,
                     to_z85(invitation->server), invitation->address);
}

}  // namespace mdgan
