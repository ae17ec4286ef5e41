#include "protocol/codec_read.h"

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/algorithm.h"
#include "protocol/frames.h"
#include "protocol/limits.h"

namespace mdgan::protocol {
namespace {

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

ClassNames read_classes(Reader& r) {
  ClassNames names;
  r.list("classes", kMaxNamedClasses,
         [&](Reader& item) { names.push_back(item.text("", 1)); });
  if (!r.ok()) return names;
  if (const std::string defect = defect_of(names); !defect.empty())
    r.fail("classes", "a list of names, but " + defect);
  return names;
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
  s.classes = read_classes(r);
  if (!s.classes.empty() && s.classes.size() != s.image.classes)
    r.fail("classes", "as many names as the image has classes");
  s.augment = read_name(r, "augment", kAugmentNames);
  s.labels = read_name(r, "labels", kBatchLabelsNames);
  r.finish();
  return s;
}

TensorMeta read_tensor(Reader r) {
  TensorMeta meta;
  meta.dtype = read_enum(r, "dtype", DType::kFloat32, DType::kFloat64);
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

void read_class_counts(Reader& r, Hello& m) {
  r.list("class_counts", kMaxNamedClasses, [&](Reader& item) {
    m.class_counts.push_back(item.integer("", 0, m.shard_size));
  });
  if (!r.ok() || m.class_counts.empty()) return;
  if (m.class_counts.size() != m.classes.size())
    r.fail("class_counts", "one for each class");
  // No overflow: with so many counts, each at most the shard's size, a sum
  // beyond it is found before it wraps.
  std::uint64_t rest = m.shard_size;
  bool fits = true;
  bool is_presence = true;
  for (const std::uint64_t count : m.class_counts) {
    fits = fits && count <= rest;
    if (fits) rest -= count;
    is_presence = is_presence && count <= 1;
  }
  if (!is_presence && (!fits || rest > 0))
    r.fail("class_counts", "the shard's images, or 0 and 1");
}

Held read_held(Reader r) {
  Held held;
  r.binary("run", held.run);
  held.round.value = r.integer("round");
  held.discriminator.value = r.integer("discriminator");
  r.finish();
  return held;
}

}  // namespace

PeerId read_peer(Reader& r, std::string_view field) {
  return PeerId{r.integer32(field, 0, kMaxPeers - 1)};
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
  m.classes = read_classes(r);
  if (!m.classes.empty() && m.classes.size() != m.image.classes)
    r.fail("classes", "as many names as the image has classes");
  read_class_counts(r, m);
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
void read_fields(Reader& r, Join& m) {
  r.binary("key", m.key);
  m.name = r.text("name", 1);
}
void read_fields(Reader& r, Joined& m) {
  m.fingerprint = r.text("fingerprint");
}
void read_fields(Reader& r, Evaluate& m) {
  r.binary("classifier", m.classifier);
  m.tensors = read_tensors(r);
}
void read_fields(Reader& r, Evaluated& m) {
  m.images = r.integer("images");
  // What is no sound number is the receiver's to judge, as in a feedback.
  m.kernel_distance_mean = r.any_number("kernel_distance_mean");
  m.kernel_distance_std = r.any_number("kernel_distance_std");
  m.recall = r.any_number("recall");
  m.reason = r.text("reason");
  m.tensors = read_tensors(r);
}

}  // namespace mdgan::protocol
