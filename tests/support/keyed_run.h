// A run of real processes whose server and peers have keys.
#pragma once

#include <string>
#include <vector>

#include "common/keys/key.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

// A run whose server and peers have keys.
class KeyedRun : public ProcessRun {
 public:
  KeyedRun() {
    ChildProcess keygen =
        tool({MDGAN_SERVER, "keygen", "--key", file("server.key")}, "keygen");
    REQUIRE(keygen.wait() == 0);
    server_key_ = words_of("server.pub").front();
  }

  std::string file(const std::string& name) const {
    return (*this / name).string();
  }
  // Makes the key of peer `name` and returns its line.
  std::string line_of(const std::string& name) {
    ChildProcess keygen = tool(
        {MDGAN_PEER, "keygen", "--key", file(name + ".key"), "--name", name},
        "keygen-" + name);
    REQUIRE(keygen.wait() == 0);
    return read_text(*this / (name + ".pub"));
  }
  void let_in(const std::string& lines) {
    write_text(*this / "authorized_peers", lines);
  }
  ChildProcess keyed_server(std::uint32_t min_peers,
                            const Words& more = {}) const {
    return server("run",
                  Words{"--bind", "tcp://127.0.0.1:*", "--rounds", "10000000",
                        "--min-peers", std::to_string(min_peers), "--key",
                        file("server.key")} +
                      more);
  }
  Words keys_of(const std::string& name) const {
    return {"--key", file(name + ".key"), "--server-key", server_key_};
  }
  // Peer `index` of `count`, which has the key of `name`.
  ChildProcess keyed_peer(const std::string& name, std::uint32_t index,
                          std::uint32_t count, const Words& more = {}) const {
    return peer("run", index, count,
                keys_of(name) + Words{"--name", name} + more);
  }
  ClientKeys client_keys(const std::string& name) const {
    return {*read_key_pair(*this / (name + ".key")),
            *public_key_of(server_key_)};
  }
  const std::string& server_key() const { return server_key_; }
  bool server_says(const std::string& text) const {
    return log("run").find(text) != std::string::npos;
  }

 private:
  Words words_of(const std::string& name) const {
    std::string text = read_text(*this / name);
    text.erase(text.find_first_of(" \n"));
    return {text};
  }
  std::string server_key_;
};

inline bool says(const ChildProcess& process, const std::string& text) {
  const bool found = process.output().find(text) != std::string::npos;
  if (!found) WARN("'" << text << "' is not in:\n" << process.output());
  return found;
}

inline bool advances(const KeyedRun& t) {
  const auto before = t.round("run");
  return eventually([&] { return t.round("run") > before + 10; });
}

}  // namespace mdgan::test
