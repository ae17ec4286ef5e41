// libzmq draws the routing ids of connections from rand(): each start of a
// program seeds it anew, before its first socket.
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/process_run.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {

// A command that becomes a program whose calls are noted in `file`.
std::vector<std::string> noting_in(const std::string& file) {
  return {"/usr/bin/env", "LD_PRELOAD=" MDGAN_NOTED_CALLS,
          "NOTED_CALLS=" + file};
}

// The seed that `program` itself has given to srand() before it made a context
// of libzmq.
std::string seed_of(const std::string& program, const std::string& file) {
  const std::string calls = read_text(file);
  INFO(calls);
  const std::string call = program + " srand ";
  const auto seeded = calls.find(call);
  const auto context = calls.find(program + " zmq_ctx_new ");
  REQUIRE(context != calls.npos);
  REQUIRE(seeded < context);
  const auto seed = seeded + call.size();
  return calls.substr(seed, calls.find('\n', seed) - seed);
}

}  // namespace

TEST_CASE("each start of a program seeds the routing ids before any socket") {
  const ProcessRun t;
  const auto file = [&](const std::string& name) {
    return (t / name).string();
  };
  std::vector<std::string> seeds;
  for (const std::string& run : std::vector<std::string>{"first", "second"}) {
    const std::string of_server = file(run + ".server.calls");
    const std::string of_peer = file(run + ".peer.calls");
    auto server = t.server(
        run,
        {"--bind", "tcp://127.0.0.1:*", "--min-peers", "1", "--rounds", "2"},
        noting_in(of_server));
    std::vector<std::string> arguments = noting_in(of_peer);
    arguments.insert(arguments.end(),
                     {MDGAN_PEER, "--server", t.endpoint(run), "--data",
                      file("data"), "--state-dir", file(run + ".state")});
    auto peer = t.tool(arguments, run + ".peer.out");
    CHECK(server.wait() == 0);
    CHECK(peer.wait() == 0);
    seeds.push_back(seed_of("mdgan-server", of_server));
    seeds.push_back(seed_of("mdgan-peer", of_peer));
  }
  CHECK(seeds[0] != seeds[2]);
  CHECK(seeds[1] != seeds[3]);
}
#endif

}  // namespace mdgan::test
