// A server lets in the peers of a file, in the manner of ssh's authorized_keys:
// it has a line for each peer,
//
//   KEY NAME [images=N] [peers=M]
//
// with empty lines, and comments from a '#' to the end of the line. (A '#' in
// front of a key takes that peer out.) The name a peer has is the one beside
// its key; a process that hosts several peers calls them NAME-0, NAME-1, ...
// With images=N a peer counts as one with N images where it claims more. A key
// brings one peer called NAME and kMostPeers with a number, or M: its holder
// could outvote all others by names alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace mdgan {

// Unless its line says otherwise.
inline constexpr std::uint64_t kMostPeers = 64;

class AuthorizedPeers {
 public:
  AuthorizedPeers() = default;

  // `file` stands before the line number in errors, which have
  // kAuthentication: what is no key, no name, or stands there twice.
  static Result<AuthorizedPeers> parse(std::string_view text,
                                       std::string_view file);
  // Fails with kAuthentication also when the file cannot be read, or when
  // everybody may write to it.
  static Result<AuthorizedPeers> read(const std::filesystem::path& file);

  // The name of the peer with this key; null: it is not let in.
  const std::string* name_of(const PublicKey& key) const;
  const std::map<PublicKey, std::string>& names() const { return names_; }
  // The peer's images count as so many at most.
  std::uint64_t most_images(const PublicKey& key) const;
  // So many peers may have the key.
  std::uint64_t most_peers(const PublicKey& key) const;

 private:
  std::map<PublicKey, std::string> names_;
  std::map<PublicKey, std::uint64_t> most_images_;  // where it is bounded
  std::map<PublicKey, std::uint64_t> most_peers_;   // where its line says it
};

// The text of such a file, or of one like it. Fails with kAuthentication when
// it cannot be read, or when everybody may write to it.
Result<std::string> read_list(const std::filesystem::path& file);

// The file to read: `given`, or the one beside the server's secret key.
std::filesystem::path authorized_peers_of(const std::filesystem::path& key_file,
                                          const std::string& given);

// Why `name` cannot be a peer's; empty if it can: one word that is a folder's
// name, too.
std::string defect_of_name(std::string_view name);

// Whether a process that is called `name`, and may have `most` peers, may call
// one of them `peer`: NAME; or where `most` is more than 1, NAME-0 to
// NAME-(most - 1), without further zeros in front.
bool may_be_called(std::string_view name, std::string_view peer,
                   std::uint64_t most);

// Whether one process may have peers of both names: NAME, NAME-0, NAME-1 and so
// on.
bool may_be_of_one_process(std::string_view a, std::string_view b);

}  // namespace mdgan
