// A peer that nobody has met comes into a run: invited, joined, let in.
#include <algorithm>
#include <filesystem>
#include <future>
#include <optional>
#include <string>

#include "common/keys/enrolment.h"
#include "common/keys/key_file.h"
#include "common/net/curve.h"
#include "common/net/zap_handler.h"
#include "peer/join.h"
#include "server/commands/enrol.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/contains.h"
#include "tests/support/in_process_run.h"
#include "tests/support/link.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

// A server that waits for two peers.
class Enrolment {
 public:
  Enrolment() {
    REQUIRE(write_key_pair(key(), make_key_pair(), "").ok());
    write_text(folder_ / "authorized_peers", "");
    ServerOptions options = small_options();
    options.bind = "tcp://127.0.0.1:*";
    options.key = key();
    server_.emplace(folder_ / "run", options);
  }

  std::string key() const { return (folder_ / "server.key").string(); }
  fs::path operator/(const std::string& name) const { return folder_ / name; }
  std::string line(const std::string& name) const {
    InviteOptions options;
    options.name = name;
    options.key = key();
    options.address = server_->endpoint();
    const auto text = invite(options);
    REQUIRE(text);
    return text->substr(0, text->find('\n'));
  }
  Result<std::string> join(const std::string& line, const std::string& key) {
    return mdgan::join({line, (folder_ / key).string()});
  }
  // Once the server has read the list of invitations.
  Result<std::string> join_soon(const std::string& line,
                                const std::string& key) {
    Result<std::string> joined = Error{};
    (void)eventually([&] {
      joined = join(line, key);
      return joined.ok() ||
             joined.error().message.find("does not know") == std::string::npos;
    });
    return joined;
  }
  Result<std::string> admit(const std::string& name) const {
    return mdgan::admit({name, key(), ""});
  }
  bool says(const std::string& text) const {
    return server_->log().find(text) != std::string::npos;
  }
  const InProcessServer& server() const { return *server_; }

 private:
  TemporaryDirectory folder_;
  std::optional<InProcessServer> server_;
};

std::string why(const Result<std::string>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ExitCode::kAuthentication);
  return result.error().message;
}

}  // namespace

TEST_CASE("A peer is invited, joins, and is let in", "[shell]") {
  Enrolment t;
  const std::string line = t.line("ann");
  CHECK(has(why(t.admit("ann")), "has not joined"));
  const auto joined = t.join_soon(line, "ann.key");
  REQUIRE(joined);
  const auto keys = read_key_pair(t / "ann.key");
  REQUIRE(keys);
  const std::string print = fingerprint(keys->public_key);
  CHECK(has(*joined, print));
  CHECK(has(*joined, "mdgan-peer --key " + (t / "ann.key").string()));
  CHECK(has(*joined,
            " \\\n        --server " + t.server().endpoint() + " --name ann"));
  CHECK(joined->find("\\\\") == std::string::npos);  // a shell takes it so
  CHECK(eventually([&] { return t.says(print); }));
  CHECK(t.says("mdgan-server admit ann --key " + t.key()));
  CHECK(read_text(t / "authorized_peers").empty());

  // The answer may have been lost; but it is good for one key only.
  CHECK(t.join(line, "ann.key"));
  CHECK(has(why(t.join(line, "eve.key")), "was used on "));
  CHECK(has(why(t.join(line, "eve.key")), print));

  CHECK(has(*t.admit(""), print));
  CHECK(has(*t.admit("ann"), print));
  CHECK(read_text(t / "authorized_peers") ==
        to_z85(keys->public_key) + " ann\n");
  CHECK(has(*t.admit("ann"), "already"));
  CHECK(has(*t.admit(""), "nobody waits"));
  CHECK(eventually([&] { return t.says("1 peer is let in"); }));
}

TEST_CASE("An invitation that is not good is refused in words", "[shell]") {
  Enrolment t;
  const std::string first = t.line("ann");
  const std::string second = t.line("ann");  // takes its place
  REQUIRE(t.join_soon(second, "ann.key"));
  CHECK(has(why(t.join(first, "ann.key")), "ask for a new one"));
  CHECK(has(why(t.join(second, "ann.pub")), "ann.pub"));
  std::string renamed = second;
  renamed.replace(renamed.rfind("ann"), 3, "bob");
  CHECK(has(why(t.join(renamed, "bob.key")), "is for ann"));

  auto late = read_invitations(invitations_of(t.key()));
  REQUIRE(late);
  const std::string line = t.line("late");
  late = read_invitations(invitations_of(t.key()));
  for (auto& [key, invitation] : *late)
    if (invitation.name == "late") invitation.until = 1'000;
  REQUIRE(write_invitations(invitations_of(t.key()), *late));
  CHECK(has(why(t.join_soon(line, "late.key")), "was valid until 1970"));
  CHECK_FALSE(t.says("late asks"));

  // What is no list is named, and those of before are good.
  const std::string third = t.line("carl");
  REQUIRE(t.join_soon(third, "carl.key"));
  write_text(invitations_of(t.key()), "nonsense\n");
  CHECK(eventually([&] { return t.says("invitations:1: "); }));
  CHECK(t.join(third, "carl.key"));
}

TEST_CASE("Who joined by an invitation that was replaced is not let in",
          "[shell]") {
  Enrolment t;
  // The line went to somebody else.
  REQUIRE(t.join_soon(t.line("ann"), "eve.key"));
  CHECK(has(*t.admit(""), "ann  fingerprint "));
  const std::string line = t.line("ann");  // takes its place
  CHECK(has(*t.admit(""), "nobody waits"));
  CHECK(has(why(t.admit("ann")), "has not joined"));
  CHECK(read_text(t / "authorized_peers").empty());

  REQUIRE(t.join_soon(line, "ann.key"));
  REQUIRE(t.admit("ann"));
  const auto keys = read_key_pair(t / "ann.key");
  REQUIRE(keys);
  CHECK(read_text(t / "authorized_peers") ==
        to_z85(keys->public_key) + " ann\n");
}

TEST_CASE("Who joins goes no further where another fingerprint is noted",
          "[shell]") {
  const TemporaryDirectory folder;
  const KeyPair own = make_key_pair();
  const InvitationSecret secret = make_invitation_secret();
  zmq::context_t context;
  ZapHandler zap(context);
  ZapDomain domain;
  domain.admitted[invitation_key(secret).public_key] = kInvitedUser;
  zap.set(kServerDomain, domain);
  Socket server = make_router(context);
  require_keys(server, own, kServerDomain);
  std::string endpoint = kAnyPort;
  REQUIRE(bind_router(server, endpoint).ok());
  const std::string line =
      invitation_line({endpoint, own.public_key, secret, "ann"});
  const std::string key = (folder / "ann.key").string();
  auto joining = std::async(std::launch::async, [&] {
    return mdgan::join({line, key});
  });

  const Received received = next_message(server);
  REQUIRE(received.message.ok());
  const auto* asked = std::get_if<protocol::Join>(&received.message->body);
  REQUIRE(asked != nullptr);
  CHECK(asked->name == "ann");
  const std::string another = fingerprint(make_key_pair().public_key);
  protocol::Message reply;
  reply.body = protocol::Joined{another};
  REQUIRE(send(server, received.routing_id, reply) == Sent::kYes);
  const std::string told = why(joining.get());
  CHECK(has(told, "do not go on"));
  CHECK(has(told, another));
  CHECK(has(told, fingerprint(asked->key)));
}

TEST_CASE("Who has a key in the server's own list is not invited", "[shell]") {
  TemporaryDirectory folder;
  InviteOptions options;
  options.name = "ann";
  options.key = (folder / "server.key").string();
  REQUIRE(write_key_pair(options.key, make_key_pair(), "").ok());
  REQUIRE(invite(options));
  options.authorized_peers = (folder / "elsewhere").string();
  write_text(options.authorized_peers,
             to_z85(make_key_pair().public_key) + " ann\n");
  CHECK(has(why(invite(options)), "elsewhere already"));
}

TEST_CASE("Who is invited may say join, no more", "[shell]") {
  Enrolment t;
  const std::string line = t.line("ann");
  REQUIRE(t.join_soon(line, "ann.key"));  // the server knows the invitation
  const auto invitation = parse_invitation(line);
  REQUIRE(invitation);
  zmq::context_t context;
  zmq::socket_t socket = make_dealer(context, false);
  use_keys(socket, {invitation_key(invitation->secret), invitation->server});
  REQUIRE(connect(socket, t.server().endpoint()).ok());
  protocol::Hello hello;
  hello.name = "ann";
  hello.shard_size = 1000;
  hello.image = small_images()->shape;
  hello.endpoint = "tcp://127.0.0.1:1";
  protocol::Message message;
  message.body = hello;
  REQUIRE(send(socket, "", message) == Sent::kYes);
  REQUIRE(eventually([&] { return t.says("may say join, no more"); }));
  zmq::message_t frame;
  CHECK_FALSE(socket.recv(frame, zmq::recv_flags::dontwait));
  CHECK_FALSE(t.says(" joined: "));
}

}  // namespace mdgan::test
