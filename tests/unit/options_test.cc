#include "common/options/options_parser.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "common/options/text.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
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

TEST_CASE("the environment beats the file, and a flag the environment") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "quick.ini";
  std::ofstream(file) << "batch = 20\nrounds = 7\nround-timeout = 5\n";
  const std::string config = file.string();
  const std::vector<const char*> arguments{"mdgan-server", "train", "--rounds",
                                           "8"};
  const auto with = [&](const Environment& environment) {
    return parse_server_options(static_cast<int>(arguments.size()),
                                arguments.data(), environment);
  };
  const auto parsed = with({{"MDGAN_CONFIG", config},
                            {"MDGAN_BATCH", "30"},
                            {"MDGAN_ROUNDS", "9"},
                            {"MDGAN_ROUND_TIMEOUT", "2.5"},
                            {"MDGAN_QUIET", "1"},
                            {"MDGAN_K", ""},
                            {"MDGAN_MNIST_DIR", "/nowhere"}});
  REQUIRE(parsed);
  const auto& options = std::get<ServerOptions>(*parsed);
  CHECK(options.batch == 30);
  CHECK(options.rounds == 8);
  CHECK(options.round_timeout == Seconds(2.5));
  CHECK(options.quiet);
  CHECK(options.k == 0);  // an empty variable is none
  CHECK(options.name == "quick");

  const auto wrong = with({{"MDGAN_BATCH", "many"}});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == ExitCode::kUsage);
  CHECK(
      wrong.error().message ==
      "the variable MDGAN_BATCH: batch must be a whole number, but is 'many'");
  // Only who is given the environment looks at it.
  CHECK(train({}).batch == ServerOptions{}.batch);
}

TEST_CASE("a peer's options and a key's file come from the environment, too") {
  const std::vector<const char*> arguments{"mdgan-peer"};
  const auto parsed = parse_peer_options(1, arguments.data(),
                                         {{"MDGAN_SERVER", "tcp://h:1"},
                                          {"MDGAN_DATA", "d"},
                                          {"MDGAN_SHARD", "1/4"}});
  REQUIRE(parsed);
  CHECK(std::get<PeerOptions>(*parsed).shard.index == 1);
  const std::vector<const char*> invite{"mdgan-server", "invite", "ann"};
  const auto invited =
      parse_server_options(3, invite.data(), {{"MDGAN_KEY", "/keys/own.key"}});
  REQUIRE(invited);
  CHECK(std::get<InviteOptions>(*invited).key == "/keys/own.key");
}

TEST_CASE("a variable that is no option's is told, with the nearest one") {
  std::uint32_t batch = 1;
  const OptionTable table({{"All", {{"batch-size", &batch, "N", "", {1, 9}}}}});
  CHECK(table
            .unknown_in({{"MDGAN_BATCH_SIZE", "3"},
                         {"MDGAN_MNIST_DIR", "/data"},
                         {"MDGAN_FAILPOINT", "x"},
                         {"MDGAN_BLAS_CORE", "SkylakeX"},
                         {"MDGAN_SERVER_PORT_5555_TCP_ADDR", "10.0.0.1"},
                         {"MDGAN_SERVER_SERVICE_HOST", "10.0.0.1"}})
            .empty());
  CHECK(table.unknown_in({{"MDGAN_BATCHSIZE", "3"}}) ==
        std::vector<std::string>{"the variable MDGAN_BATCHSIZE is no option's: "
                                 "did you mean 'MDGAN_BATCH_SIZE'?"});
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
        "swap-optimizer must be true or false, but is 'maybe'");
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
        file.string() + ": batch must be in [1, 65536], but is 0");
  CHECK(error_for("batch = 1\nbatch = 2\n") ==
        file.string() + ": key 'batch' stands there twice: keep one");
  CHECK(error_for("resume = x\n") ==
        file.string() + ": 'resume' is for the command line only: remove it");
  CHECK(error_for("[model]\nk = 1\n") ==
        file.string() +
            ": a section like [model] does not belong here: remove that line");
  CHECK(error_for("nonsense\n").find("'key = value'") != std::string::npos);
}

TEST_CASE("a configuration file of Windows is read, one of bytes is none") {
  const TemporaryDirectory dir;
  write_text(dir / "c.ini", "\xef\xbb\xbfrounds = 5\r\nk = 2\r\n");
  const std::string file = (dir / "c.ini").string();
  const ServerOptions options = train({"--config", file.c_str()});
  CHECK(options.rounds == 5);
  CHECK(options.k == 2);
  for (const std::string& bytes :
       {std::string("k\x1b[31m = 3\n"), std::string("\0\1\2\x7f\n", 5),
        std::string(100'000, 'x')}) {
    write_text(dir / "c.ini", bytes);
    const std::string error = train_error({"--config", file.c_str()});
    CHECK(contains(error, {file}));
    CHECK(error.find_first_of(std::string_view("\0\1\2\x1b\x7f", 5)) ==
          std::string::npos);
    CHECK(error.size() < 3000);
  }
}

TEST_CASE("a missing configuration file is named") {
  const std::string error = train_error({"--config", "/does/not/exist.ini"});
  CHECK(error ==
        "/does/not/exist.ini: cannot be read: No such file or directory");
}

TEST_CASE("a value out of range or of another kind is refused by name") {
  CHECK(train_error({"--k", "-1"}) == "k must be in [0, 1024], but is -1");
  CHECK(train_error({"--batch", "0"}) ==
        "batch must be in [1, 65536], but is 0");
  CHECK(train_error({"--batch", "ten"}) ==
        "batch must be a whole number, but is 'ten'");
  CHECK(train_error({"--batch", "1.5"}) ==
        "batch must be a whole number, but is '1.5'");
  CHECK(train_error({"--batch", "99999999999999999999"}) ==
        "batch must be a whole number, but is '99999999999999999999'");
  CHECK(train_error({"--quorum", "nan"}) ==
        "quorum must be in [0.01, 1], but is nan");
  CHECK(train_error({"--quorum", "1.01"}) ==
        "quorum must be in [0.01, 1], but is 1.01");
  CHECK(train_error({"--loss", "wgan"}) ==
        "loss must be one of non-saturating, saturating, hinge, wgan-gp, "
        "relativistic, but is 'wgan'");
  CHECK(train_error({"--bind", "5555"}) ==
        "bind must be like tcp://ADDRESS:PORT, but is '5555'");
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
  CHECK(peer_keys.size() == 31);
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

}  // namespace mdgan::test
