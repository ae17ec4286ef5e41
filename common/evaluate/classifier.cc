#include "common/evaluate/classifier.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "common/evaluate/classifier_network.h"
#include "common/files/file_descriptor.h"
#include "common/files/hash.h"
#include "common/files/safetensors.h"
#include "common/tensor/device.h"
#include "common/tensor/guard.h"
#include "common/tensor/quantise.h"
#include "common/tensor/tensor_blob.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using torch::Tensor;

// The version of the network and of the way it is trained, a part of the cached
// file's name.
constexpr std::string_view kVersion = "mdgan classifier 1";

constexpr std::uint32_t kTrainingBatch = 128;  // of training
constexpr std::uint32_t kPasses = 6;
constexpr std::uint32_t kFewestSteps = 200;  // for small data sets
constexpr std::int64_t kExtractBatch = 256;
// This is the same everywhere, since the number of threads changes the last
// bits of sums.
constexpr int kTrainingThreads = 1;

std::string hash_of(const EvaluationData& data, std::uint32_t steps) {
  std::string all = fmt::format("{} {}", kVersion, steps);
  for (const Dataset* part : {&data.train, &data.test}) {
    const ImageShape& shape = part->shape;
    all += fmt::format(" {}x{}x{}x{} {} {}", shape.channels, shape.height,
                       shape.width, shape.classes,
                       to_hex(sha256(std::as_bytes(std::span(part->pixels)))),
                       to_hex(sha256(std::as_bytes(std::span(part->labels)))));
  }
  return to_hex(sha256(std::as_bytes(std::span(all)))).substr(0, 12);
}

std::uint32_t steps_for(std::size_t images, std::uint32_t most) {
  const auto wanted = static_cast<std::uint32_t>(
      std::min<std::size_t>(kPasses * images / kTrainingBatch, most));
  return std::min(std::max(wanted, kFewestSteps), most);
}

}  // namespace

struct Classifier::Impl {
  Impl(const ImageShape& image, std::string h, c10::Device where)
      : network(image.channels, flat_values(image), image.classes),
        hash(std::move(h)),
        device(where) {}
  Impl(std::int64_t channels, std::int64_t flat, std::int64_t classes,
       std::string h, c10::Device where)
      : network(channels, flat, classes), hash(std::move(h)), device(where) {}

  ClassifierNetwork network;
  std::string hash;
  c10::Device device;
  double accuracy = 0;

  Features extract(const Blob& images);
  void learn(const EvaluationData& data, std::uint32_t steps);
  double measure(const Dataset& data);
  Result<void> load(const SafetensorsFile& saved, const std::string& what);
  std::vector<NamedBlob> tensors() const;
  std::map<std::string, std::string> metadata() const;
  void load_or_learn(const EvaluationData& data, std::uint32_t steps,
                     const fs::path& file);
};

Features Classifier::Impl::extract(const Blob& images) {
  const torch::NoGradGuard no_grad;
  const auto n = static_cast<std::int64_t>(images.meta.dims[0]);
  const auto each = static_cast<std::int64_t>(images.bytes.size()) /
                    std::max<std::int64_t>(n, 1);
  const c10::Device where = network.head->weight.device();
  Tensor values = torch::empty({n, kHiddenUnits});
  Tensor probabilities = torch::empty({n, network.head->weight.size(0)});
  for (std::int64_t at = 0; at < n; at += kExtractBatch) {
    const std::int64_t rows = std::min(kExtractBatch, n - at);
    Blob slice = images;
    slice.meta.dims[0] = static_cast<std::uint64_t>(rows);
    slice.bytes = images.bytes.subspan(static_cast<std::size_t>(at * each),
                                       static_cast<std::size_t>(rows * each));
    const Tensor part =
        network.features(to_tensor(images_from_uint8(slice)).to(where));
    values.narrow(0, at, rows).copy_(part);
    probabilities.narrow(0, at, rows).copy_(network.head(part).softmax(1));
  }
  return {to_blob(values), to_blob(probabilities)};
}

double Classifier::Impl::measure(const Dataset& data) {
  const Tensor guess =
      to_tensor(extract(pixels_of(data)).probabilities).argmax(1);
  return guess.eq(label_tensor(data)).to(torch::kFloat64).mean().item<double>();
}

void Classifier::Impl::learn(const EvaluationData& data, std::uint32_t steps) {
  spdlog::info("training the classifier to measure with, once for this data");
  const auto start = std::chrono::steady_clock::now();
  const int threads = at::get_num_threads();
  set_compute_threads(kTrainingThreads);
  // On the processor, whatever device it is used on: it is named by its data,
  // so its weights must not depend on the device.
  network.to(torch::kCPU);
  train(network, data.train, steps);
  accuracy = measure(data.test);
  network.to(device);
  set_compute_threads(threads);
  spdlog::info(
      "the classifier is right on {:.2f} % of the test images, after "
      "{:.0f} s of training",
      100 * accuracy,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count());
}

std::vector<NamedBlob> Classifier::Impl::tensors() const {
  std::vector<NamedBlob> all;
  for (const auto& item : network.named_parameters())
    all.push_back({item.key(), to_blob(item.value())});
  return all;
}

std::map<std::string, std::string> Classifier::Impl::metadata() const {
  return {{"format", "pt"},
          {"version", std::string(kVersion)},
          {"accuracy", fmt::format("{}", accuracy)}};
}

Result<void> Classifier::Impl::load(const SafetensorsFile& saved,
                                    const std::string& what) {
  const Error wrong{what + ": is not this classifier", ExitCode::kCheckpoint};
  const auto parameters = network.named_parameters();
  if (saved.tensors.size() != parameters.size()) return wrong;
  const auto known = saved.metadata.find("accuracy");
  if (known == saved.metadata.end()) return wrong;
  const std::string& text = known->second;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), accuracy);
  if (parsed.ec != std::errc{}) return wrong;
  for (const NamedBlob& tensor : saved.tensors) {
    const Tensor* to = parameters.find(tensor.name);
    if (to == nullptr || tensor.blob.meta.dtype != protocol::DType::kFloat32 ||
        !is_finite(tensor.blob) ||
        to_tensor(tensor.blob).sizes() != to->sizes())
      return wrong;
  }
  const torch::NoGradGuard no_grad;
  for (const NamedBlob& tensor : saved.tensors)
    Tensor(parameters[tensor.name]).copy_(to_tensor(tensor.blob));
  return {};
}

void Classifier::Impl::load_or_learn(const EvaluationData& data,
                                     std::uint32_t steps,
                                     const fs::path& file) {
  std::error_code ignored;  // save() then warns that it cannot write there
  fs::create_directories(file.parent_path(), ignored);
  // Other processes that want the same classifier wait for this one's.
  const fs::path lock_file = file.string() + ".lock";
  const FileDescriptor lock(
      ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock) (void)::flock(lock.get(), LOCK_EX);
  if (fs::exists(file, ignored)) {
    const auto saved = read_safetensors(file);
    const auto loaded =
        saved ? load(*saved, file.string()) : Result<void>(saved.error());
    if (loaded) return;
    spdlog::warn("{}; training the classifier anew", loaded.error().message);
  }
  learn(data, steps);
  if (const auto saved = write_safetensors(file, tensors(), metadata()); !saved)
    spdlog::warn("{}; it will be trained again next time",
                 saved.error().message);
}

Classifier::Classifier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Classifier::~Classifier() = default;

Result<std::unique_ptr<Classifier>> Classifier::obtain(
    const EvaluationData& data, const ClassifierOptions& options) {
  const auto refused = [](std::string_view why) {
    return Error{fmt::format("no classifier can be trained to measure with: "
                             "{}; give a TorchScript file of features "
                             "(evaluate-features, or --features of evaluate)",
                             why),
                 ExitCode::kConfiguration};
  };
  const ImageShape& image = data.train.shape;
  if (data.train.labels.empty()) return refused("the images have no labels");
  if (std::min(image.height, image.width) < 4)
    return refused("the images are smaller than 4x4");
  const auto device = parse_device(options.device);
  if (!device) return device.error();
  using Made = Result<std::unique_ptr<Classifier>>;
  return guarded(
      "the classifier to measure with failed", ExitCode::kBug, [&]() -> Made {
        const std::uint32_t steps =
            steps_for(data.train.size(), options.max_steps);
        auto impl =
            std::make_unique<Impl>(image, hash_of(data, steps), *device);
        initialise(impl->network);
        impl->network.to(*device);
        if (options.cache.empty())
          impl->learn(data, steps);
        else
          impl->load_or_learn(
              data, steps,
              options.cache / ("classifier-" + impl->hash + ".safetensors"));
        return std::unique_ptr<Classifier>(new Classifier(std::move(impl)));
      });
}

Result<std::unique_ptr<Classifier>> Classifier::read(
    const Blob& file, const std::string& what, const std::string& device) {
  using Made = Result<std::unique_ptr<Classifier>>;
  const Error wrong{what +
                        " is no classifier to measure with, as `mdgan-peer "
                        "classifier` makes it",
                    ExitCode::kConfiguration};
  const auto where = parse_device(device);
  if (!where) return where.error();
  const auto saved = parse_safetensors(file.bytes, what);
  if (!saved) return Error{saved.error().message, ExitCode::kConfiguration};
  // The sizes that the file decides; load() compares all others.
  std::int64_t channels = 0;
  std::int64_t flat = 0;
  std::int64_t classes = 0;
  for (const auto& [name, blob] : saved->tensors) {
    const std::vector<std::uint64_t>& dims = blob.meta.dims;
    if (name == "conv1.weight" && dims.size() == 4)
      channels = static_cast<std::int64_t>(dims[1]);
    if (name == "hidden.weight" && dims.size() == 2)
      flat = static_cast<std::int64_t>(dims[1]);
    if (name == "head.weight" && dims.size() == 2)
      classes = static_cast<std::int64_t>(dims[0]);
  }
  // What the file does not hold is not allocated.
  const auto values = static_cast<std::int64_t>(file.bytes.size() / 4);
  if (channels < 1 || flat < 1 || classes < 1 || channels > values / 512 ||
      flat > values / kHiddenUnits || classes > values / kHiddenUnits)
    return wrong;
  return guarded(what, ExitCode::kConfiguration, [&]() -> Made {
    auto impl = std::make_unique<Impl>(channels, flat, classes,
                                       to_hex(sha256(file.bytes)).substr(0, 12),
                                       *where);
    if (!impl->load(*saved, what)) return wrong;
    impl->network.to(*where);
    return std::unique_ptr<Classifier>(new Classifier(std::move(impl)));
  });
}

Result<void> Classifier::takes(const ImageShape& image) const {
  const ClassifierNetwork& network = impl_->network;
  if (network.conv1->weight.size(1) == image.channels &&
      network.hidden->weight.size(1) == flat_values(image))
    return {};
  return Error{fmt::format("the classifier to measure with takes images of "
                           "another size or number of channels than {}x{}x{}",
                           image.channels, image.height, image.width),
               ExitCode::kConfiguration};
}

Blob Classifier::file() const {
  return plain_exceptions(
      [&] { return safetensors_file(impl_->tensors(), impl_->metadata()); });
}

Features Classifier::extract(const Blob& images) {
  return plain_exceptions([&] { return impl_->extract(images); });
}

std::string Classifier::name() const {
  return fmt::format("classifier ({:.2f} % right), {}", 100 * impl_->accuracy,
                     impl_->hash);
}

double Classifier::accuracy() const { return impl_->accuracy; }

}  // namespace mdgan
