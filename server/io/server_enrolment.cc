// Those who are invited: they leave a key, and a person lets it in.

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <ctime>
#include <utility>

#include "common/net/zap_decision.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {

std::string file_state(const std::filesystem::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) return "";
  return fmt::format("{} {} {}.{} {}.{}", s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

// A file that cannot be read leaves what was read before.
Result<void> ServerShell::Impl::read_enrolment() {
  const std::filesystem::path file = invitations_of(keys->key_file);
  invitations_state = file_state(file);
  auto read = read_invitations(file);
  if (!read) return read.error();
  auto noted = read_pending_peers(pending_peers_of(keys->key_file));
  if (!noted) return noted.error();
  invitations = std::move(*read);
  if (!noting) pending = std::move(*noted);
  return {};
}

// `mdgan-server invite` replaces the file as a whole.
void ServerShell::Impl::watch_invitations() {
  if (file_state(invitations_of(keys->key_file)) == invitations_state) return;
  if (const auto read = read_enrolment(); !read) {
    note(read.error().message + "; the invitations of before are good still",
         true);
    return;
  }
  keys->zap.update(kServerDomain, whom_to_let_in());
}

void ServerShell::Impl::reply_to_invited(ConnectionId id, protocol::Body body) {
  protocol::Message reply;  // the run's name is for its members
  reply.body = std::move(body);
  deliver(id, reply, nullptr);
}

void ServerShell::Impl::on_invited(ConnectionId id, const Received& received) {
  const Connection& connection = connections.at(id);
  const auto* join = received.message
                         ? std::get_if<protocol::Join>(&received.message->body)
                         : nullptr;
  if (join == nullptr) {
    complaints.warn(connection.address,
                    "it came by an invitation and may say join, no more; its "
                    "connection is closed",
                    Clock::now());
    if (guard) guard->cut(connection.descriptor, connection.cookie);
    return;
  }
  if (noting) return;  // it asks again
  const JoinDecision decision =
      decide_join(invitations, pending, connection.key, join->key, join->name,
                  ::time(nullptr));
  if (!decision.refusal.empty()) {
    complaints.warn(connection.address,
                    "is not let in by its invitation: " + decision.refusal,
                    Clock::now());
    reply_to_invited(id,
                     protocol::ErrorReply{protocol::ErrorCode::kUnauthorised,
                                          decision.refusal});
  } else if (decision.is_new) {
    note_pending(id, *join);
  } else {
    reply_to_invited(id, protocol::Joined{fingerprint(join->key)});
  }
}

// The invitation is used up once that is on the disk.
void ServerShell::Impl::note_pending(ConnectionId id,
                                     const protocol::Join& join) {
  PendingPeers peers = pending;
  // Invitations that were replaced let nobody in.
  std::erase_if(peers, [&](const PendingPeer& peer) {
    return !invitations.contains(peer.invitation);
  });
  peers.push_back(
      {join.key, join.name, connections.at(id).key, ::time(nullptr)});
  noting = true;
  const auto failed = [this, id](const Error& error) {
    noting = false;
    spdlog::error("a peer that joins could not be noted: {}", error.message);
    reply_to_invited(id, protocol::ErrorReply{
                             protocol::ErrorCode::kState,
                             "the server could not note it: " + error.message});
  };
  files.run(
      [this, id, peers, failed, file = pending_peers_of(keys->key_file)] {
        const auto written = write_pending_peers(file, peers);
        return [this, id, peers, failed, written] {
          if (!written) return failed(written.error());
          noting = false;
          pending = peers;
          const PendingPeer& peer = peers.back();
          const std::string its = fingerprint(peer.key);
          note(fmt::format("{} asks to be let in, by its invitation, with the "
                           "fingerprint {}: if its owner reads you the same, "
                           "let it in with: mdgan-server admit {} {}",
                           peer.name, its, peer.name, keys->admit_options),
               true);
          reply_to_invited(id, protocol::Joined{its});
        };
      },
      failed);
}

}  // namespace mdgan
