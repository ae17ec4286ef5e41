#include "common/evaluate/site_metrics.h"

#include <utility>

#include "common/evaluate/classifier.h"
#include "common/evaluate/metrics.h"

namespace mdgan {
namespace {

class Site {
 public:
  Site(Dataset images, std::string device)
      : images_(std::move(images)), device_(std::move(device)) {}

  Result<SiteMetrics> measure(const SiteQuestion& question) {
    if (!real_ || classifier_ != question.classifier)
      if (auto read = take_classifier(question); !read) return read.error();
    const auto& [values, radii] = question.generated;
    const MeanAndSpread kernel = real_->kernel_distance(values);
    return SiteMetrics{kernel.mean, kernel.std, real_->recall(values, radii),
                       sums_};
  }

 private:
  // The features of the site's images change with the classifier alone.
  Result<void> take_classifier(const SiteQuestion& question) {
    if (!question.file)
      return Error{"the classifier to measure with was not sent"};
    if (sha256(question.file->bytes) != question.classifier)
      return Error{"the classifier to measure with is not the one announced"};
    auto made =
        Classifier::read(*question.file, "the server's classifier", device_);
    if (!made) return made.error();
    if (auto fits = (*made)->takes(images_.shape); !fits) return fits;
    const Blob features = (*made)->extract(pixels_of(images_)).values;
    real_ = std::make_unique<RealFeatures>(features);
    sums_ = sums_of(features);
    classifier_ = question.classifier;
    return {};
  }

  Dataset images_;
  std::string device_;
  Sha256 classifier_{};
  std::unique_ptr<RealFeatures> real_;
  FeatureSums sums_;
};

}  // namespace

MeasureSite measure_site(std::shared_ptr<const Dataset> data,
                         std::vector<std::uint32_t> images,
                         const std::string& device) {
  MDGAN_CHECK(images.size() >= kFewestHeldOut);
  return [site = std::make_shared<Site>(subset(*data, images), device)](
             const SiteQuestion& question) { return site->measure(question); };
}

}  // namespace mdgan
