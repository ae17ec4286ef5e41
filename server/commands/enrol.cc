#include "server/commands/enrol.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <span>

#include "common/files/output_file.h"
#include "common/keys/authorized_peers.h"
#include "common/keys/enrolment.h"
#include "common/keys/key_file.h"

namespace mdgan {
namespace {

Error denied(std::string message) {
  return {std::move(message), ExitCode::kAuthentication};
}

std::string own_address() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "";
  return std::string("tcp://") + name + ":5555";
}

Result<void> check_not_listed(const std::filesystem::path& list,
                              const std::string& name) {
  std::error_code ignored;
  if (!std::filesystem::exists(list, ignored)) return {};
  const auto peers = AuthorizedPeers::read(list);
  if (!peers) return peers.error();
  for (const auto& [key, listed] : peers->names())
    if (listed == name)
      return denied(fmt::format(
          "{} has a key in {} already: invite another name, or take that line "
          "out first",
          name, list.string()));
  return {};
}

std::string line_of(const PendingPeer& peer) {
  return fmt::format("{}  fingerprint {}  since {}\n", peer.name,
                     fingerprint(peer.key), time_text(peer.since));
}

Result<std::string> show_pending(const PendingPeers& pending,
                                 const AuthorizedPeers& peers) {
  std::string text;
  for (const PendingPeer& peer : pending)
    if (peers.name_of(peer.key) == nullptr) text += line_of(peer);
  return text.empty() ? "nobody waits to be let in\n" : text;
}

}  // namespace

Result<std::string> admit(const AdmitOptions& options) {
  const std::filesystem::path list =
      authorized_peers_of(options.key, options.authorized_peers);
  const std::filesystem::path file = pending_peers_of(options.key);
  auto text = read_list(list);
  if (!text) return text.error();
  const auto peers = AuthorizedPeers::parse(*text, list.string());
  if (!peers) return peers.error();
  const auto invitations = read_invitations(invitations_of(options.key));
  if (!invitations) return invitations.error();
  auto pending = read_pending_peers(file);
  if (!pending) return pending.error();
  // Invitations that were replaced let nobody in.
  std::erase_if(*pending, [&](const PendingPeer& peer) {
    return !invitations->contains(peer.invitation);
  });
  if (options.name.empty()) return show_pending(*pending, *peers);
  const auto found =
      std::ranges::find(*pending, options.name, &PendingPeer::name);
  if (found == pending->end())
    return denied(fmt::format(
        "{} has not joined: nobody of that name is in {}; `mdgan-server "
        "invite {}` makes an invitation",
        options.name, file.string(), options.name));
  const std::string print = fingerprint(found->key);
  if (const std::string* known = peers->name_of(found->key);
      known != nullptr && *known == options.name)
    return fmt::format("{} is let in already, with the fingerprint {}\n",
                       options.name, print);
  if (!text->empty() && !text->ends_with('\n')) *text += '\n';
  *text += to_z85(found->key) + " " + found->name + "\n";
  // What does not fit there says so, and changes nothing.
  if (const auto fits = AuthorizedPeers::parse(*text, list.string()); !fits)
    return fits.error();
  const std::span<const std::byte> parts[] = {
      std::as_bytes(std::span(std::as_const(*text)))};
  if (auto written = write_output(list, parts); !written)
    return written.error();
  return fmt::format("{} is let in, with the fingerprint {}\n", options.name,
                     print);
}

Result<std::string> invite(const InviteOptions& options) {
  const auto own = read_key_pair(options.key);
  if (!own) return own.error();
  if (auto free = check_not_listed(
          authorized_peers_of(options.key, options.authorized_peers),
          options.name);
      !free)
    return free.error();
  const std::filesystem::path file = invitations_of(options.key);
  auto invitations = read_invitations(file);
  if (!invitations) return invitations.error();
  std::erase_if(*invitations, [&](const auto& entry) {
    return entry.second.name == options.name;
  });
  const Invitation invitation{
      options.address.empty() ? own_address() : options.address,
      own->public_key, make_invitation_secret(), options.name};
  const UnixTime until = ::time(nullptr) + options.valid.count();
  (*invitations)[invitation_key(invitation.secret).public_key] = {options.name,
                                                                  until};
  if (auto written = write_invitations(file, *invitations); !written)
    return written.error();
  spdlog::info(
      "good once, until {}; send it to whoever runs {} and to nobody else, who "
      "types `mdgan-peer join LINE`",
      time_text(until), options.name);
  return invitation_line(invitation) + "\n";
}

}  // namespace mdgan
