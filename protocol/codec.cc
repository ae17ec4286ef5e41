#include "protocol/codec.h"

#include <exception>
#include <msgpack.hpp>
#include <utility>

#include "protocol/clean_text.h"
#include "protocol/codec_read.h"
#include "protocol/limits.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace mdgan::protocol {
namespace {

// A text for people, often another library's: what a receiver would refuse is
// replaced, what is too long is cut.
std::string sendable(std::string text) {
  text = presentable(std::move(text));
  if (text.size() > kMaxString) text.resize(kMaxString);
  while (!is_clean_text(text)) text.pop_back();  // a character cut in two
  return text;
}

void pack_fields(Packer& p, const Hello& m) {
  pack_record(p, m.session, m.name, m.index, m.shard_size, m.image, m.endpoint,
              m.nonce, m.held, m.saved, m.abilities, m.classes, m.class_counts);
}
void pack_fields(Packer& p, const Welcome& m) {
  pack_record(p, m.session, m.spec, m.schema, m.parameters, m.rounds, m.start,
              m.restore, m.discriminator, m.codecs, sendable(m.warning));
}
void pack_fields(Packer& p, const RoundBegin& m) {
  pack_record(p, m.generated, m.discriminated, m.steps);
}
void pack_fields(Packer& p, const Batch& m) {
  pack_record(p, m.index, m.tensors);
}
void pack_fields(Packer& p, const Feedback& m) {
  pack_record(p, m.generated, m.discriminator_loss, m.generator_loss, m.seconds,
              m.tensors);
}
void pack_fields(Packer& p, const Swap& m) {
  pack_record(p, m.swap, m.sends, m.target, m.endpoint, m.send_token,
              m.receives, m.source, m.receive_token, m.discriminator,
              m.target_key, m.source_key);
}
void pack_fields(Packer& p, const Transfer& m) {
  pack_record(p, m.swap, m.token, m.source, m.adam_steps, m.schema, m.tensors);
}
void pack_fields(Packer& p, const Staged& m) {
  pack_record(p, m.swap, m.ok, sendable(m.reason));
}
void pack_fields(Packer& p, const Commit& m) { pack_record(p, m.swap); }
void pack_fields(Packer& p, const Abort& m) {
  pack_record(p, m.swap, sendable(m.reason));
}
void pack_fields(Packer& p, const Checkpoint& m) { pack_record(p, m.keep); }
void pack_fields(Packer& p, const Progress& m) {
  pack_record(p, m.phase, m.rounds, m.live, m.needed);
}
void pack_fields(Packer& p, const Goodbye& m) {
  pack_record(p, m.reason, sendable(m.text), m.again);
}
void pack_fields(Packer& p, const ErrorReply& m) {
  pack_record(p, m.code, sendable(m.text), m.session);
}
void pack_fields(Packer& p, const Chunk& m) {
  pack_record(p, m.swap, m.index, m.tensors);
}
void pack_fields(Packer& p, const ChunksTaken& m) {
  pack_record(p, m.swap, m.count);
}
void pack_fields(Packer& p, const Join& m) { pack_record(p, m.key, m.name); }
void pack_fields(Packer& p, const Joined& m) { pack_record(p, m.fingerprint); }
void pack_fields(Packer& p, const Evaluate& m) {
  pack_record(p, m.classifier, m.tensors);
}
void pack_fields(Packer& p, const Evaluated& m) {
  pack_record(p, m.images, m.kernel_distance_mean, m.kernel_distance_std,
              m.recall, sendable(m.reason), m.tensors);
}

template <typename Alternative>
Body read_body(Reader& reader) {
  Alternative body;
  read_fields(reader, body);
  reader.finish();
  return body;
}

struct Type {
  std::uint32_t number;  // wire values: never renumber, never reuse
  std::string_view name;
  Body (*read)(Reader&);
  bool sent_by_peers = false;
};

// In the order of Body's alternatives.
constexpr std::array<Type, std::variant_size_v<Body>> kTypes{{
    {1, "hello", read_body<Hello>, true},
    {2, "welcome", read_body<Welcome>},
    {3, "round", read_body<RoundBegin>},
    {4, "batch", read_body<Batch>},
    {5, "feedback", read_body<Feedback>, true},
    {6, "swap", read_body<Swap>},
    {7, "transfer", read_body<Transfer>, true},
    {8, "staged", read_body<Staged>, true},
    {9, "commit", read_body<Commit>},
    {10, "abort", read_body<Abort>},
    {11, "checkpoint", read_body<Checkpoint>},
    {12, "progress", read_body<Progress>},
    {13, "goodbye", read_body<Goodbye>, true},
    {14, "error", read_body<ErrorReply>},
    {15, "chunk", read_body<Chunk>, true},
    {16, "chunks-taken", read_body<ChunksTaken>, true},
    {17, "join", read_body<Join>, true},
    {18, "joined", read_body<Joined>},
    {19, "evaluate", read_body<Evaluate>},
    {20, "evaluated", read_body<Evaluated>, true},
}};

const Type* find_type(std::uint32_t number) {
  for (const Type& type : kTypes)
    if (type.number == number) return &type;
  return nullptr;
}

Error version_error(std::uint32_t major, std::uint32_t minor) {
  return Error{"the other side speaks protocol version " +
                   std::to_string(major) + "." + std::to_string(minor) +
                   ", this program " + std::to_string(kMajor) + "." +
                   std::to_string(kMinor) +
                   "; install versions with the same first number",
               ExitCode::kConfiguration};
}

Result<Message> read_message(const msgpack::object& object) {
  std::string error;
  Reader header(object, "envelope", kMinor, error);
  const std::uint32_t major = header.integer32("major");
  const std::uint32_t minor = header.integer32("minor");
  if (!header.ok()) return Error{error};
  if (major != kMajor) return version_error(major, minor);

  const std::uint32_t number = header.integer32("type");
  Message message;
  header.binary("run", message.run);
  message.incarnation = header.integer32("incarnation");
  message.round.value = header.integer("round");
  message.peer = read_peer(header, "peer");
  if (!header.ok()) return Error{error};
  const Type* type = find_type(number);
  if (type == nullptr)
    return Error{"unknown message type " + std::to_string(number) +
                 " from a sender of version " + std::to_string(major) + "." +
                 std::to_string(minor)};

  // The body's array is the envelope's last field; its errors are named after
  // the message.
  const msgpack::object_array& envelope = object.via.array;
  if (envelope.size != 8)
    return Error{"envelope: expected an array of 8 fields, got " +
                 std::to_string(envelope.size)};
  Reader fields(envelope.ptr[7], std::string(type->name), minor, error);
  message.body = type->read(fields);
  if (!error.empty()) return Error{error};
  return message;
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  packer.pack_array(8);
  pack(packer, kMajor);
  pack(packer, kMinor);
  pack(packer, kTypes[message.body.index()].number);
  pack(packer, message.run);
  pack(packer, message.incarnation);
  pack(packer, message.round);
  pack(packer, message.peer);
  std::visit([&](const auto& body) { pack_fields(packer, body); },
             message.body);
  const auto bytes = std::as_bytes(std::span(buffer.data(), buffer.size()));
  return {bytes.begin(), bytes.end()};
}

Result<Message> decode(std::span<const std::byte> envelope) {
  if (envelope.size() > kMaxEnvelopeBytes)
    return Error{"envelope: " + std::to_string(envelope.size()) +
                 " bytes, at most " + std::to_string(kMaxEnvelopeBytes) +
                 " are allowed"};
  try {
    const msgpack::unpack_limit limit(kMaxArray, /*map=*/0, kMaxString, kMaxBin,
                                      /*ext=*/0, kMaxDepth);
    std::size_t offset = 0;
    const msgpack::object_handle handle =
        msgpack::unpack(reinterpret_cast<const char*>(envelope.data()),
                        envelope.size(), offset, nullptr, nullptr, limit);
    if (offset != envelope.size())
      return Error{"envelope: " + std::to_string(envelope.size() - offset) +
                   " bytes follow the msgpack array"};
    return read_message(handle.get());
  } catch (const std::exception& e) {
    return Error{"envelope: not msgpack within this protocol's limits (" +
                 std::string(e.what()) + ")"};
  }
}

std::span<const TensorMeta> tensors_of(const Body& body) {
  return std::visit(
      [](const auto& alternative) -> std::span<const TensorMeta> {
        if constexpr (requires { alternative.tensors; })
          return alternative.tensors;
        else
          return {};
      },
      body);
}

std::string_view type_name(const Body& body) {
  return kTypes[body.index()].name;
}

bool sent_by_peers(const Body& body) {
  return kTypes[body.index()].sent_by_peers;
}

}  // namespace mdgan::protocol
