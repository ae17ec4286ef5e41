#include "common/keys/enrolment.h"

#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <functional>
#include <optional>
#include <span>

#include "common/files/atomic_write.h"
#include "common/files/hash.h"
#include "common/keys/authorized_peers.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;

Error denied(std::string message) {
  return {std::move(message), ExitCode::kAuthentication};
}

std::optional<UnixTime> time_of(std::string_view text) {
  UnixTime time = 0;
  const auto read =
      std::from_chars(text.data(), text.data() + text.size(), time);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size() ||
      time < 0)
    return std::nullopt;
  return time;
}

using Words = std::vector<std::string_view>;

// Calls `line` with the words of each that is neither empty nor a comment;
// what it returns is what is wrong with it.
Result<void> read_lines(std::string_view text, std::string_view file,
                        std::size_t words_of_line, std::string_view form,
                        const std::function<std::string(const Words&)>& line) {
  std::size_t number = 0;
  while (!text.empty()) {
    std::string_view rest = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), rest.size() + 1));
    ++number;
    if (rest.starts_with("# ") || rest == "#") continue;
    Words words;
    while (true) {
      rest.remove_prefix(
          std::min(rest.size(), rest.find_first_not_of(" \t\r")));
      if (rest.empty()) break;
      words.push_back(rest.substr(0, rest.find_first_of(" \t\r")));
      rest.remove_prefix(words.back().size());
    }
    if (words.empty()) continue;
    const std::string wrong = words.size() == words_of_line
                                  ? line(words)
                                  : "a line is " + std::string(form) +
                                        ", and this one has " +
                                        std::to_string(words.size()) + " words";
    if (!wrong.empty())
      return denied(std::string(file) + ":" + std::to_string(number) + ": " +
                    wrong + "; take the line out, and invite again");
  }
  return {};
}

// What all lines begin with: a key and a name.
std::string read_start(const Words& words, PublicKey& key, std::string& name) {
  const auto read = public_key_of(words[0]);
  if (!read)
    return "'" + protocol::presentable(std::string(words[0])) + "' is no key";
  key = *read;
  name = words[1];
  const std::string defect = defect_of_name(name);
  return defect.empty()
             ? ""
             : "the name '" + protocol::presentable(name) + "' " + defect;
}

Result<std::string> text_of(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::string();
  return read_list(file);
}

}  // namespace

std::string invitation_line(const Invitation& invitation) {
  return invitation.address + "," + to_hex(invitation.server) + "," +
         to_hex(invitation.secret) + "," + invitation.name;
}

Result<Invitation> parse_invitation(std::string_view line) {
  const auto wrong = [](const std::string& why) {
    return denied(why +
                  "; an invitation is the line that `mdgan-server invite` "
                  "prints, ADDRESS,SERVER-KEY,SECRET,NAME: take it whole");
  };
  std::array<std::string_view, 3> parts;
  for (std::string_view& part : parts) {
    const auto comma = line.find(',');
    if (comma == line.npos) return wrong("the invitation has too few parts");
    part = line.substr(0, comma);
    line.remove_prefix(comma + 1);
  }
  Invitation invitation;
  invitation.address = parts[0];
  invitation.name = line;
  if (!from_hex(parts[1], invitation.server) ||
      invitation.server == PublicKey{})
    return wrong("the invitation's server key is not one of 64 digits");
  if (!from_hex(parts[2], invitation.secret))
    return wrong("the invitation's secret is not one of 32 digits");
  if (const std::string defect = defect_of_name(line); !defect.empty())
    return wrong("the invitation's name '" +
                 protocol::presentable(invitation.name) + "' " + defect);
  return invitation;
}

InvitationSecret make_invitation_secret() {
  InvitationSecret secret{};
  fill_random(secret);
  return secret;
}

KeyPair invitation_key(const InvitationSecret& secret) {
  std::string text = "MD-GAN invitation " + to_hex(secret);
  std::array<std::byte, 32> bytes = sha256(std::as_bytes(std::span(text)));
  SecretKey key = SecretKey::from_bytes(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  sodium_memzero(text.data(), text.size());
  return {key.public_key(), key};
}

std::string time_text(UnixTime time) {
  const std::time_t seconds = time;
  std::tm utc{};
  char text[40] = {};
  if (::gmtime_r(&seconds, &utc) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc) == 0)
    return std::to_string(time) + " s after 1970";
  return text;
}

fs::path invitations_of(const fs::path& key_file) {
  return key_file.parent_path() / "invitations";
}

fs::path pending_peers_of(const fs::path& key_file) {
  return key_file.parent_path() / "pending_peers";
}

Result<Invitations> parse_invitations(std::string_view text,
                                      std::string_view file) {
  Invitations invitations;
  const auto done = read_lines(
      text, file, 3, "INVITATION-KEY NAME UNTIL", [&](const Words& words) {
        PublicKey key{};
        OpenInvitation open;
        std::string wrong = read_start(words, key, open.name);
        const auto until = time_of(words[2]);
        if (wrong.empty() && !until)
          wrong = "the time is no number of seconds since 1970";
        open.until = until.value_or(0);
        if (wrong.empty()) invitations[key] = open;
        return wrong;
      });
  if (!done) return done.error();
  return invitations;
}

Result<PendingPeers> parse_pending_peers(std::string_view text,
                                         std::string_view file) {
  PendingPeers peers;
  const auto done =
      read_lines(text, file, 5, "KEY NAME INVITATION-KEY FINGERPRINT TIME",
                 [&](const Words& words) {
                   PendingPeer peer;
                   std::string wrong = read_start(words, peer.key, peer.name);
                   const auto invitation = public_key_of(words[2]);
                   const auto since = time_of(words[4]);
                   if (wrong.empty() && !invitation)
                     wrong = "the third word is no key";
                   if (wrong.empty() && words[3] != fingerprint(peer.key))
                     wrong = "the fingerprint is not the key's, which has " +
                             fingerprint(peer.key);
                   if (wrong.empty() && !since)
                     wrong = "the time is no number of seconds since 1970";
                   if (!wrong.empty()) return wrong;
                   peer.invitation = *invitation;
                   peer.since = *since;
                   peers.push_back(std::move(peer));
                   return wrong;
                 });
  if (!done) return done.error();
  return peers;
}

Result<Invitations> read_invitations(const fs::path& file) {
  const auto text = text_of(file);
  if (!text) return text.error();
  return parse_invitations(*text, file.string());
}

Result<PendingPeers> read_pending_peers(const fs::path& file) {
  const auto text = text_of(file);
  if (!text) return text.error();
  return parse_pending_peers(*text, file.string());
}

Result<void> write_invitations(const fs::path& file,
                               const Invitations& invitations) {
  std::string text =
      "# Written by `mdgan-server invite`: INVITATION-KEY NAME UNTIL (seconds "
      "since 1970).\n";
  for (const auto& [key, open] : invitations)
    text +=
        to_z85(key) + " " + open.name + " " + std::to_string(open.until) + "\n";
  return atomic_write_private(file, text);
}

Result<void> write_pending_peers(const fs::path& file,
                                 const PendingPeers& peers) {
  std::string text =
      "# Written by the server, read by `mdgan-server admit`: KEY NAME "
      "INVITATION-KEY FINGERPRINT TIME.\n";
  for (const PendingPeer& peer : peers)
    text += to_z85(peer.key) + " " + peer.name + " " + to_z85(peer.invitation) +
            " " + fingerprint(peer.key) + " " + std::to_string(peer.since) +
            "\n";
  return atomic_write_private(file, text);
}

JoinDecision decide_join(const Invitations& invitations,
                         const PendingPeers& pending,
                         const PublicKey& invitation, const PublicKey& key,
                         std::string_view name, UnixTime now) {
  const auto open = invitations.find(invitation);
  if (open == invitations.end())
    return {"this invitation was withdrawn or replaced: ask for a new one"};
  const std::string& invited = open->second.name;
  if (key == PublicKey{}) return {"this peer names no key of its own"};
  if (name != invited)
    return {"the invitation is for " + invited +
            ", and this peer calls itself " + std::string(name)};
  const auto used =
      std::ranges::find(pending, invitation, &PendingPeer::invitation);
  if (used != pending.end() && used->key == key) return {};
  if (used != pending.end())
    return {"the invitation for " + invited + " was used on " +
            time_text(used->since) + " by the peer with the fingerprint " +
            fingerprint(used->key) +
            ": if that was not you, tell whoever runs the server; ask for a "
            "new one"};
  if (now > open->second.until)
    return {"the invitation for " + invited + " was valid until " +
            time_text(open->second.until) + ": ask for a new one"};
  return {"", true};
}

}  // namespace mdgan
