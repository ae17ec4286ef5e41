#include "server/evaluate/classifier.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <torch/torch.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

#include "common/base/random.h"
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
namespace nn = torch::nn;
using torch::Tensor;

// The version of the network and of the way it is trained, a part of the cached
// file's name.
constexpr std::string_view kVersion = "mdgan classifier 1";

constexpr std::uint32_t kBatch = 128;
constexpr std::uint32_t kPasses = 6;
constexpr std::uint32_t kFewestSteps = 200;  // for small data sets
constexpr double kRate = 2e-3;
constexpr double kWarmUp = 0.1;  // the part of the steps with a rising rate
constexpr float kDropped = 0.3F;
constexpr std::int64_t kShift = 1;  // pixels, in each direction
constexpr std::int64_t kExtractBatch = 256;
// This is the same everywhere, since the number of threads changes the last
// bits of sums.
constexpr int kTrainingThreads = 1;

struct Network : nn::Module {
  explicit Network(const ImageShape& image)
      : conv1(register_module("conv1", convolution(image.channels, 32))),
        conv2(register_module("conv2", convolution(32, 64))),
        hidden(register_module("hidden",
                               nn::Linear(64 * std::int64_t{image.height / 4} *
                                              std::int64_t{image.width / 4},
                                          128))),
        head(register_module("head", nn::Linear(128, image.classes))) {}

  static nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
    return nn::Conv2d(nn::Conv2dOptions(in, out, 4).stride(2).padding(1));
  }

  // Images [n, c, h, w] in [-1, 1] -> [n, 128].
  Tensor features(const Tensor& images) {
    const Tensor x = conv2(conv1(images).relu()).relu();
    return hidden(x.flatten(1)).relu();
  }

  nn::Conv2d conv1;
  nn::Conv2d conv2;
  nn::Linear hidden;
  nn::Linear head;
};

// He et al. 2015, uniform; biases zero.
void initialise(Network& network) {
  const torch::NoGradGuard no_grad;
  Random random(0, Purpose::kClassifierInit);
  for (Tensor& parameter : network.parameters()) {
    if (parameter.dim() == 1) {
      parameter.zero_();
      continue;
    }
    const auto inputs = static_cast<float>(parameter[0].numel());
    const float bound = std::sqrt(6.0F / inputs);
    random.fill_uniform(floats_of(parameter), -bound, bound);
  }
}

// The images of `indices` in [-1, 1], all shifted alike by up to kShift pixels,
// with their borders repeated.
Tensor shifted(const Tensor& pixels, std::span<const std::uint32_t> indices,
               Random& random) {
  Tensor rows = torch::empty({std::ssize(indices)}, torch::kInt64);
  std::copy(indices.begin(), indices.end(), rows.data_ptr<std::int64_t>());
  const Tensor images = pixels.index_select(0, rows).to(torch::kFloat32);
  const Tensor padded = torch::replication_pad2d(
      images / 127.5F - 1, {kShift, kShift, kShift, kShift});
  const auto down = static_cast<std::int64_t>(random.below(2 * kShift + 1));
  const auto right = static_cast<std::int64_t>(random.below(2 * kShift + 1));
  return padded.narrow(2, down, images.size(2))
      .narrow(3, right, images.size(3))
      .contiguous();
}

double rate_at(std::uint32_t step, std::uint32_t steps) {
  const double done = (step + 1.0) / (steps + 1.0);
  return kRate * std::min(done / kWarmUp, (1 - done) / (1 - kWarmUp));
}

Tensor pixels_of(const Dataset& data) {
  return torch::from_blob(
      const_cast<std::uint8_t*>(data.pixels.data()),  // only read
      {static_cast<std::int64_t>(data.size()), data.shape.channels,
       data.shape.height, data.shape.width},
      torch::kUInt8);
}

Tensor labels_of(const Dataset& data) {
  return torch::from_blob(const_cast<std::int32_t*>(data.labels.data()),
                          {std::ssize(data.labels)}, torch::kInt32)
      .to(torch::kInt64);
}

void train(Network& network, const Dataset& data, std::uint32_t steps) {
  const Tensor pixels = pixels_of(data);
  const Tensor labels = labels_of(data);
  const auto n = static_cast<std::uint32_t>(data.size());
  const std::uint32_t batch = std::min(kBatch, n);
  torch::optim::Adam adam(network.parameters(), kRate);
  Random random(0, Purpose::kClassifierBatches);
  std::vector<std::uint32_t> order;
  std::size_t at = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    if (at + batch > order.size()) {
      order = permutation(n, random);
      at = 0;
    }
    const auto indices = std::span(order).subspan(at, batch);
    at += batch;
    Tensor y = torch::empty({batch}, torch::kInt64);
    for (std::uint32_t i = 0; i < batch; ++i)
      y.data_ptr<std::int64_t>()[i] =
          labels.data_ptr<std::int64_t>()[indices[i]];
    const Tensor x = shifted(pixels, indices, random);
    Tensor kept = torch::empty({batch, 128});
    random.fill_uniform(floats_of(kept), 0, 1);
    kept = kept.ge(kDropped).to(torch::kFloat32) / (1 - kDropped);
    const Tensor logits = network.head(network.features(x) * kept);
    adam.zero_grad();
    torch::nn::functional::cross_entropy(logits, y).backward();
    static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options())
        .lr(rate_at(step, steps));
    adam.step();
  }
}

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
      std::min<std::size_t>(kPasses * images / kBatch, most));
  return std::min(std::max(wanted, kFewestSteps), most);
}

}  // namespace

struct Classifier::Impl {
  Impl(const ImageShape& image, std::string h, c10::Device where)
      : network(image), hash(std::move(h)), device(where) {}

  Network network;
  std::string hash;
  c10::Device device;
  double accuracy = 0;

  Features extract(const Blob& images);
  void learn(const EvaluationData& data, std::uint32_t steps);
  double measure(const Dataset& data);
  Result<void> load(const fs::path& file);
  Result<void> save(const fs::path& file) const;
  void load_or_learn(const EvaluationData& data, std::uint32_t steps,
                     const fs::path& file);
};

Features Classifier::Impl::extract(const Blob& images) {
  const torch::NoGradGuard no_grad;
  const Tensor all = to_tensor(images_from_uint8(images));
  const std::int64_t n = all.size(0);
  const c10::Device where = network.head->weight.device();
  Tensor values = torch::empty({n, 128});
  Tensor probabilities = torch::empty({n, network.head->weight.size(0)});
  for (std::int64_t at = 0; at < n; at += kExtractBatch) {
    const std::int64_t rows = std::min(kExtractBatch, n - at);
    const Tensor part = network.features(all.narrow(0, at, rows).to(where));
    values.narrow(0, at, rows).copy_(part);
    probabilities.narrow(0, at, rows).copy_(network.head(part).softmax(1));
  }
  return {to_blob(values), to_blob(probabilities)};
}

double Classifier::Impl::measure(const Dataset& data) {
  const ImageShape& shape = data.shape;
  const Blob images{{protocol::DType::kUint8,
                     {data.size(), shape.channels, shape.height, shape.width}},
                    std::as_bytes(std::span(data.pixels)),
                    nullptr};
  const Tensor guess = to_tensor(extract(images).probabilities).argmax(1);
  return guess.eq(labels_of(data)).to(torch::kFloat64).mean().item<double>();
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

Result<void> Classifier::Impl::save(const fs::path& file) const {
  std::vector<NamedBlob> tensors;
  for (const auto& item : network.named_parameters())
    tensors.push_back({item.key(), to_blob(item.value())});
  return write_safetensors(file, tensors,
                           {{"format", "pt"},
                            {"version", std::string(kVersion)},
                            {"accuracy", fmt::format("{}", accuracy)}});
}

Result<void> Classifier::Impl::load(const fs::path& file) {
  const auto saved = read_safetensors(file);
  if (!saved) return saved.error();
  const Error wrong{file.string() + ": is not this classifier",
                    ExitCode::kCheckpoint};
  const auto parameters = network.named_parameters();
  if (saved->tensors.size() != parameters.size()) return wrong;
  const auto known = saved->metadata.find("accuracy");
  if (known == saved->metadata.end()) return wrong;
  const std::string& text = known->second;
  const auto parsed =
      std::from_chars(text.data(), text.data() + text.size(), accuracy);
  if (parsed.ec != std::errc{}) return wrong;
  for (const NamedBlob& tensor : saved->tensors) {
    const Tensor* to = parameters.find(tensor.name);
    if (to == nullptr || tensor.blob.meta.dtype != protocol::DType::kFloat32 ||
        !is_finite(tensor.blob) ||
        to_tensor(tensor.blob).sizes() != to->sizes())
      return wrong;
  }
  const torch::NoGradGuard no_grad;
  for (const NamedBlob& tensor : saved->tensors)
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
    const auto loaded = load(file);
    if (loaded) return;
    spdlog::warn("{}; training the classifier anew", loaded.error().message);
  }
  learn(data, steps);
  if (const auto saved = save(file); !saved)
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

Features Classifier::extract(const Blob& images) {
  return plain_exceptions([&] { return impl_->extract(images); });
}

std::string Classifier::name() const {
  return fmt::format("classifier ({:.2f} % right), {}", 100 * impl_->accuracy,
                     impl_->hash);
}

double Classifier::accuracy() const { return impl_->accuracy; }

}  // namespace mdgan
