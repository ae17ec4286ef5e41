#include "common/evaluate/site_metrics.h"

#include <utility>

#include "common/evaluate/classifier.h"
#include "common/evaluate/metrics.h"

namespace mdgan {
namespace {

class Site {
 public:
  Site(std::shared_ptr<const Dataset> data, std::vector<std::uint32_t> images,
       std::unique_ptr<Classifier> classifier, const Sha256& hash)
      : data_(std::move(data)),
        images_(std::move(images)),
        classifier_(std::move(classifier)),
        hash_(hash) {}

  Result<SiteMetrics> measure(const SiteQuestion& question) {
    if (question.classifier != hash_)
      return Error{"it measures with another classifier, SHA-256 " +
                   to_hex(hash_)};
    if (!real_) look_at_images();
    const auto& [values, radii] = question.generated;
    const MeanAndSpread kernel = real_->kernel_distance(values);
    return SiteMetrics{kernel.mean, kernel.std, real_->recall(values, radii),
                       sums_};
  }

 private:
  // Once: they stay what they are.
  void look_at_images() {
    const Dataset held_out = subset(*data_, images_);
    const Blob features = classifier_->extract(pixels_of(held_out)).values;
    real_ = std::make_unique<RealFeatures>(features);
    sums_ = sums_of(features);
  }

  std::shared_ptr<const Dataset> data_;
  std::vector<std::uint32_t> images_;
  std::unique_ptr<Classifier> classifier_;
  Sha256 hash_;
  std::unique_ptr<RealFeatures> real_;
  FeatureSums sums_;
};

}  // namespace

Result<MeasureSite> measure_site(std::shared_ptr<const Dataset> data,
                                 std::vector<std::uint32_t> images,
                                 const Blob& classifier,
                                 const std::string& what,
                                 const std::string& device) {
  MDGAN_CHECK(images.size() >= kFewestHeldOut);
  auto made = Classifier::read(classifier, what, device);
  if (!made) return made.error();
  if (auto fits = (*made)->takes(data->shape); !fits) return fits.error();
  return MeasureSite(
      [site =
           std::make_shared<Site>(std::move(data), std::move(images),
                                  std::move(*made), sha256(classifier.bytes))](
          const SiteQuestion& question) { return site->measure(question); });
}

}  // namespace mdgan
