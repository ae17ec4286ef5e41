#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/parse_options.h"

namespace mdgan::test {

TEST_CASE("a peer needs a server and data") {
  const char* const no_server[] = {"mdgan-peer", "--data", "d"};
  const auto parsed = parse_peer_options(3, no_server);
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.error().message.starts_with("which server?"));
  const char* const no_data[] = {"mdgan-peer", "--server", "tcp://h:1"};
  CHECK_FALSE(parse_peer_options(3, no_data).ok());
  CHECK(peer_error({"--server", "h:5555"}).starts_with("server: 'h:5555'"));
  CHECK(peer_error({"--advertise", "tcp://:1"})
            .starts_with("advertise: 'tcp://:1'"));
  CHECK(peer_error({"--listn", "x"}) ==
        "unknown option --listn: did you mean 'listen'?");
}

TEST_CASE("a peer listens somewhere or nowhere") {
  CHECK(peer_options({"--no-listen"}).no_listen);
  CHECK(peer_error({"--no-listen", "--listen", "tcp://*:7"}) ==
        "no-listen and listen exclude each other: leave out one of them");
  CHECK(peer_error({"--no-listen", "--advertise", "tcp://h:7"}) ==
        "no-listen and advertise exclude each other: leave out one of them");
}

TEST_CASE("a name that a server would refuse is a usage error") {
  for (const char* name : {"a\tb", "\033[31mred", "\xff\xfe", "a\xe2\x80\xae",
                           "a\xe2\x80\xa8", "a/b", ".a"}) {
    const char* const arguments[] = {
        "mdgan-peer", "--server", "tcp://h:1", "--data", "d", "--name", name};
    const auto parsed = parse_peer_options(7, arguments);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().code == ExitCode::kUsage);
    CHECK(parsed.error().message.starts_with("name must be"));
    CHECK(parsed.error().message.find_first_of("\t\033\xff\xe2") ==
          std::string::npos);
  }
}

TEST_CASE("a shard is one of N counted from 0") {
  CHECK(peer_options({"--shard", "2/3"}).shard.index == 2);
  CHECK(peer_options({"--shard", "2/3"}).shard.count == 3);
  for (const char* wrong :
       {"3/3", "x/y", "1", "1/", "/2", "-1/2", "0/0", "1/2/3", "0/999999999"})
    CHECK(peer_error({"--shard", wrong}).starts_with("shard must be I/N"));
}

TEST_CASE("sessions share out the data and have names of their own") {
  const auto sessions = [](std::vector<const char*> arguments) {
    std::string text;
    for (const PeerSessionOptions& s :
         sessions_of(peer_options(std::move(arguments)), "host"))
      text += s.name + " " + std::to_string(s.shard) + "/" +
              std::to_string(s.shards) + " " + std::to_string(s.index) + " " +
              s.state.string() + "\n";
    return text;
  };
  CHECK(sessions({}) == "host 0/1 -1 state/host\n");
  CHECK(sessions({"--name", "a", "--state-dir", "s"}) == "a 0/1 -1 s/a\n");
  CHECK(sessions({"--shard", "2/4"}) == "host-2 2/4 2 state/host-2\n");
  CHECK(sessions({"--shard", "2/4", "--name", "a"}) == "a 2/4 2 state/a\n");
  CHECK(sessions({"--sessions", "2"}) ==
        "host-0 0/2 0 state/host-0\nhost-1 1/2 1 state/host-1\n");
  CHECK(sessions({"--sessions", "2", "--shard", "1/3", "--name", "a"}) ==
        "a-1 1/3 1 state/a-1\na-2 2/3 2 state/a-2\n");
  CHECK(peer_error({"--sessions", "3", "--shard", "1/3"})
            .starts_with("3 sessions from shard 1/3 on would need 4 shards"));
}

TEST_CASE("images are read as both programs' same options say") {
  const std::vector<const char*> given{
      "--size", "64x48", "--fit", "crop", "--channels", "1", "--skip-bad"};
  const ImageReading expected{64, 48, Fit::kCrop, 1, true};
  CHECK(peer_options(given).reading == expected);
  CHECK(train(given).reading == expected);
  CHECK(peer_options({}).reading == ImageReading{});
  CHECK(peer_options({"--size", ""}).reading == ImageReading{});
  for (const char* wrong :
       {"28", "28x", "x28", "0x28", "28x0", "4097x1", "28x28x1", "-1x3", "a"})
    CHECK(peer_error({"--size", wrong}).starts_with("size must be like"));
  for (const char* wrong : {"0", "2", "33", "rgb"})
    CHECK(peer_error({"--channels", wrong})
              .starts_with("channels must be 1 or 3"));
  CHECK(peer_error({"--fit", "pad"}) ==
        "fit = pad needs the size that all images are to have: give --size "
        "HxW");
  CHECK(train_error({"--fit", "crop"}).starts_with("fit = crop needs"));
}

TEST_CASE("what no budget counts is not told beside a budget") {
  CHECK(peer_options({"--evaluate-data", "d2", "--evaluate-classifier", "c"})
            .evaluate_data == "d2");
  CHECK(peer_error({"--evaluate-data", "d2"})
            .starts_with("evaluate-data needs the classifier"));
  CHECK(peer_error({"--evaluate-classifier", "c"})
            .starts_with("evaluate-classifier measures images"));
  CHECK(peer_error({"--evaluate-data", "d2", "--evaluate-classifier", "c",
                    "--dp", "discriminator"})
            .starts_with("evaluate-data tells of images what no budget of dp"));
}

TEST_CASE("a classifier needs labelled images and a place") {
  const char* const none[] = {"mdgan-peer", "classifier"};
  CHECK(parse_peer_options(2, none).error().message.starts_with("which data?"));
  const char* const good[] = {"mdgan-peer", "classifier", "--data",
                              "d",          "--size",     "8x8"};
  const auto parsed = parse_peer_options(6, good);
  REQUIRE(parsed);
  CHECK(std::get<PeerClassifierOptions>(*parsed).data == "d");
}

}  // namespace mdgan::test
