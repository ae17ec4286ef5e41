#include "common/options/options_parser.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "common/options/text.h"
#include "tests/support/catch.h"
#include "tests/support/parse_options.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

const fs::path kConfigs = fs::path(MDGAN_SOURCE_DIR) / "configs";

std::string help_of(std::vector<const char*> arguments) {
  const auto parsed = server(std::move(arguments));
  REQUIRE(parsed.ok());
  REQUIRE(std::holds_alternative<HelpRequest>(*parsed));
  return std::get<HelpRequest>(*parsed).text;
}

std::string peer_help() {
  const auto parsed = peer({"--help"});
  REQUIRE(parsed.ok());
  return std::get<PeerHelpRequest>(*parsed).text;
}

// The keys of a file in which every key is a commented default.
std::vector<std::string> keys_of(const std::string& template_text) {
  std::vector<std::string> keys;
  std::istringstream lines(template_text);
  for (std::string line; std::getline(lines, line);)
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#')
      keys.push_back(line.substr(1, line.find(' ') - 1));
  return keys;
}

}  // namespace

TEST_CASE("a flag beats the file and the file beats the default") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "quick.ini";
  std::ofstream(file) << "# a comment\nbatch = 20  # and another\nrounds=7\n";
  const ServerOptions options =
      train({"--config", file.c_str(), "--rounds=8", "--k", "3"});
  CHECK(options.batch == 20);
  CHECK(options.rounds == 8);
  CHECK(options.k == 3);
  CHECK(options.local_steps == 1);
  CHECK(options.name == "quick");
}

TEST_CASE("of a flag given twice the last counts") {
  CHECK(train({"--rounds", "1", "--rounds", "2"}).rounds == 2);
}

TEST_CASE("a flag of yes or no may stand alone or before its value") {
  CHECK(train({}).swap_optimizer);
  CHECK(train({"--quiet", "--k", "3"}).quiet);
  CHECK_FALSE(train({"--swap-optimizer", "false"}).swap_optimizer);
  CHECK_FALSE(train({"--swap-optimizer=no"}).swap_optimizer);
  CHECK(train({"--swap-optimizer"}).swap_optimizer);
  CHECK(train_error({"--swap-optimizer=maybe"}) ==
        "swap-optimizer must be true or false, is 'maybe'");
}

TEST_CASE("an unknown flag is named with the nearest one") {
  CHECK(train_error({"--bach", "3"}) ==
        "unknown option --bach: did you mean 'batch'?");
  CHECK(train_error({"--swap-epoch=3"}) ==
        "unknown option --swap-epoch: did you mean 'swap-epochs'?");
  CHECK(train_error({"--zzzzzzzz"}) ==
        "unknown option --zzzzzzzz; see --help for those there are");
  // No guessing at abbreviations: a later option could make them ambiguous.
  CHECK(train_error({"--round", "3"}) ==
        "unknown option --round: did you mean 'rounds'?");
}

TEST_CASE("an unknown key is named with its file and the nearest key") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "a.ini";
  const auto error_for = [&](const std::string& text) {
    std::ofstream(file) << text;
    return train_error({"--config", file.c_str()});
  };
  CHECK(error_for("lr_g = 1\n") ==
        file.string() + ": unknown key 'lr_g': did you mean 'lr-g'?");
  CHECK(error_for("batch = 0\n") ==
        file.string() + ": batch must be in [1, 65536], is 0");
  CHECK(error_for("batch = 1\nbatch = 2\n") ==
        file.string() + ": key 'batch' stands there twice: keep one");
  CHECK(error_for("resume = x\n") ==
        file.string() + ": 'resume' is for the command line only: remove it");
  CHECK(error_for("[model]\nk = 1\n") ==
        file.string() +
            ": a section like [model] does not belong here: remove that line");
  CHECK(error_for("nonsense\n").find("'key = value'") != std::string::npos);
}

TEST_CASE("a missing configuration file is named") {
  const std::string error = train_error({"--config", "/does/not/exist.ini"});
  CHECK(error ==
        "/does/not/exist.ini: cannot be read: No such file or directory");
}

TEST_CASE("a value out of range or of another kind is refused by name") {
  CHECK(train_error({"--k", "-1"}) == "k must be in [0, 1024], is -1");
  CHECK(train_error({"--batch", "0"}) == "batch must be in [1, 65536], is 0");
  CHECK(train_error({"--batch", "ten"}) ==
        "batch must be a whole number, is 'ten'");
  CHECK(train_error({"--batch", "1.5"}) ==
        "batch must be a whole number, is '1.5'");
  CHECK(train_error({"--batch", "99999999999999999999"}) ==
        "batch must be a whole number, is '99999999999999999999'");
  CHECK(train_error({"--quorum", "nan"}) ==
        "quorum must be in [0.01, 1], is nan");
  CHECK(train_error({"--quorum", "1.01"}) ==
        "quorum must be in [0.01, 1], is 1.01");
  CHECK(train_error({"--loss", "wgan"}) ==
        "loss must be one of non-saturating, saturating, hinge, wgan-gp, is "
        "'wgan'");
  CHECK(train_error({"--bind", "5555"}) ==
        "bind must be like tcp://ADDRESS:PORT, is '5555'");
  CHECK(train_error({"--rounds"}) == "--rounds needs a value");
  CHECK(train_error({"data"}) ==
        "unexpected argument 'data': options are given as --key value");
  CHECK(train_error({"--name", "a#b"}).starts_with("name must not contain"));
  CHECK(train_error({"--name", "../a"}).starts_with("name must be usable"));
}

TEST_CASE("every number has limits that are enforced at both ends") {
  // Through --help's "[LOW to HIGH": what it promises is what is checked.
  const std::string help = help_of({"train", "--help"});
  std::size_t checked = 0;
  for (const std::string& key : keys_of(server_configuration_template())) {
    const std::size_t at = help.find("\n  --" + key + " ");
    if (at == help.npos) continue;  // a switch
    std::istringstream words(help.substr(at, help.find("\n  --", at + 1) - at));
    std::string entry;  // its lines joined
    for (std::string word; words >> word;) entry += word + " ";
    const std::string limits = entry.substr(entry.find('[') + 1);
    const std::size_t to = limits.find(" to ");
    if (to == limits.npos ||
        !(limits[0] == '0' || limits[0] == '1' || limits[0] == '-'))
      continue;
    INFO(key << ": " << limits);
    const double low = std::stod(limits);
    const double high = std::stod(limits.substr(to + 4));
    for (const double outside : {low - 1, high + 1}) {
      std::ostringstream flag;
      flag << "--" << key << "=" << std::fixed;
      flag.precision(0);
      flag << outside;
      CHECK(
          train_error({flag.str().c_str()}).starts_with(key + " must be in ["));
    }
    ++checked;
  }
  CHECK(checked >= 30);
}

TEST_CASE("an image size is channels x height x width") {
  const ImageShape image = train({"--image", "3x32x48"}).image;
  CHECK(image == ImageShape{3, 32, 48, 0});
  CHECK(train({"--image", ""}).image == ImageShape{});
  for (const char* wrong : {"28x28", "1x28x28x1", "x28x28", "1x0x28", "1x28x",
                            "1x28x28 ", "1x99999x1", "-1x28x28", "0", "x"})
    CHECK(train_error({"--image", wrong}).starts_with("image must be like"));
}

TEST_CASE("what --dry-run prints reads back to the same options") {
  // Values that binary fractions, rounding or trimming could spoil.
  const std::string data = "/a folder/with = and ; in it";
  const ServerOptions options = train({"--local-peers",
                                       "3",
                                       "--data",
                                       data.c_str(),
                                       "--bind",
                                       "tcp://[::1]:0",
                                       "--seed",
                                       "4294967295",
                                       "--swap-epochs",
                                       "0.1",
                                       "--lr-g",
                                       "0.00000012",
                                       "--ema",
                                       "0.9999",
                                       "--round-timeout",
                                       "0.3",
                                       "--image",
                                       "3x64x64",
                                       "--classes",
                                       "-1",
                                       "--loss",
                                       "wgan-gp",
                                       "--condition",
                                       "projection",
                                       "--swap-optimizer",
                                       "false",
                                       "--quiet",
                                       "--keep-every",
                                       "0",
                                       "--image-codec",
                                       "uint8",
                                       "--feedback-codec",
                                       "int8",
                                       "--swap-codec",
                                       "bfloat16",
                                       "--partition",
                                       "dirichlet:0.1"});
  CHECK(options.data == data);
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "config.ini";
  const std::string text = effective_configuration(options);
  std::ofstream(file) << text;
  const ServerOptions again = train({"--config", file.c_str()});
  CHECK(effective_configuration(again) == text);
  CHECK(again.data == data);
  CHECK(again.bind == "tcp://[::1]:0");
  CHECK(again.seed == 4294967295);
  CHECK(again.swap_epochs == 0.1);
  CHECK(again.adam_g.learning_rate == 0.00000012);
  CHECK(again.ema == 0.9999);
  CHECK(again.round_timeout == options.round_timeout);
  CHECK(again.image == ImageShape{3, 64, 64, 0});
  CHECK(again.loss == Loss::kWassersteinGp);
  CHECK(again.condition == Condition::kProjection);
  CHECK_FALSE(again.swap_optimizer);
  CHECK(again.quiet);
  CHECK(again.codecs == TensorCodecs{ImageCodec::kUint8, FeedbackCodec::kInt8,
                                     SwapCodec::kBfloat16});
  CHECK(again.partition == *parse_partition("dirichlet:0.1"));
  CHECK(again.name == options.name);
}

TEST_CASE("every ready configuration is accepted") {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(kConfigs)) {
    const std::string path = entry.path().string();
    INFO(path);
    // Directories hold the experiments and the pictures.
    if (entry.is_directory() || entry.path().extension() == ".md") continue;
    REQUIRE(entry.path().extension() == ".ini");
    if (entry.path().filename() == "peer.ini")
      peer_options({"--config", path.c_str()});
    else
      CHECK(train({"--config", path.c_str()}).name == entry.path().stem());
    ++count;
  }
  CHECK(count >= 8);
}

TEST_CASE("server.ini and peer.ini list exactly the keys and their defaults") {
  const std::pair<fs::path, std::string> files[] = {
      {kConfigs / "server.ini", server_configuration_template()},
      {kConfigs / "peer.ini", peer_configuration_template()}};
  // After a change of the options: MDGAN_WRITE_CONFIGS=1 bin/unit_tests
  const bool write = std::getenv("MDGAN_WRITE_CONFIGS") != nullptr;
  for (const auto& [path, text] : files) {
    if (write) std::ofstream(path) << text;
    INFO(path << " is out of date: MDGAN_WRITE_CONFIGS=1 bin/unit_tests");
    CHECK(read_text(path) == text);
  }
  // Uncommented, the defaults must be values that are accepted. --server and
  // --data are required of a peer and come as flags.
  const TemporaryDirectory folder;
  for (const auto& [path, text] : files) {
    std::string uncommented;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      if (line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#')
        uncommented += line.substr(1) + "\n";
    const fs::path file = folder.path() / path.filename();
    std::ofstream(file) << uncommented;
    if (path.filename() == "peer.ini") {
      peer_options({"--config", file.c_str()});
    } else {
      ServerOptions from_file = train({"--config", file.c_str()});
      from_file.name = train({}).name;
      CHECK(effective_configuration(from_file) ==
            effective_configuration(train({})));
    }
  }
}

TEST_CASE("the help names every key and keeps to 80 columns") {
  const std::string train_help = help_of({"train", "--help"});
  for (const std::string& key : keys_of(server_configuration_template()))
    CHECK(train_help.find("--" + key) != std::string::npos);
  for (const char* key : {"config", "run-dir", "resume", "dry-run"})
    CHECK(train_help.find("--" + std::string(key)) != std::string::npos);
  const std::string peers = peer_help();
  const std::vector<std::string> peer_keys =
      keys_of(peer_configuration_template());
  CHECK(peer_keys.size() == 17);
  for (const std::string& key : peer_keys)
    CHECK(peers.find("--" + key) != std::string::npos);
  for (const std::string& help :
       {train_help, peers, help_of({"--help"}), help_of({"-h"}),
        help_of({"sample", "--help"}), help_of({"evaluate", "--help"}),
        help_of({"export", "--help"})}) {
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 80);
    }
  }
}

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

}  // namespace mdgan::test
