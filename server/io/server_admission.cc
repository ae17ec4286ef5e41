// Admission: the server lets in the peers of authorized_peers, under the names
// there.

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/base/words.h"
#include "common/net/curve.h"
#include "protocol/limits.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {
namespace {

using namespace std::chrono_literals;

// The word that a key was revoked needs a moment to arrive.
constexpr auto kLastWord = 1s;

}  // namespace

// REQUIRES: the router is not bound yet.
void ServerShell::Impl::admit_listed() {
  list_state = file_state(keys->list);
  keys->zap.set(kServerDomain, whom_to_let_in(),
                [this](const std::string& address, const PublicKey& key) {
                  mailbox.post([this, address, key] {
                    complaints.warn(
                        address + " with the key " + to_z85(key),
                        "is not let in. If it has joined by an invitation, "
                        "`mdgan-server admit NAME` lets it in; else append "
                        "the line 'KEY NAME' to " +
                            keys->list.string() +
                            ", or invite it with `mdgan-server invite NAME`",
                        Clock::now());
                  });
                });
  require_keys(*router, keys->own, kServerDomain);
}

ZapDomain ServerShell::Impl::whom_to_let_in() const {
  ZapDomain domain{keys->peers.names(), ZapStatus::kRefused};
  for (const auto& [key, invitation] : invitations)
    domain.admitted.try_emplace(key, kInvitedUser);
  return domain;
}

// Reads the list again when it has changed. One that cannot be read changes
// nothing: who is at work is not sent away for a slip of the pen.
void ServerShell::Impl::watch_list(TimePoint now) {
  cut_revoked(now);
  if (now < list_due) return;
  list_due = now + kLookAtList;
  watch_invitations();
  const std::string seen = file_state(keys->list);
  // What somebody is just writing is read when it has stayed for a moment.
  if (std::exchange(list_seen, seen) != seen || seen == list_state) return;
  list_state = seen;
  auto read = AuthorizedPeers::read(keys->list);
  if (!read) {
    note(read.error().message +
             "; those who were let in before are let in still",
         true);
    return;
  }
  keys->peers = std::move(*read);
  keys->zap.update(kServerDomain, whom_to_let_in());
  const std::size_t peers = keys->peers.names().size();
  note(fmt::format("{} was read again: {} {} let in", keys->list.string(),
                   plural(peers, "peer"), peers == 1 ? "is" : "are"),
       false);
  revoke_unlisted(now);
}

void ServerShell::Impl::revoke_unlisted(TimePoint now) {
  for (auto& [id, connection] : connections) {
    if (connection.descriptor < 0 || connection.revoked || connection.invited)
      continue;
    const std::string* name = keys->peers.name_of(connection.key);
    if (name != nullptr && *name == connection.user) continue;
    connection.revoked = true;
    revoked.emplace_back(now + kLastWord, id);
    events.emplace_back(KeyRevoked{
        id, name == nullptr
                ? "the key of " + connection.user +
                      " was taken out of the server's authorized_peers"
                : "the key of " + connection.user + " is " + *name +
                      "'s now in the server's authorized_peers: start it again "
                      "under that name"});
  }
  handle_events();
}

void ServerShell::Impl::cut_revoked(TimePoint now) {
  std::erase_if(revoked, [&](const auto& entry) {
    if (now < entry.first) return false;
    const auto connection = connections.find(entry.second);
    if (connection != connections.end() && guard)
      guard->cut(connection->second.descriptor, connection->second.cookie);
    return true;
  });
}

std::string ServerShell::Impl::denial(const Connection& connection,
                                      const protocol::Hello& hello) const {
  if (!keys || connection.descriptor < 0) return "";
  const std::string* name = keys->peers.name_of(connection.key);
  if (name == nullptr)
    return "its key was taken out of the server's authorized_peers";
  const std::uint64_t most = keys->peers.most_peers(connection.key);
  if (may_be_called(*name, hello.name, most)) return "";
  if (may_be_called(*name, hello.name, protocol::kMaxPeers))
    return "its key may bring no more than " + plural(most, "peer") +
           " with a number: for more write peers=N after the name in the line "
           "of " +
           *name + " in the server's authorized_peers";
  return "its key is the one of " + *name +
         " in the server's authorized_peers, and it calls itself " +
         hello.name + ": start it with --name " + *name;
}

std::string ServerShell::Impl::denial_of_name(Connection& connection,
                                              const std::string& name) const {
  if (keys || connection.descriptor < 0) return "";
  if (connection.first_name.empty()) connection.first_name = name;
  if (may_be_of_one_process(connection.first_name, name)) return "";
  return "its connection has brought the peer " + connection.first_name +
         ", and the peers of one process have one name, with a number each: "
         "start another process";
}

void ServerShell::Impl::bound_claims(const Connection& connection,
                                     protocol::Hello& hello) const {
  if (!keys || connection.descriptor < 0) return;
  hello.shard_size =
      std::min(hello.shard_size, keys->peers.most_images(connection.key));
}

}  // namespace mdgan
