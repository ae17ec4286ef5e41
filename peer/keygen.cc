#include "peer/keygen.h"

#include <spdlog/spdlog.h>

#include "common/base/terminal.h"
#include "common/keys/authorized_peers.h"
#include "common/keys/key_file.h"

namespace mdgan {

ExitCode run_keygen(const PeerKeygenOptions& options,
                    const std::string& hostname) {
  const std::string& name = options.name.empty() ? hostname : options.name;
  if (const std::string defect = defect_of_name(name); !defect.empty()) {
    spdlog::error("the host's name '{}' {}: give another with --name", name,
                  defect);
    return ExitCode::kUsage;
  }
  const KeyPair keys = make_key_pair();
  if (const auto written = write_key_pair(options.key, keys, name); !written) {
    spdlog::error("{}", written.error().message);
    return written.error().code;
  }
  const std::string key = to_z85(keys.public_key);
  return show_keys(
      fmt::format(R"(secret key   {0}  (never send it to anybody)
public key   {1}
fingerprint  {2}
name         {3}

Whoever runs the server admits this peer by one command beside the server's key:

    echo '{1} {3}' >> authorized_peers

and tells its public key and address. Then, here:

    mdgan-peer --key {0} --server-key 'KEY' --server tcp://HOST:5555 \
        --name {3} --data DIR
)",
                  options.key, key, fingerprint(keys.public_key), name),
      options.key);
}

}  // namespace mdgan
