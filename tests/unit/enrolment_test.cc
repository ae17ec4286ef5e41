// Invitations, the files that keep them, and what becomes of who joins.
#include "common/keys/enrolment.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "common/files/hash.h"
#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

const Invitation kInvitation{
    "tcp://10.0.0.1:5555", {std::byte{7}}, {std::byte{9}}, "hospital,c"};

std::string error_of(const std::string& line) {
  const auto invitation = parse_invitation(line);
  if (invitation) return "";
  CHECK(invitation.error().code == ExitCode::kAuthentication);
  return invitation.error().message;
}

}  // namespace

TEST_CASE("an invitation is one word, which says all that its peer needs") {
  const std::string line = invitation_line(kInvitation);
  CHECK(line.find_first_of(" \n'\"$&;|<>()*?") == std::string::npos);
  const auto read = parse_invitation(line);
  REQUIRE(read);
  CHECK(read->address == kInvitation.address);
  CHECK((read->server == kInvitation.server));
  CHECK((read->secret == kInvitation.secret));
  CHECK(read->name == kInvitation.name);
}

TEST_CASE("what is no invitation is refused in words") {
  const std::string line = invitation_line(kInvitation);
  CHECK(has(error_of(""), "too few parts"));
  CHECK(has(error_of("tcp://10.0.0.1:5555"), "too few parts"));
  CHECK(has(error_of(line.substr(0, line.find(','))), "take it whole"));
  std::string bad = line;
  bad[line.find(',') + 1] = 'x';
  CHECK(has(error_of(bad), "server key"));
  bad = line;
  bad[line.find(',') + 66] = 'x';
  CHECK(has(error_of(bad), "secret"));
  CHECK(has(error_of(line + " and more"), "has a blank"));
  CHECK(has(error_of(line.substr(0, line.find("hospital"))), "is empty"));
  for (std::size_t size = 0; size < line.size(); ++size)
    (void)error_of(line.substr(0, size));
}

TEST_CASE("an invitation's key follows from its secret alone") {
  const InvitationSecret secret = make_invitation_secret();
  CHECK((secret != make_invitation_secret()));
  const KeyPair key = invitation_key(secret);
  CHECK((key.public_key == invitation_key(secret).public_key));
  CHECK((key.public_key == key.secret_key.public_key()));
  InvitationSecret other = secret;
  other[15] ^= std::byte{1};
  CHECK((key.public_key != invitation_key(other).public_key));
  // PROTOCOL.md defines this value; sha256sum computed it.
  CHECK(to_hex(invitation_key({}).secret_key.bytes()) ==
        "ecb1b0d2ced2287a5b2bf75cb5471943e7a94b1f9991c8d506549f024d77cb57");
}

TEST_CASE("the files of enrolment read as they were written, by their owner") {
  const TemporaryDirectory folder;
  const fs::path key_file = folder.path() / "server.key";
  const fs::path file = invitations_of(key_file);
  CHECK(read_invitations(file)->empty());
  const PublicKey a = make_key_pair().public_key;
  const PublicKey b = make_key_pair().public_key;
  REQUIRE(write_invitations(file, {{a, {"ann", 1'000}}, {b, {"bob", 2'000}}}));
  const auto read = read_invitations(file);
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK(read->at(b).name == "bob");
  CHECK(read->at(b).until == 2'000);

  const fs::path waiting = pending_peers_of(key_file);
  CHECK(read_pending_peers(waiting)->empty());
  REQUIRE(write_pending_peers(waiting, {{b, "ann", a, 1'500}}));
  const auto pending = read_pending_peers(waiting);
  REQUIRE(pending);
  REQUIRE(pending->size() == 1);
  CHECK((pending->front().key == b));
  CHECK((pending->front().invitation == a));
  CHECK(pending->front().since == 1'500);
  for (const fs::path& path : {file, waiting}) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    REQUIRE(::chmod(path.c_str(), 0602) == 0);
  }
  CHECK_FALSE(read_invitations(file));
  CHECK_FALSE(read_pending_peers(waiting));
}

TEST_CASE("a bad line of the files of enrolment is named") {
  const std::string key = to_z85(make_key_pair().public_key);
  const auto wrong = [](const auto& read) {
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ExitCode::kAuthentication);
    return read.error().message;
  };
  CHECK(wrong(parse_invitations("# one\n\n" + key + " ann\n", "f"))
            .starts_with("f:3: a line is INVITATION-KEY NAME UNTIL"));
  CHECK(wrong(parse_invitations("x ann 3", "f")).starts_with("f:1: 'x' is no"));
  CHECK(has(wrong(parse_invitations(key + " a/b 3", "f")), "'a/b'"));
  for (const char* time : {"-3", "3x", "x", "99999999999999999999"})
    CHECK(has(wrong(parse_invitations(key + " ann " + time, "f")), "seconds"));
  const std::string print = fingerprint(*public_key_of(key));
  const std::string good = key + " ann " + key + " " + print + " 3";
  CHECK(parse_pending_peers(good, "f"));
  CHECK(has(wrong(parse_pending_peers(key + " ann " + key + " 0-0 3", "f")),
            print));
  CHECK(has(wrong(parse_pending_peers(key + " ann x " + print + " 3", "f")),
            "third word"));
  CHECK(wrong(parse_pending_peers(good + "\n" + good + " more", "f"))
            .starts_with("f:2: "));
}

TEST_CASE("an invitation is good once, in its time, for its name") {
  const PublicKey invitation = make_key_pair().public_key;
  const PublicKey key = make_key_pair().public_key;
  const PublicKey other = make_key_pair().public_key;
  const Invitations open{{invitation, {"ann", 1'000}}};
  const auto decided = [&](const PublicKey& by, const PublicKey& its,
                           const char* name, UnixTime now,
                           const PendingPeers& pending = {}) {
    return decide_join(open, pending, by, its, name, now);
  };
  CHECK(decided(invitation, key, "ann", 1'000).refusal.empty());
  CHECK(decided(invitation, key, "ann", 1'000).is_new);
  CHECK(has(decided(invitation, key, "ann", 1'001).refusal,
            "1970-01-01 00:16 UTC"));
  CHECK(has(decided(invitation, key, "bob", 1).refusal, "is for ann"));
  CHECK(has(decided(invitation, {}, "ann", 1).refusal, "names no key"));
  CHECK(has(decided(other, key, "ann", 1).refusal, "replaced"));

  const PendingPeers used{{key, "ann", invitation, 500}};
  CHECK(has(decided(invitation, other, "ann", 600, used).refusal,
            fingerprint(key)));
  // Its answer may have been lost, however long ago.
  CHECK(decided(invitation, key, "ann", 9'000, used).refusal.empty());
  CHECK_FALSE(decided(invitation, key, "ann", 9'000, used).is_new);
}

}  // namespace mdgan::test
