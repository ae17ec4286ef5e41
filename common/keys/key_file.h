// Keys in files. The secret one, FILE, is its owner's alone; the public one,
// FILE with ".pub" in place of its extension, is for everybody, as a line of
// authorized_peers: the key and, of a peer, its name.
//
// Lines that begin with "# " are comments. Errors name the file and what to do.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/keys/key.h"

namespace mdgan {

// Where the public half of the secret key in `file` is.
std::filesystem::path public_file_of(const std::filesystem::path& file);

// Writes both files; neither may exist. `name` is the peer's; empty: a
// server's. Fails with kCheckpoint, and leaves nothing behind.
Result<void> write_key_pair(const std::filesystem::path& file,
                            const KeyPair& keys, std::string_view name);

// Fails with kAuthentication when the file is missing, holds no key, belongs to
// another user, or when others can read or change it.
Result<KeyPair> read_key_pair(const std::filesystem::path& file);

// The first word in the file of a secret that both sides know, such as an HTTP
// bearer token: of 16 to 512 printable ASCII characters. Fails like
// read_key_pair(), saying how to make one.
Result<std::string> read_token(const std::filesystem::path& file);

// The key that `text` is, or that stands in the file of this name. Fails with
// kAuthentication; the error names `what` (a flag).
Result<PublicKey> read_public_key(const std::string& text,
                                  std::string_view what);

// The name beside the public key in `file`; empty if there is none.
std::string name_in_public_file(const std::filesystem::path& file);

}  // namespace mdgan
