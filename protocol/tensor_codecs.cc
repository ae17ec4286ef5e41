#include "protocol/tensor_codecs.h"

#include <algorithm>

#include "protocol/algorithm.h"

namespace mdgan::protocol {
namespace {

constexpr std::string_view kImage = "image-";
constexpr std::string_view kFeedback = "feedback-";
constexpr std::string_view kSwap = "swap-";

// The first entry of a table is float32, which is not named.
template <typename Enum, std::size_t N>
void append_all(std::string_view use,
                const std::array<std::pair<Enum, std::string_view>, N>& table,
                std::vector<std::string>& names) {
  for (std::size_t i = 1; i < N; ++i)
    names.push_back(std::string(use) + std::string(table[i].second));
}

template <typename Enum, std::size_t N>
void append(std::string_view use,
            const std::array<std::pair<Enum, std::string_view>, N>& table,
            Enum value, std::vector<std::string>& names) {
  if (value != table[0].first)
    names.push_back(std::string(use) + std::string(name_of(table, value)));
}

// Whether `name` is one for `use`; `value` then is what it means.
template <typename Enum, std::size_t N>
bool take(std::string_view name, std::string_view use,
          const std::array<std::pair<Enum, std::string_view>, N>& table,
          Enum& value) {
  if (!name.starts_with(use) || value != table[0].first) return false;
  const auto found = value_of(table, name.substr(use.size()));
  if (!found || *found == table[0].first) return false;
  value = *found;
  return true;
}

}  // namespace

std::vector<std::string> codec_names(const TensorCodecs& codecs) {
  std::vector<std::string> names;
  append(kImage, kImageCodecNames, codecs.image, names);
  append(kFeedback, kFeedbackCodecNames, codecs.feedback, names);
  append(kSwap, kSwapCodecNames, codecs.swap, names);
  return names;
}

std::vector<std::string> known_codecs() {
  std::vector<std::string> names;
  append_all(kImage, kImageCodecNames, names);
  append_all(kFeedback, kFeedbackCodecNames, names);
  append_all(kSwap, kSwapCodecNames, names);
  return names;
}

std::vector<std::string> known_abilities() {
  std::vector<std::string> names = known_codecs();
  for (const AlgorithmTraits& traits : kAlgorithms)
    if (!traits.ability.empty()) names.emplace_back(traits.ability);
  names.emplace_back(kRelay);
  names.emplace_back(kRoundsAhead);
  return names;
}

Result<TensorCodecs> parse_codecs(std::span<const std::string> names) {
  TensorCodecs codecs;
  for (const std::string& name : names) {
    if (take(name, kImage, kImageCodecNames, codecs.image) ||
        take(name, kFeedback, kFeedbackCodecNames, codecs.feedback) ||
        take(name, kSwap, kSwapCodecNames, codecs.swap))
      continue;
    const auto known = known_codecs();
    const bool there = std::ranges::find(known, name) != known.end();
    return Error{there ? "the server names the codec " + name +
                             " and another one for the same use: it has a fault"
                       : "the server wants the codec '" + name +
                             "', which this program does not know: install "
                             "the server's version",
                 ExitCode::kConfiguration};
  }
  return codecs;
}

}  // namespace mdgan::protocol
