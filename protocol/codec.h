// Messages to envelope bytes and back. Only its implementation (codec.cc and
// codec_read.cc with reader.h and writer.h) knows msgpack. Reads bytes from
// anybody: never throws, never allocates more than limits.h allows.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "protocol/messages.h"

namespace mdgan::protocol {

// The envelope frame of a message; at most kMaxEnvelopeBytes.
// Texts for people (goodbye, error, staged) are cut and cleaned to what a
// receiver takes, so that any library's error text can be sent.
// REQUIRES: other strings and lists within limits.h (our senders see to it).
std::vector<std::byte> encode(const Message& message);

// The reverse. The error names the field that was wrong, what was expected and
// what was there. Another major version is an error with
// ExitCode::kConfiguration that names both; of any other error the code means
// nothing (the caller drops the message).
Result<Message> decode(std::span<const std::byte> envelope);

// The tensors that follow the envelope: the body's list, or empty.
std::span<const TensorMeta> tensors_of(const Body& body);

// "hello", "welcome", ...: the name in PROTOCOL.md.
std::string_view type_name(const Body& body);

// Whether peers, and those who are to become one, send it: the bytes that leave
// a site. docs/what-leaves-a-site.md lists them.
bool sent_by_peers(const Body& body);

}  // namespace mdgan::protocol
