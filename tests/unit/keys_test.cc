// Keys, their files, and the list of those who are let in.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "common/keys/authorized_peers.h"
#include "common/keys/key.h"
#include "common/keys/key_file.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// RFC 32's example and a key of our own making.
const std::string kAnn = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
const std::string kBob = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

mode_t mode_of(const fs::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::string list_error_of(const std::string& text) {
  const auto peers = AuthorizedPeers::parse(text, "list");
  if (peers) return "";
  CHECK(peers.error().code == ExitCode::kAuthentication);
  return peers.error().message;
}

std::string refusal_of(const fs::path& file) {
  const auto keys = read_key_pair(file);
  REQUIRE_FALSE(keys);
  CHECK(keys.error().code == ExitCode::kAuthentication);
  CHECK(keys.error().message.starts_with(file.string()));
  return keys.error().message;
}

}  // namespace

TEST_CASE("a key is 40 characters of Z85, and no other text is that key") {
  const auto key = public_key_of(kAnn);
  REQUIRE(key);
  CHECK(to_z85(*key) == kAnn);
  CHECK_FALSE(public_key_of(""));
  CHECK_FALSE(public_key_of(kAnn.substr(1)));
  CHECK_FALSE(public_key_of(kAnn + "0"));
  CHECK_FALSE(public_key_of("\"" + kAnn.substr(1)));
  CHECK_FALSE(public_key_of(std::string(40, '0')));  // stands for none
  // Five characters hold more than 32 bits.
  CHECK_FALSE(public_key_of("#####" + kAnn.substr(5)));
}

TEST_CASE("keys differ, fit a command line, and come from their secret half") {
  const KeyPair a = make_key_pair();
  const KeyPair b = make_key_pair();
  CHECK(a.public_key != b.public_key);
  CHECK(a.secret_key.public_key() == a.public_key);
  CHECK(fingerprint(a.public_key) != fingerprint(b.public_key));
  CHECK(fingerprint(a.public_key).size() == 8 * 5 - 1);
  for (int i = 0; i < 50; ++i) {
    const std::string text = to_z85(make_key_pair().public_key);
    CHECK(text.find('#') == text.npos);
    CHECK(text.front() != '-');
  }
}

TEST_CASE("a key pair is in two files, and the secret one is for its owner") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "peer.key";
  const mode_t before = ::umask(0);
  const KeyPair keys = make_key_pair();
  const auto written = write_key_pair(file, keys, "ann");
  ::umask(before);
  REQUIRE(written);
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(folder.path() / "peer.pub") == 0644);
  const auto read = read_key_pair(file);
  REQUIRE(read);
  CHECK(read->public_key == keys.public_key);
  CHECK(read->secret_key.bytes() == keys.secret_key.bytes());
  const auto by_file =
      read_public_key((folder.path() / "peer.pub").string(), "server-key");
  REQUIRE(by_file);
  CHECK(*by_file == keys.public_key);
  CHECK(*read_public_key(to_z85(keys.public_key), "x") == keys.public_key);
  CHECK(name_in_public_file(folder.path() / "peer.pub") == "ann");
  // What the public file holds is a line of authorized_peers.
  const auto peers = AuthorizedPeers::read(folder.path() / "peer.pub");
  REQUIRE(peers);
  CHECK(*peers->name_of(keys.public_key) == "ann");
}

TEST_CASE("a key is never written over, and no half of one is left") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "peer.key";
  REQUIRE(write_key_pair(file, make_key_pair(), "ann"));
  const std::string secret = read_text(file);
  const auto again = write_key_pair(file, make_key_pair(), "ann");
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ExitCode::kCheckpoint);
  CHECK(again.error().message.find("is there already") != std::string::npos);
  CHECK(read_text(file) == secret);
  fs::remove(file);  // the public half is there still
  REQUIRE_FALSE(write_key_pair(file, make_key_pair(), "ann"));
  CHECK_FALSE(fs::exists(file));
  CHECK_FALSE(write_key_pair(folder.path() / "x.pub", make_key_pair(), ""));
  // Nor through a link that somebody has put there.
  fs::create_symlink(folder.path() / "elsewhere", folder.path() / "link.key");
  CHECK_FALSE(
      write_key_pair(folder.path() / "link.key", make_key_pair(), "ann"));
  CHECK_FALSE(fs::exists(folder.path() / "elsewhere"));
}

TEST_CASE("a secret key that others can read, or that is none, is refused") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "peer.key";
  CHECK(refusal_of(file).find("keygen") != std::string::npos);
  REQUIRE(write_key_pair(file, make_key_pair(), "ann"));
  for (const mode_t mode : {0640U, 0604U, 0620U, 0610U}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    CHECK(refusal_of(file).find("chmod 600 " + file.string()) !=
          std::string::npos);
  }
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  CHECK(read_key_pair(file));
  if (::geteuid() == 0) {
    REQUIRE(::chown(file.c_str(), 1, 1) == 0);
    CHECK(refusal_of(file).find("another user") != std::string::npos);
    REQUIRE(::chown(file.c_str(), 0, 0) == 0);
  }
  write_text(file, "# nothing\n");
  CHECK(refusal_of(file).find("holds no secret key") != std::string::npos);
  write_text(file, kAnn.substr(1) + "\n");
  CHECK(refusal_of(file).find("holds no secret key") != std::string::npos);
  (void)refusal_of(folder.path());  // no plain file
  const auto none = read_public_key("nobody.pub", "server-key");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::kAuthentication);
  CHECK(none.error().message.starts_with("server-key: 'nobody.pub'"));
}

TEST_CASE("authorized_peers has a line for each peer, and comments") {
  const auto peers = AuthorizedPeers::parse(
      "# those of the north\n"
      "\n" +
          kAnn + " ann\n  \t" + kBob + "\tbob.north_2  # since May\r\n",
      "list");
  REQUIRE(peers);
  CHECK(peers->names().size() == 2);
  CHECK(*peers->name_of(*public_key_of(kAnn)) == "ann");
  CHECK(*peers->name_of(*public_key_of(kBob)) == "bob.north_2");
  CHECK(peers->name_of(make_key_pair().public_key) == nullptr);
  CHECK(AuthorizedPeers::parse("", "list")->names().empty());
  CHECK(AuthorizedPeers::parse(kAnn + " ann", "list")->names().size() == 1);
}

TEST_CASE("authorized_peers bounds as how many images a peer counts") {
  const auto peers = AuthorizedPeers::parse(
      kAnn + " ann images=5000 # as agreed\n" + kBob + " bob\n", "list");
  REQUIRE(peers);
  CHECK(peers->most_images(*public_key_of(kAnn)) == 5000);
  CHECK(peers->most_images(*public_key_of(kBob)) > 1'000'000'000'000);
  for (const std::string word :
       {"images=", "images=0", "images=-1", "images=5k", "Images=5",
        "images=99999999999999999999", "images=5 images=6", "peers=0",
        "peers=2 peers=2", "peers=2 images=x"})
    CHECK(list_error_of(kAnn + " ann " + word)
              .find("KEY NAME images=N peers=M") != std::string::npos);
}

TEST_CASE("authorized_peers bounds how many peers a key brings") {
  const auto peers = AuthorizedPeers::parse(
      kAnn + " ann peers=300 images=7\n" + kBob + " bob\n", "list");
  REQUIRE(peers);
  CHECK(peers->most_peers(*public_key_of(kAnn)) == 300);
  CHECK(peers->most_images(*public_key_of(kAnn)) == 7);
  CHECK(peers->most_peers(*public_key_of(kBob)) == 64);
}

TEST_CASE("a '#' before a key takes the peer out; one in a key does not") {
  for (const std::string comment : {"#", "# ", "##"}) {
    const auto peers = AuthorizedPeers::parse(comment + kAnn + " ann", "list");
    REQUIRE(peers);
    CHECK(peers->names().empty());
  }
  // Keys of other programs may begin with one.
  PublicKey key{};
  std::string text;
  for (int i = 0; !text.starts_with('#'); ++i) {
    key[0] = static_cast<std::byte>(i * 7);
    key[1] = static_cast<std::byte>(i >> 8);
    key[3] = std::byte{1};
    text = to_z85(key);
    if (i == 256) {  // the first character is the highest digit of 4 bytes
      key[0] = std::byte{0xff};
      text = to_z85(key);
      break;
    }
  }
  const auto peers = AuthorizedPeers::parse(text + " odd", "list");
  REQUIRE(peers);
  CHECK(peers->names().size() == 1);
}

TEST_CASE("what is wrong in authorized_peers is named with its line") {
  CHECK(list_error_of("\n" + kAnn.substr(1) + " ann")
            .starts_with("list:2: '" + kAnn.substr(1) + "' is no key"));
  CHECK(list_error_of(kAnn) ==
        "list:1: the key has no name; a line is KEY NAME");
  CHECK(list_error_of(kAnn + " # ann")
            .starts_with("list:1: the key has no name"));
  CHECK(
      list_error_of(kAnn + " ann north").starts_with("list:1: after the name"));
  CHECK(list_error_of(kAnn + " a/b").starts_with("list:1: the name 'a/b' has"));
  CHECK(list_error_of(kAnn + " .b").starts_with("list:1: the name '.b' has"));
  CHECK(list_error_of(kAnn + " a\x1b[2Jb")
            .starts_with("list:1: the name 'a?[2Jb'"));
  CHECK(list_error_of(kAnn + " " + std::string(201, 'x'))
            .starts_with("list:1: "));
  CHECK(list_error_of(kAnn + " a\n" + kAnn + " b")
            .starts_with("list:2: the key of line 1 stands here again"));
  CHECK(list_error_of(kAnn + " a\n#\n" + kBob + " a")
            .starts_with("list:3: the name 'a' of line 1 stands here again"));
  CHECK(list_error_of(std::string(100'000, 'x')).size() < 300);
}

TEST_CASE("no name is what a process of another name may call its peers") {
  const auto may_be_called = [](std::string_view name, std::string_view peer,
                                std::uint64_t most = 64) {
    return mdgan::may_be_called(name, peer, most);
  };
  CHECK(may_be_called("ann", "ann"));
  CHECK(may_be_called("ann", "ann-0"));
  CHECK(may_be_called("ann", "ann-12"));
  CHECK_FALSE(may_be_called("ann", "ann-"));
  CHECK_FALSE(may_be_called("ann", "ann-x"));
  CHECK_FALSE(may_be_called("ann", "anna"));
  CHECK_FALSE(may_be_called("ann", "bob"));
  CHECK_FALSE(may_be_called("ann", "ann-1-2"));
  // Nor does anybody get more peers by other ways to write a number.
  CHECK(may_be_called("ann", "ann-63"));
  CHECK_FALSE(may_be_called("ann", "ann-64"));
  CHECK_FALSE(may_be_called("ann", "ann-01"));
  CHECK_FALSE(may_be_called("ann", "ann-18446744073709551617"));
  CHECK(may_be_called("ann", "ann", 1));
  CHECK_FALSE(may_be_called("ann", "ann-0", 1));
  CHECK_FALSE(may_be_called("ann", ""));
  CHECK(list_error_of(kAnn + " ann\n" + kBob + " ann-7")
            .starts_with("list:2: 'ann-7' could be a peer of the process "
                         "'ann' of line 1"));
  CHECK(list_error_of(kAnn + " ann-1\n" + kBob + " ann-7").empty());
}

TEST_CASE("the peers of one process have one name, with a number each") {
  CHECK(may_be_of_one_process("ann", "ann"));
  CHECK(may_be_of_one_process("ann", "ann-3"));
  CHECK(may_be_of_one_process("ann-12", "ann-3"));
  CHECK_FALSE(may_be_of_one_process("ann-3", "bob-3"));
  CHECK_FALSE(may_be_of_one_process("ann", "anna"));
  CHECK_FALSE(may_be_of_one_process("ann-x", "ann"));
  CHECK_FALSE(may_be_of_one_process("-1", "-2"));
}

TEST_CASE("authorized_peers that others can write to is refused") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "authorized_peers";
  write_text(file, kAnn + " ann\n");
  for (const mode_t mode : {0646U, 0664U}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto open = AuthorizedPeers::read(file);
    REQUIRE_FALSE(open);
    CHECK(open.error().message.find("chmod go-w") != std::string::npos);
  }
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  if (::geteuid() == 0) {  // only root can give a file away
    CHECK(::chown(file.c_str(), 1, static_cast<gid_t>(-1)) == 0);
    const auto anothers = AuthorizedPeers::read(file);
    REQUIRE_FALSE(anothers);
    CHECK(anothers.error().message.find("another user") != std::string::npos);
    CHECK(::chown(file.c_str(), 0, static_cast<gid_t>(-1)) == 0);
  }
  CHECK(AuthorizedPeers::read(file));
  const auto none = AuthorizedPeers::read(folder.path() / "none");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::kAuthentication);
}

}  // namespace mdgan::test
