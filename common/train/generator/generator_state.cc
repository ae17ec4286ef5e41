// The state of a generator in training that a checkpoint keeps.

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <map>

#include "common/tensor/floats.h"
#include "common/tensor/guard.h"
#include "common/tensor/tensor_blob.h"
#include "common/train/generator/generator_trainer_impl.h"

namespace mdgan {
namespace {

constexpr std::string_view kStepsName = "adam.steps";
constexpr std::string_view kSecondMomentName = "adam.second_moment";

// Copies in CPU memory. Of tensors that view one buffer, as parameters do, the
// buffer is copied once.
class HostCopies {
 public:
  torch::Tensor operator()(const torch::Tensor& tensor) {
    const c10::Storage& storage = tensor.storage();
    torch::Tensor& copy = copies_[storage.unsafeGetStorageImpl()];
    if (!copy.defined()) {
      const torch::Tensor all =
          torch::empty({0}, tensor.options()).set_(storage);
      copy = all.is_cpu() ? all.clone() : all.to(torch::kCPU);
    }
    return copy.as_strided(tensor.sizes(), tensor.strides(),
                           tensor.storage_offset());
  }

 private:
  std::map<const void*, torch::Tensor> copies_;
};

// Appends a model's parameters and buffers under PyTorch's names.
void append_state(const std::string& prefix, const Generator& model,
                  NamedTensors& state) {
  for (const auto& item : model.named_parameters())
    state.emplace_back(prefix + item.key(), item.value());
  for (const auto& item : model.named_buffers())
    state.emplace_back(prefix + item.key(), item.value());
}

Error does_not_fit(const std::string& name, std::string_view problem) {
  return {fmt::format("the checkpoint's tensor '{}' {}: it does not belong to "
                      "this run's model; resume with the configuration the "
                      "run was started with, or use another checkpoint",
                      name, problem),
          ExitCode::kCheckpoint};
}

Result<void> check_fit(const std::string& name, const Blob& blob,
                       const torch::Tensor& place) {
  const bool floats = place.scalar_type() == torch::kFloat32;
  const auto dtype =
      floats ? protocol::DType::kFloat32 : protocol::DType::kInt64;
  if (blob.meta.dtype != dtype ||
      !std::equal(blob.meta.dims.begin(), blob.meta.dims.end(),
                  place.sizes().begin(), place.sizes().end(),
                  [](std::uint64_t have, std::int64_t want) {
                    return have == static_cast<std::uint64_t>(want);
                  }) ||
      blob.bytes.size() != place.nbytes())
    return does_not_fit(
        name, fmt::format("is {} bytes of shape [{}], and should be {} of [{}]",
                          blob.bytes.size(), fmt::join(blob.meta.dims, ", "),
                          place.nbytes(), fmt::join(place.sizes(), ", ")));
  if (floats && !is_finite(blob))
    return does_not_fit(name, "holds NaN or infinity");
  if (name == kSecondMomentName && has_negative(blob))
    return does_not_fit(name, "holds a negative value");
  return {};
}

}  // namespace

NamedTensors GeneratorTrainer::Impl::named_state() const {
  NamedTensors state;
  append_state("generator.", *model, state);
  if (average != nullptr) append_state("ema.", *average, state);
  state.emplace_back("adam.first_moment", adam.first_moment());
  state.emplace_back(kSecondMomentName, adam.second_moment());
  state.emplace_back(kStepsName,
                     torch::tensor({static_cast<std::int64_t>(adam.steps())}));
  return state;
}

Result<void> GeneratorTrainer::Impl::load(std::span<const NamedBlob> state) {
  std::map<std::string_view, const Blob*> found;
  for (const NamedBlob& item : state) found[item.name] = &item.blob;
  NamedTensors places = named_state();
  for (const auto& [name, place] : places) {
    const auto blob = found.find(name);
    if (blob == found.end()) return does_not_fit(name, "is missing");
    if (auto fits = check_fit(name, *blob->second, place); !fits) return fits;
  }
  for (const NamedBlob& item : state)
    if (std::none_of(places.begin(), places.end(), [&](const auto& place) {
          return place.first == item.name;
        }))
      return does_not_fit(item.name, "is unknown");
  const auto steps = to_tensor(*found[kStepsName]).item<std::int64_t>();
  if (steps < 0) return does_not_fit(std::string(kStepsName), "is negative");

  for (auto& [name, place] : places)
    place.variable_data().copy_(to_tensor(*found[name]));
  adam.set_steps(static_cast<std::uint64_t>(steps));
  open.clear();
  return {};
}

std::vector<NamedBlob> GeneratorTrainer::snapshot() const {
  return plain_exceptions([&] {
    HostCopies copy;
    std::vector<NamedBlob> state;
    for (const auto& [name, tensor] : impl_->named_state())
      state.push_back({name, to_blob(copy(tensor))});
    return state;
  });
}

Result<void> GeneratorTrainer::load(std::span<const NamedBlob> state) {
  return guarded("cannot load the generator", ExitCode::kCheckpoint,
                 [&] { return impl_->load(state); });
}

}  // namespace mdgan
