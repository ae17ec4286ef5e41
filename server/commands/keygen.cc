#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <span>

#include "common/base/terminal.h"
#include "common/files/file_descriptor.h"
#include "common/keys/authorized_peers.h"
#include "common/keys/key_file.h"
#include "server/commands/commands.h"

namespace mdgan {
namespace {

constexpr std::string_view kEmptyList =
    "# The peers that are let in, a line for each: KEY NAME, as `mdgan-peer "
    "keygen`\n"
    "# prints it. The server reads this file again when it changes.\n";

// A list that is there already stays.
Result<void> begin_list(const std::filesystem::path& file) {
  FileDescriptor out(
      ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  if (!out && errno == EEXIST) return {};
  if (!out || !write_all(out.get(), std::as_bytes(std::span(kEmptyList))) ||
      !out.close())
    return Error{"cannot write " + file.string() + ": " + errno_text(),
                 ExitCode::kCheckpoint};
  return {};
}

}  // namespace

ExitCode run_keygen(const KeygenOptions& options) {
  const KeyPair keys = make_key_pair();
  const std::filesystem::path list =
      authorized_peers_of(options.key, /*given=*/"");
  auto done = write_key_pair(options.key, keys, "");
  if (done) done = begin_list(list);
  if (!done) return report(done.error());
  const std::string key = to_z85(keys.public_key);
  return show_keys(fmt::format(R"(secret key   {0}  (never send it to anybody)
public key   {1}
fingerprint  {2}

Now start the server here, and invite each peer:

    mdgan-server train --key {0} --bind tcp://0.0.0.0:5555 ...
    mdgan-server invite NAME --key {0} --address tcp://THIS-HOST:5555

prints a line, with which `mdgan-peer join LINE` makes that peer's key on its own
machine and says how to go on. Without an invitation: append the line that
`mdgan-peer keygen` prints there to {3}.
)",
                               options.key, key, fingerprint(keys.public_key),
                               list.string()),
                   options.key);
}

}  // namespace mdgan
