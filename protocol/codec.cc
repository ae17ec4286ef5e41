#include "protocol/codec.h"

#include <exception>
#include <msgpack.hpp>
#include <optional>
#include <utility>

#include "protocol/algorithm.h"
#include "protocol/clean_text.h"
#include "protocol/frames.h"
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
              m.nonce, m.held, m.saved, m.abilities);
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

// The enumerators' wire values are contiguous.
template <typename Enum>
Enum read_enum(Reader& r, std::string_view field, Enum first, Enum last) {
  return static_cast<Enum>(r.integer32(field, static_cast<std::uint32_t>(first),
                                       static_cast<std::uint32_t>(last)));
}

template <typename Enum, std::size_t N>
Enum read_name(Reader& r, std::string_view field,
               const std::array<std::pair<Enum, std::string_view>, N>& names) {
  const std::string name = r.text(field);
  const std::optional<Enum> value = value_of(names, name);
  if (value) return *value;
  std::string known;
  for (const auto& [enumerator, known_name] : names)
    known += (known.empty() ? "" : ", ") + std::string(known_name);
  r.fail(field, "one of " + known + ", got '" + name + "'");
  return names.front().first;
}

PeerId read_peer(Reader& r, std::string_view field) {
  return PeerId{r.integer32(field, 0, kMaxPeers - 1)};
}

ImageShape read_image(Reader r) {
  ImageShape s;
  s.channels = r.integer32("channels", 1, kMaxChannels);
  s.height = r.integer32("height", 1, kMaxImageSide);
  s.width = r.integer32("width", 1, kMaxImageSide);
  s.classes = r.integer32("classes", 0, kMaxClasses);
  r.finish();
  return s;
}

AdamSpec read_adam(Reader r) {
  AdamSpec a;
  a.learning_rate = r.number("learning_rate", 0);
  a.beta1 = r.number("beta1", 0);
  if (a.beta1 >= 1) r.fail("beta1", "a number below 1");
  a.beta2 = r.number("beta2", 0);
  if (a.beta2 >= 1) r.fail("beta2", "a number below 1");
  a.epsilon = r.number("epsilon", 0);
  r.finish();
  return a;
}

TrainingSpec read_spec(Reader r) {
  TrainingSpec s;
  s.model = r.text("model", 1);
  s.image = read_image(r.record("image"));
  s.condition = read_name(r, "condition", kConditionNames);
  s.loss = read_name(r, "loss", kLossNames);
  s.r1_gamma = r.number("r1_gamma", 0);
  s.r2_gamma = r.number("r2_gamma", 0);
  s.gradient_penalty = r.number("gradient_penalty", 0);
  s.adam = read_adam(r.record("adam"));
  s.batch = r.integer32("batch", 1, kMaxBatch);
  s.local_steps = r.integer32("local_steps", 1, kMaxLocalSteps);
  s.seed = r.integer("seed");
  s.swap_optimizer = r.boolean("swap_optimizer");
  s.algorithm = read_name(r, "algorithm", kAlgorithmNames);
  s.latent = r.integer32("latent", 1, kMaxLatent);
  s.generator_adam = read_adam(r.record("generator_adam"));
  s.replay = r.boolean("replay");
  r.finish();
  return s;
}

TensorMeta read_tensor(Reader r) {
  TensorMeta meta;
  meta.dtype = read_enum(r, "dtype", DType::kFloat32, DType::kInt8);
  if (meta.dtype == DType::kInt64) r.fail("dtype", "another one than 3");
  r.list("dims", kMaxRank,
         [&](Reader& item) { meta.dims.push_back(item.integer("", 1)); });
  r.finish();
  if (!r.ok()) return meta;
  if (const Result<std::uint64_t> size = byte_size(meta); !size)
    r.fail("dims", "a tensor within the limits, but " + size.error().message);
  return meta;
}

std::vector<TensorMeta> read_tensors(Reader& r) {
  std::vector<TensorMeta> tensors;
  r.list("tensors", kMaxTensors, [&](Reader& item) {
    tensors.push_back(read_tensor(item.record("")));
  });
  return tensors;
}

std::vector<std::string> read_names(Reader& r, const char* field) {
  std::vector<std::string> names;
  r.list(field, kMaxAbilities,
         [&](Reader& item) { names.push_back(item.text("", 1)); });
  return names;
}

Held read_held(Reader r) {
  Held held;
  r.binary("run", held.run);
  held.round.value = r.integer("round");
  held.discriminator.value = r.integer("discriminator");
  r.finish();
  return held;
}

void read_fields(Reader& r, Hello& m) {
  m.session = r.integer32("session");
  m.name = r.text("name", 1);
  m.index = r.signed_integer("index", -1, std::int64_t{kMaxPeers} - 1);
  m.shard_size = r.integer("shard_size");
  m.image = read_image(r.record("image"));
  m.endpoint = r.text("endpoint");
  m.nonce = r.integer("nonce");
  m.held = read_held(r.record("held"));
  r.list("saved", kMaxOffers,
         [&](Reader& item) { m.saved.push_back(read_held(item.record(""))); });
  m.abilities = read_names(r, "abilities");
}
void read_fields(Reader& r, Welcome& m) {
  m.session = r.integer32("session");
  m.spec = read_spec(r.record("spec"));
  r.binary("schema", m.schema);
  m.parameters = r.integer("parameters", 1);
  m.rounds = r.integer("rounds");
  m.start = read_enum(r, "start", Start::kFresh, Start::kReceive);
  m.restore.value = r.integer("restore");
  m.discriminator.value = r.integer("discriminator");
  m.codecs = read_names(r, "codecs");
  m.warning = r.text("warning");
}
void read_fields(Reader& r, RoundBegin& m) {
  m.generated = r.integer32("generated", 0, kMaxPeers - 1);
  m.discriminated = r.integer32("discriminated", 0, kMaxPeers - 1);
  m.steps = r.integer32("steps", 1);
}
void read_fields(Reader& r, Batch& m) {
  m.index = r.integer32("index", 0, kMaxPeers - 1);
  m.tensors = read_tensors(r);
}
void read_fields(Reader& r, Feedback& m) {
  m.generated = r.integer32("generated", 0, kMaxPeers - 1);
  // What is no sound number makes an invalid answer, which is the round's to
  // judge: an envelope that cannot be read would leave the round waiting.
  m.discriminator_loss = r.any_number("discriminator_loss");
  m.generator_loss = r.any_number("generator_loss");
  m.seconds = r.any_number("seconds");
  m.tensors = read_tensors(r);
}
void read_fields(Reader& r, Swap& m) {
  m.swap.value = r.integer("swap");
  m.sends = r.boolean("sends");
  m.target = read_peer(r, "target");
  m.endpoint = r.text("endpoint");
  m.send_token = r.integer("send_token");
  m.receives = r.boolean("receives");
  m.source = read_peer(r, "source");
  m.receive_token = r.integer("receive_token");
  m.discriminator.value = r.integer("discriminator");
  r.binary("target_key", m.target_key);
  r.binary("source_key", m.source_key);
}
void read_fields(Reader& r, Transfer& m) {
  m.swap.value = r.integer("swap");
  m.token = r.integer("token");
  m.source = read_peer(r, "source");
  m.adam_steps = r.integer("adam_steps");
  r.binary("schema", m.schema);
  m.tensors = read_tensors(r);
}
void read_fields(Reader& r, Staged& m) {
  m.swap.value = r.integer("swap");
  m.ok = r.boolean("ok");
  m.reason = r.text("reason");
}
void read_fields(Reader& r, Commit& m) { m.swap.value = r.integer("swap"); }
void read_fields(Reader& r, Abort& m) {
  m.swap.value = r.integer("swap");
  m.reason = r.text("reason");
}
void read_fields(Reader& r, Checkpoint& m) { m.keep.value = r.integer("keep"); }
void read_fields(Reader& r, Progress& m) {
  m.phase = read_enum(r, "phase", Phase::kWaiting, Phase::kPaused);
  m.rounds = r.integer("rounds");
  m.live = r.integer32("live");
  m.needed = r.integer32("needed");
}
void read_fields(Reader& r, Goodbye& m) {
  m.reason = read_enum(r, "reason", Reason::kDone, Reason::kFailed);
  m.text = r.text("text");
  m.again = r.boolean("again");
}
void read_fields(Reader& r, ErrorReply& m) {
  m.code =
      read_enum(r, "code", ErrorCode::kMalformed, ErrorCode::kUnauthorised);
  m.text = r.text("text");
  m.session = r.integer32("session");
}
void read_fields(Reader& r, Chunk& m) {
  m.swap.value = r.integer("swap");
  m.index = r.integer32("index");
  m.tensors = read_tensors(r);
}
void read_fields(Reader& r, ChunksTaken& m) {
  m.swap.value = r.integer("swap");
  m.count = r.integer32("count");
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
};

// In the order of Body's alternatives.
constexpr std::array<Type, std::variant_size_v<Body>> kTypes{{
    {1, "hello", read_body<Hello>},
    {2, "welcome", read_body<Welcome>},
    {3, "round", read_body<RoundBegin>},
    {4, "batch", read_body<Batch>},
    {5, "feedback", read_body<Feedback>},
    {6, "swap", read_body<Swap>},
    {7, "transfer", read_body<Transfer>},
    {8, "staged", read_body<Staged>},
    {9, "commit", read_body<Commit>},
    {10, "abort", read_body<Abort>},
    {11, "checkpoint", read_body<Checkpoint>},
    {12, "progress", read_body<Progress>},
    {13, "goodbye", read_body<Goodbye>},
    {14, "error", read_body<ErrorReply>},
    {15, "chunk", read_body<Chunk>},
    {16, "chunks-taken", read_body<ChunksTaken>},
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

}  // namespace mdgan::protocol
