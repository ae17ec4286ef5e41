// authorized_peers, which an operator writes by hand.

#include <set>
#include <string>

#include "common/keys/authorized_peers.h"
#include "common/keys/key.h"
#include "tests/fuzz/input.h"

namespace mdgan::test {

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto peers = AuthorizedPeers::parse(text, "list");
  if (!peers) {
    require(peers.error().message.starts_with("list:"),
            "an error names its line");
    return 0;
  }
  std::string printed;
  std::set<std::string> names;
  for (const auto& [key, name] : peers->names()) {
    require(defect_of_name(name).empty(), "a name is one");
    require(names.insert(name).second, "a name has one key");
    require(text.find(to_z85(key)) != text.npos, "a key was listed");
    printed += to_z85(key) + " " + name + "\n";
  }
  const auto again = AuthorizedPeers::parse(printed, "list");
  require(again.ok() && again->names() == peers->names(),
          "printed, it reads alike");
  return 0;
}

}  // namespace mdgan::test
