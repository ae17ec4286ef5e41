#include "common/net/zap_decision.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/keys/key.h"

namespace mdgan {
namespace {

// The order of a request's frames.
enum Frame : std::size_t {
  kVersion,
  kRequestId,
  kDomain,
  kAddress,
  kIdentity,
  kMechanism,
  kCredentials,
  kFrames,
};

// One property in ZMTP's notation: its name's length in a byte, the name, the
// value's length in four, the value.
std::string property(std::string_view name, std::string_view value) {
  std::string bytes(1, static_cast<char>(name.size()));
  bytes += name;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes += static_cast<char>(value.size() >> shift & 0xff);
  return bytes.append(value);
}

}  // namespace

ZapReply decide(const std::vector<std::string>& request,
                const ZapDomains& domains) {
  ZapReply reply;
  if (request.size() > kRequestId) reply.request_id = request[kRequestId];
  if (request.size() <= kMechanism || request[kVersion] != "1.0") {
    reply.text = "no request of ZAP 1.0";
    return reply;
  }
  reply.domain = request[kDomain];
  reply.address = request[kAddress];
  PublicKey key{};
  if (request.size() != kFrames || request[kMechanism] != "CURVE" ||
      request[kCredentials].size() != key.size()) {
    reply.status = ZapStatus::kRefused;
    reply.text = "a key is needed";
    return reply;
  }
  std::memcpy(key.data(), request[kCredentials].data(), key.size());
  reply.key = key;
  const auto domain = domains.find(reply.domain);
  if (domain == domains.end() || key == PublicKey{}) {
    reply.status = ZapStatus::kRefused;
    reply.text = "nobody is let in here";
    return reply;
  }
  const auto name = domain->second.admitted.find(key);
  if (name == domain->second.admitted.end()) {
    reply.status = domain->second.refusal;
    reply.text = "the key is not let in";
    return reply;
  }
  reply.status = ZapStatus::kAdmitted;
  reply.text = "OK";
  reply.user = name->second;
  reply.metadata = property(kKeyProperty, to_z85(key));
  return reply;
}

}  // namespace mdgan
