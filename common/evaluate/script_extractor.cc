#include <spdlog/fmt/fmt.h>
#include <torch/script.h>

#include "common/evaluate/feature_extractor.h"
#include "common/files/hash.h"
#include "common/tensor/device.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

using torch::Tensor;

constexpr std::int64_t kScriptBatch = 50;  // Inception takes 0.1 GB for so many
constexpr const char* kReturnFeatures = "return_features";

class ScriptExtractor : public FeatureExtractor {
 public:
  ScriptExtractor(torch::jit::Module module, std::string file, std::string name,
                  c10::Device device)
      : module_(std::move(module)),
        file_(std::move(file)),
        name_(std::move(name)),
        device_(device) {
    module_.eval();
    for (const auto& argument :
         module_.get_method("forward").function().getSchema().arguments())
      if (argument.name() == kReturnFeatures) keywords_[kReturnFeatures] = true;
  }

  Features extract(const Blob& images) override {
    try {
      return plain_exceptions([&] { return run(images); });
    } catch (const std::exception& e) {
      throw ErrorException(
          {fmt::format("{} fails on images as uint8 [n, 3, h, w]: {}", file_,
                       e.what()),
           error_of(e).code});
    }
  }

  std::string name() const override { return name_; }

 private:
  Features run(const Blob& images) {
    const torch::NoGradGuard no_grad;
    const auto& dims = images.meta.dims;
    const auto n = static_cast<std::int64_t>(dims[0]);
    const Tensor all = torch::from_blob(
        const_cast<std::byte*>(images.bytes.data()),  // only read
        {n, static_cast<std::int64_t>(dims[1]),
         static_cast<std::int64_t>(dims[2]),
         static_cast<std::int64_t>(dims[3])},
        torch::kUInt8);
    std::vector<Tensor> values;
    std::vector<Tensor> probabilities;
    for (std::int64_t at = 0; at < n; at += kScriptBatch) {
      Tensor part =
          all.narrow(0, at, std::min(kScriptBatch, n - at)).to(device_);
      if (part.size(1) == 1) part = part.expand({-1, 3, -1, -1});
      const auto out = module_.forward({part.contiguous()}, keywords_);
      const bool pair = out.isTuple();
      values.push_back(
          checked(pair ? out.toTuple()->elements().at(0) : out, part.size(0)));
      if (pair)
        probabilities.push_back(
            checked(out.toTuple()->elements().at(1), part.size(0)).softmax(1));
    }
    Features features{to_blob(torch::cat(values)), {}};
    if (!probabilities.empty())
      features.probabilities = to_blob(torch::cat(probabilities));
    return features;
  }

  static Tensor checked(const c10::IValue& value, std::int64_t rows) {
    if (!value.isTensor()) throw std::runtime_error("it returns no tensor");
    const Tensor tensor = value.toTensor();
    if (tensor.dim() != 2 || tensor.size(0) != rows)
      throw std::runtime_error("what it returns is not [n, features]");
    return tensor.to(torch::kFloat32);
  }

  torch::jit::Module module_;
  std::string file_;
  std::string name_;
  c10::Device device_;
  std::unordered_map<std::string, c10::IValue> keywords_;
};

}  // namespace

Result<std::unique_ptr<FeatureExtractor>> load_script(
    const std::filesystem::path& file, const std::string& device) {
  const auto where = parse_device(device);
  if (!where) return where.error();
  const auto hash = sha256_of_file(file);
  if (!hash) return Error{hash.error().message, ExitCode::kConfiguration};
  const std::string what =
      file.string() +
      " cannot be loaded as a TorchScript module (torch.jit.save)";
  return guarded(
      what, ExitCode::kConfiguration,
      [&]() -> Result<std::unique_ptr<FeatureExtractor>> {
        return std::unique_ptr<FeatureExtractor>(
            std::make_unique<ScriptExtractor>(
                torch::jit::load(file.string(), *where), file.string(),
                fmt::format("{}, {}", file.filename().string(),
                            to_hex(*hash).substr(0, 12)),
                *where));
      });
}

}  // namespace mdgan
