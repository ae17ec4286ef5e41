// Packs values of this protocol as msgpack. Private to the codec.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <msgpack.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/algorithm.h"
#include "protocol/messages.h"

namespace mdgan::protocol {

using Packer = msgpack::packer<msgpack::sbuffer>;

// Packs a record: an array of all the arguments.
template <typename... Fields>
void pack_record(Packer& packer, const Fields&... fields);

inline void pack(Packer& p, std::uint64_t value) { p.pack_uint64(value); }
inline void pack(Packer& p, std::uint32_t value) { p.pack_uint32(value); }
inline void pack(Packer& p, std::int64_t value) { p.pack_int64(value); }
inline void pack(Packer& p, double value) { p.pack_double(value); }
inline void pack(Packer& p, bool value) {
  value ? p.pack_true() : p.pack_false();
}
inline void pack(Packer& p, std::string_view text) {
  p.pack_str(static_cast<std::uint32_t>(text.size()));
  p.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
}
inline void pack(Packer& p, const std::string& text) {
  pack(p, std::string_view(text));
}
template <std::size_t N>
inline void pack(Packer& p, const std::array<std::byte, N>& bytes) {
  p.pack_bin(N);
  p.pack_bin_body(reinterpret_cast<const char*>(bytes.data()), N);
}
template <typename Tag, typename Rep>
inline void pack(Packer& p, StrongId<Tag, Rep> id) {
  pack(p, id.value);
}
template <typename Enum>
requires std::is_enum_v<Enum>
inline void pack(Packer& p, Enum value) {
  pack(p, static_cast<std::uint32_t>(value));
}
inline void pack(Packer& p, const ImageShape& s) {
  pack_record(p, s.channels, s.height, s.width, s.classes);
}
inline void pack(Packer& p, const AdamSpec& a) {
  pack_record(p, a.learning_rate, a.beta1, a.beta2, a.epsilon);
}
inline void pack(Packer& p, const TrainingSpec& s) {
  pack_record(p, s.model, s.image, name_of(kConditionNames, s.condition),
              name_of(kLossNames, s.loss), s.r1_gamma, s.r2_gamma,
              s.gradient_penalty, s.adam, s.batch, s.local_steps, s.seed,
              s.swap_optimizer, name_of(kAlgorithmNames, s.algorithm), s.latent,
              s.generator_adam, s.replay, s.classes,
              name_of(kAugmentNames, s.augment),
              name_of(kBatchLabelsNames, s.labels));
}
inline void pack(Packer& p, const Held& h) {
  pack_record(p, h.run, h.round, h.discriminator);
}
template <typename Element>
inline void pack(Packer& p, const std::vector<Element>& list);
inline void pack(Packer& p, const TensorMeta& meta) {
  pack_record(p, meta.dtype, meta.dims);
}
template <typename Element>
inline void pack(Packer& p, const std::vector<Element>& list) {
  p.pack_array(static_cast<std::uint32_t>(list.size()));
  for (const Element& element : list) pack(p, element);
}

template <typename... Fields>
void pack_record(Packer& packer, const Fields&... fields) {
  packer.pack_array(sizeof...(fields));
  (pack(packer, fields), ...);
}

}  // namespace mdgan::protocol
