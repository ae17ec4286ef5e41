#include "common/evaluate/feature_statistics.h"

#include <spdlog/fmt/fmt.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <utility>

#include "common/evaluate/normals.h"
#include "common/files/npz.h"
#include "common/files/output_file.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

using torch::Tensor;

constexpr const char* kMean = "mu";
constexpr const char* kCovariance = "sigma";

// A view of the statistics, which must outlive it.
Normal normal_of(const FeatureStatistics& statistics) {
  const auto f = static_cast<std::int64_t>(statistics.mean.size());
  const auto view = [](const std::vector<double>& values,
                       std::initializer_list<std::int64_t> sizes) {
    return torch::from_blob(const_cast<double*>(values.data()), sizes,
                            torch::kFloat64);
  };
  return normal_with(view(statistics.mean, {f}),
                     view(statistics.covariance, {f, f}));
}

std::vector<double> values_of(const Tensor& tensor) {
  const Tensor plain = tensor.contiguous();
  const double* const first = plain.data_ptr<double>();
  return {first, first + plain.numel()};
}

}  // namespace

FeatureStatistics statistics_of(const Blob& features) {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Normal normal = mdgan::normal_of(to_tensor(features));
    return FeatureStatistics{values_of(normal.mean),
                             values_of(normal.covariance)};
  });
}

FeatureSums sums_of(const Blob& features) {
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    const Tensor x = to_tensor(features).to(torch::kFloat64);
    return FeatureSums{static_cast<std::uint64_t>(x.size(0)),
                       values_of(x.sum(0)), values_of(x.t().mm(x))};
  });
}

void add_to(FeatureSums& all, const FeatureSums& site) {
  MDGAN_CHECK(site.sum.size() == all.sum.size() &&
              site.products.size() == all.products.size());
  all.images += site.images;
  std::ranges::transform(all.sum, site.sum, all.sum.begin(), std::plus());
  std::ranges::transform(all.products, site.products, all.products.begin(),
                         std::plus());
}

FeatureStatistics statistics_of(FeatureSums all) {
  MDGAN_CHECK(all.images > 1);
  const auto n = static_cast<double>(all.images);
  const std::size_t f = all.sum.size();
  FeatureStatistics statistics{std::move(all.sum), std::move(all.products)};
  for (double& value : statistics.mean) value /= n;
  for (std::size_t i = 0; i < f; ++i)
    for (std::size_t j = 0; j < f; ++j) {
      double& value = statistics.covariance[i * f + j];
      value = (value - n * statistics.mean[i] * statistics.mean[j]) / (n - 1);
    }
  return statistics;
}

double frechet_distance(const FeatureStatistics& a,
                        const FeatureStatistics& b) {
  MDGAN_CHECK(a.mean.size() == b.mean.size());
  return plain_exceptions([&] {
    const torch::NoGradGuard no_grad;
    return frechet_distance(normal_of(a), normal_of(b));
  });
}

Result<void> write_statistics(const std::filesystem::path& file,
                              const FeatureStatistics& statistics) {
  const std::uint64_t f = statistics.mean.size();
  const std::string bytes =
      npz_bytes({{kMean, {{f}, statistics.mean}},
                 {kCovariance, {{f, f}, statistics.covariance}}});
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(bytes))};
  return write_output(file, parts);
}

Result<FeatureStatistics> read_statistics(const std::filesystem::path& file) {
  auto mean = read_npz(file, kMean);
  if (!mean) return mean.error();
  auto covariance = read_npz(file, kCovariance);
  if (!covariance) return covariance.error();
  const std::uint64_t f = mean->values.size();
  if (mean->dims.size() != 1 ||
      covariance->dims != std::vector<std::uint64_t>{f, f})
    return Error{
        fmt::format("{}: '{}' and '{}' are not a mean [f] and a covariance "
                    "[f, f]: give a file as pytorch-fid's --save-stats or "
                    "`mdgan-server export --format npz` makes it",
                    file.string(), kMean, kCovariance),
        ExitCode::kData};
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(mean->values, finite) ||
      !std::ranges::all_of(covariance->values, finite))
    return Error{file.string() + " has values that are not finite",
                 ExitCode::kData};
  return FeatureStatistics{std::move(mean->values),
                           std::move(covariance->values)};
}

}  // namespace mdgan
