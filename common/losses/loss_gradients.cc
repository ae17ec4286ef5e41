#include "common/losses/loss_gradients.h"

#include <algorithm>
#include <cmath>

#include "common/base/result.h"

namespace mdgan {
namespace {

double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

double sigmoid(double x) {
  const double e = std::exp(-std::abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

// The mean of value(y), and slope(y) / n in `d`.
template <typename Value, typename Slope>
double mean(std::span<const float> logits, std::span<float> d,
            const Value& value, const Slope& slope) {
  MDGAN_CHECK(logits.size() == d.size());
  const auto n = static_cast<double>(logits.size());
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double y = logits[i];
    sum += value(y);
    d[i] = static_cast<float>(slope(y) / n);
  }
  return sum / n;
}

// The mean of softplus(lower - higher), with its derivative by `lower` in
// `d_lower`; the one by `higher` is its negative.
double mean_of_pairs(std::span<const float> lower,
                     std::span<const float> higher, std::span<float> d_lower) {
  MDGAN_CHECK(lower.size() == higher.size() && lower.size() == d_lower.size());
  const auto n = static_cast<double>(lower.size());
  double sum = 0;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const double difference = double{lower[i]} - double{higher[i]};
    sum += softplus(difference);
    d_lower[i] = static_cast<float>(sigmoid(difference) / n);
  }
  return sum / n;
}

void negate(std::span<float> values) {
  for (float& value : values) value = -value;
}

}  // namespace

double discriminator_loss(Loss loss, std::span<const float> real,
                          std::span<const float> generated,
                          std::span<float> d_real,
                          std::span<float> d_generated) {
  switch (loss) {
    case Loss::kNonSaturating:
    case Loss::kSaturating:
      return mean(
                 real, d_real, [](double y) { return softplus(-y); },
                 [](double y) { return -sigmoid(-y); }) +
             mean(generated, d_generated, softplus, sigmoid);
    case Loss::kHinge:
      return mean(
                 real, d_real, [](double y) { return std::max(1 - y, 0.0); },
                 [](double y) { return y < 1 ? -1.0 : 0.0; }) +
             mean(
                 generated, d_generated,
                 [](double y) { return std::max(1 + y, 0.0); },
                 [](double y) { return y > -1 ? 1.0 : 0.0; });
    case Loss::kRelativistic: {
      const double value = mean_of_pairs(generated, real, d_generated);
      std::ranges::copy(d_generated, d_real.begin());
      negate(d_real);
      return value;
    }
    case Loss::kWassersteinGp:
      break;
  }
  MDGAN_CHECK(!"a loss without autograd");
}

double generator_loss(Loss loss, std::span<const float> generated,
                      std::span<float> d_generated,
                      std::span<const float> real) {
  switch (loss) {
    case Loss::kNonSaturating:
      return mean(
          generated, d_generated, [](double y) { return softplus(-y); },
          [](double y) { return -sigmoid(-y); });
    case Loss::kSaturating:
      return mean(
          generated, d_generated, [](double y) { return -softplus(y); },
          [](double y) { return -sigmoid(y); });
    case Loss::kHinge:
      return mean(
          generated, d_generated, [](double y) { return -y; },
          [](double) { return -1.0; });
    case Loss::kRelativistic: {
      const double value = mean_of_pairs(real, generated, d_generated);
      negate(d_generated);
      return value;
    }
    case Loss::kWassersteinGp:
      break;
  }
  MDGAN_CHECK(!"a loss without autograd");
}

double class_loss(std::span<const float> class_logits,
                  std::span<const std::int64_t> labels,
                  std::span<float> d_class_logits) {
  const std::size_t classes = class_logits.size() / labels.size();
  MDGAN_CHECK(class_logits.size() == labels.size() * classes);
  MDGAN_CHECK(d_class_logits.size() == class_logits.size());
  const auto n = static_cast<double>(labels.size());
  double sum = 0;
  for (std::size_t s = 0; s < labels.size(); ++s) {
    const auto row = class_logits.subspan(s * classes, classes);
    const double largest = *std::max_element(row.begin(), row.end());
    double total = 0;
    for (const float y : row) total += std::exp(double{y} - largest);
    const auto label = static_cast<std::size_t>(labels[s]);
    MDGAN_CHECK(label < classes);
    sum += std::log(total) + largest - double{row[label]};
    for (std::size_t c = 0; c < classes; ++c) {
      const double p = std::exp(double{row[c]} - largest) / total;
      d_class_logits[s * classes + c] =
          static_cast<float>((p - (c == label ? 1.0 : 0.0)) / n);
    }
  }
  return sum / n;
}

}  // namespace mdgan
