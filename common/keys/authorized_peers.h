// Whom a server lets in, in the manner of ssh's authorized_keys: a file with a
// line for each peer,
//
//   KEY NAME
//
// with empty lines, and comments from a '#' to the end of the line. (A '#' in
// front of a key takes that peer out.) The name a peer has is the one beside
// its key; a process that hosts several peers calls them NAME-0, NAME-1, ...
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace mdgan {

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

 private:
  std::map<PublicKey, std::string> names_;
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

// Whether a process that is called `name` may call a peer of its own `peer`:
// NAME, or NAME-0, NAME-1, ...
bool may_be_called(std::string_view name, std::string_view peer);

}  // namespace mdgan
