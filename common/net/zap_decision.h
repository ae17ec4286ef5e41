// This decides who is let in on a socket with keys: ZAP
// (rfc.zeromq.org/spec/27) as a pure function.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace mdgan {

// The ZAP domains under which the sockets of a process ask for decisions.
inline constexpr const char* kServerDomain = "mdgan-server";
inline constexpr const char* kPeersDomain = "mdgan-peers";

// The property of what an authenticated connection brings that holds its key,
// in Z85; "User-Id" holds the name.
inline constexpr const char* kKeyProperty = "X-Key";

// The name under which the key of an invitation is let in; no peer's has a
// blank. See common/keys/enrolment.h.
inline constexpr const char* kInvitedUser = "an invitation";

enum class ZapStatus {
  // Not on the wire: the client waits for the answer until its key is let in.
  // (ZAP's 300 would not do: libzmq leaves such a connection alone for as long
  // as a handshake may take, 30 s, before the client connects again.)
  kNotYet = 0,
  kAdmitted = 200,
  kRefused = 400,  // the client is told, and gives up
  kBadRequest = 500,
};

// A domain lets in the holders of these keys, under these names.
struct ZapDomain {
  std::map<PublicKey, std::string> admitted;
  ZapStatus refusal = ZapStatus::kRefused;  // of all others
};
using ZapDomains = std::map<std::string, ZapDomain, std::less<>>;

struct ZapReply {
  std::string request_id;
  ZapStatus status = ZapStatus::kBadRequest;
  std::string text;
  std::string user;      // the name
  std::string metadata;  // as ZMTP encodes it
  // What the request named, for those who tell people; no key: it had none.
  std::string domain;
  std::string address;
  std::optional<PublicKey> key;
};

// Answers the frames of a request. Never fails: what is no request is refused.
ZapReply decide(const std::vector<std::string>& request,
                const ZapDomains& domains);

}  // namespace mdgan
