// How a peer that nobody has met comes into authorized_peers: its server's
// owner sends an invitation, one line with a secret that is good once; the peer
// joins with it and leaves its public key; both owners compare the key's
// fingerprint by telephone, and the server's admits it.
//
// Beside the server's key are two files, with one writer each: `invitations`
// by `mdgan-server invite`, `pending_peers` by the server that runs. Only their
// owner reads them. Errors in them name the line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/keys/key.h"

namespace mdgan {

using InvitationSecret = std::array<std::byte, 16>;

// The line: ADDRESS,SERVER-KEY,SECRET,NAME, the two in hexadecimal digits, so
// that a shell takes it as it is.
struct Invitation {
  std::string address;  // tcp://HOST:PORT
  PublicKey server{};
  InvitationSecret secret{};
  std::string name;
};
std::string invitation_line(const Invitation& invitation);
// Fails with kAuthentication, saying what is wrong.
Result<Invitation> parse_invitation(std::string_view line);

InvitationSecret make_invitation_secret();
// The key with which the holder of the secret connects to join. The server
// keeps its public half: the secret does not follow from that.
KeyPair invitation_key(const InvitationSecret& secret);

// Seconds since 1970, as time() gives them.
using UnixTime = std::int64_t;
// "2026-11-30 16:05 UTC".
std::string time_text(UnixTime time);

struct OpenInvitation {
  std::string name;
  UnixTime until = 0;
};
// By the public half of invitation_key().
using Invitations = std::map<PublicKey, OpenInvitation>;

struct PendingPeer {
  PublicKey key{};
  std::string name;
  PublicKey invitation{};  // that it used up
  UnixTime since = 0;
};
using PendingPeers = std::vector<PendingPeer>;

std::filesystem::path invitations_of(const std::filesystem::path& key_file);
std::filesystem::path pending_peers_of(const std::filesystem::path& key_file);

// `file` stands before the line number in errors, which have kAuthentication.
Result<Invitations> parse_invitations(std::string_view text,
                                      std::string_view file);
Result<PendingPeers> parse_pending_peers(std::string_view text,
                                         std::string_view file);
// Empty if there is no such file. Fail also when everybody may write to it.
Result<Invitations> read_invitations(const std::filesystem::path& file);
Result<PendingPeers> read_pending_peers(const std::filesystem::path& file);
// Whole or not at all, for the owner alone. Fail with kCheckpoint.
Result<void> write_invitations(const std::filesystem::path& file,
                               const Invitations& invitations);
Result<void> write_pending_peers(const std::filesystem::path& file,
                                 const PendingPeers& peers);

// What becomes of somebody who joins. Without a refusal: whether it is new, or
// asks once more what was answered already.
struct JoinDecision {
  std::string refusal;
  bool is_new = false;
};
// `invitation`: the key of the connection.
JoinDecision decide_join(const Invitations& invitations,
                         const PendingPeers& pending,
                         const PublicKey& invitation, const PublicKey& key,
                         std::string_view name, UnixTime now);

}  // namespace mdgan
