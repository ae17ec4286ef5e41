// Messages to test with: one of each kind, and random ones.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "protocol/codec.h"
#include "protocol/limits.h"

namespace mdgan::test {

using namespace protocol;  // NOLINT: the messages' names

template <std::size_t N>
std::array<std::byte, N> counting_bytes(unsigned first) {
  std::array<std::byte, N> bytes{};
  for (std::size_t i = 0; i < N; ++i)
    bytes[i] = static_cast<std::byte>((first + i) & 0xffU);
  return bytes;
}

inline TrainingSpec example_spec() {
  TrainingSpec spec;
  spec.model = "mlp";
  spec.image = {1, 28, 28, 3};
  spec.classes = {"cat", "dog", "fox"};
  spec.condition = Condition::kAcgan;
  spec.loss = Loss::kHinge;
  spec.r1_gamma = 0.1;
  spec.seed = ~std::uint64_t{0};
  spec.algorithm = Algorithm::kFlGan;
  spec.latent = 64;
  spec.generator_adam.learning_rate = 0.001;
  spec.replay = true;
  return spec;
}

// Every alternative of Body once, in its order, each field with a value of its
// own.
inline std::vector<Message> one_of_each() {
  const TensorMeta images{DType::kFloat32, {10, 1, 28, 28}};
  const TensorMeta labels{DType::kInt32, {10}};
  const TensorMeta logits{DType::kFloat32, {10}};
  const TensorMeta flat{DType::kBfloat16, {670'219}};
  std::vector<Message> messages;
  const auto add = [&](Body body) {
    messages.push_back({counting_bytes<16>(0xa0), 3, Round{70'000}, PeerId{12},
                        std::move(body)});
  };
  add(Hello{7,
            "Zoë",
            12,
            60'000,
            {1, 28, 28, 2},
            "tcp://*:5556",
            std::uint64_t{1} << 63,
            {counting_bytes<16>(1), Round{69'999}, DiscriminatorId{1ULL << 40}},
            {{counting_bytes<16>(2), Round{100}, DiscriminatorId{3}},
             {counting_bytes<16>(1), Round{200}, DiscriminatorId{4}}},
            {"image-uint8", "swap-bfloat16"},
            {"dog", "fox"},
            {20'000, 40'000}});
  add(Welcome{7,
              example_spec(),
              counting_bytes<32>(9),
              670'219,
              50'000,
              Start::kRestore,
              Round{200},
              DiscriminatorId{4},
              {"feedback-int8"},
              "a warning"});
  add(RoundBegin{2, 3, 600});
  add(Batch{1, {images, labels}});
  add(Feedback{2, 0.5, -1.25, 0.015, {images, logits}});
  add(Swap{SwapId{5}, true, PeerId{4}, "tcp://10.0.0.4:5556",
           0xfeed'face'cafe'beef, true, PeerId{9}, 0x1234'5678'9abc'def0,
           DiscriminatorId{6}, counting_bytes<32>(3), counting_bytes<32>(4)});
  add(Transfer{SwapId{5},
               77,
               PeerId{9},
               1234,
               counting_bytes<32>(2),
               {flat, flat, flat}});
  add(Staged{SwapId{5}, false, "the schema differs"});
  add(Commit{SwapId{5}});
  add(Abort{SwapId{6}, "peer b left"});
  add(Checkpoint{Round{69'000}});
  add(Progress{Phase::kPaused, 50'000, 3, 4});
  add(Goodbye{Reason::kStopped, "stopped after round 7", true});
  add(ErrorReply{ErrorCode::kUnknownPeer, "say hello again", 7});
  add(Chunk{SwapId{5}, 3, {{DType::kUint8, {65'553}}}});
  add(ChunksTaken{SwapId{5}, 4});
  add(Join{counting_bytes<32>(9), "hospital-c"});
  add(Evaluate{counting_bytes<32>(5),
               {{DType::kFloat32, {1000, 128}}, {DType::kFloat32, {1000}}}});
  add(Evaluated{900,
                0.25,
                0.125,
                0.75,
                "",
                {{DType::kFloat64, {128}}, {DType::kFloat64, {128, 128}}}});
  add(Joined{"0011-2233-4455-6677-8899-aabb-ccdd-eeff"});
  return messages;
}

inline std::vector<TensorMeta> random_tensors(Random& random) {
  std::vector<TensorMeta> tensors(random.below(kMaxTensors + 1));
  for (TensorMeta& meta : tensors) {
    constexpr DType kTypes[] = {DType::kFloat32, DType::kInt32,
                                DType::kBfloat16, DType::kUint8, DType::kInt8};
    meta.dtype = kTypes[random.below(std::size(kTypes))];
    meta.dims.resize(random.below(kMaxRank + 1));
    for (std::uint64_t& dim : meta.dims) dim = 1 + random.below(14);
  }
  return tensors;
}

inline std::string random_text(Random& random) {
  static const std::vector<std::string> kPieces{"a", " ", "é", "漢", "𝄞", "%"};
  std::string text = "x";
  for (std::uint64_t n = random.below(60); n > 0; --n)
    text += kPieces[random.below(kPieces.size())];
  return text;
}

inline void random_classes(Random& random, Hello& hello) {
  hello.classes = numbered_classes(
      static_cast<std::uint32_t>(random.below(kMaxNamedClasses + 1)));
  hello.image.classes = static_cast<std::uint32_t>(hello.classes.size());
  for (std::string& name : hello.classes) name = "class " + name;
  hello.class_counts.assign(random.below(2) * hello.classes.size(), 0);
  for (std::uint64_t& count : hello.class_counts) count = random.below(2);
}

// One of each with random contents where the size on the wire varies.
inline std::vector<Message> random_messages(Random& random) {
  std::vector<Message> messages = one_of_each();
  for (Message& message : messages) {
    message.incarnation = random.next();
    message.round.value = random.next64() >> random.below(64);
    message.peer.value = static_cast<std::uint32_t>(random.below(kMaxPeers));
    if (auto* hello = std::get_if<Hello>(&message.body)) {
      hello->name = random_text(random);
      hello->index = static_cast<std::int64_t>(random.below(100)) - 1;
      hello->saved.resize(random.below(kMaxOffers + 1));
      for (Held& held : hello->saved)
        held = {counting_bytes<16>(random.next()), Round{random.next64()},
                DiscriminatorId{random.next64()}};
      hello->abilities.resize(random.below(kMaxAbilities + 1));
      for (std::string& c : hello->abilities)
        c = random_text(random).substr(0, 1);
      random_classes(random, *hello);
    } else if (auto* welcome = std::get_if<Welcome>(&message.body)) {
      welcome->spec.model = random_text(random);
      welcome->spec.adam.learning_rate = random.uniform();
      welcome->spec.condition = kConditionNames[random.below(3)].first;
      welcome->spec.loss = kLossNames[random.below(kLossNames.size())].first;
      welcome->spec.augment =
          kAugmentNames[random.below(kAugmentNames.size())].first;
      welcome->spec.swap_optimizer = random.below(2) == 0;
      welcome->spec.replay = random.below(2) == 0;
      welcome->codecs.assign(random.below(4), random_text(random));
    } else if (auto* batch = std::get_if<Batch>(&message.body)) {
      batch->tensors = random_tensors(random);
    } else if (auto* feedback = std::get_if<Feedback>(&message.body)) {
      feedback->tensors = random_tensors(random);
      feedback->generator_loss = (random.uniform() - 0.5) * 1e300;
    } else if (auto* error = std::get_if<ErrorReply>(&message.body)) {
      error->text = random_text(random);
    } else if (auto* join = std::get_if<Join>(&message.body)) {
      join->name = random_text(random);
    }
  }
  return messages;
}

}  // namespace mdgan::test
