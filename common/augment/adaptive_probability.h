// ADA (Karras et al. 2020, section 3): how probable each change of an image is
// that a discriminator sees. Where it takes more and more of the real images
// for real by the sign of its logits, it learns them by heart, and the
// probability rises; else it falls. Counts whole images, so that a saved one
// goes on exactly.
//
// It belongs to the real images, not to the discriminator, which travels. No
// LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace mdgan {

class AdaptiveProbability {
 public:
  // Of the real images' logits; the mean of their signs is r_t.
  static constexpr double kTarget = 0.6;
  static constexpr std::uint32_t kSteps = 4;  // of D, between two changes
  // So many real images bring the probability from 0 to 1. The paper has
  // 500,000, for runs over 25 million images.
  static constexpr std::int32_t kImagesToOne = 50'000;
  static constexpr double kMost = 0.8;

  // In [0, kMost].
  double value() const;

  // Counts `steps` steps of D, on so many real images in all, and the sum of
  // the signs of its logits on them. Every kSteps steps or more the probability
  // goes up or down by the images counted since. Numbers that cannot be, of a
  // discriminator with NaN for logits, say, change nothing.
  void observe(std::uint32_t steps, std::uint64_t images, double signs);

  // All there is to save, as a tensor [4] int32 of this name; load() takes it,
  // and nothing that cannot be.
  static constexpr const char* kSavedAs = "ada.state";
  using State = std::array<std::int32_t, 4>;
  State state() const;
  static std::optional<AdaptiveProbability> load(const State& state);

  friend bool operator==(const AdaptiveProbability&,
                         const AdaptiveProbability&) = default;

 private:
  std::int32_t level_ = 0;  // images; the probability is level / kImagesToOne
  // Since the last change.
  std::int32_t steps_ = 0;
  std::int32_t images_ = 0;
  std::int32_t signs_ = 0;
};

}  // namespace mdgan
