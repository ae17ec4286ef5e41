#include "common/tensor/device.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>
#include <omp.h>
#include <spdlog/fmt/fmt.h>
#include <torch/torch.h>

#include <charconv>
#include <mutex>
#include <string_view>

#include "common/tensor/blas_core.h"
#include "common/tensor/precision.h"

namespace mdgan {
namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

// A function of the BLAS that is loaded, or null if it is another BLAS: Debian
// lets the administrator choose (update-alternatives).
template <typename Function>
Function* loaded_function(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

Error bad_device(std::string message) {
  return {std::move(message), ExitCode::kConfiguration};
}

// The same seed is to give the same bits on the same GPU. LibTorch would choose
// cuDNN's algorithms by a race, sum in any order, and round the factors of
// convolutions to TF32. fix_cublas_workspace() is the rest of it.
void repeat_bits() {
  at::Context& context = at::globalContext();
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  // What has no deterministic algorithm warns.
  context.setDeterministicAlgorithms(true, /*warn_only=*/true);
#if TORCH_VERSION_MAJOR > 2 || \
    (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
  // It would write NaN into all memory before that is written.
  context.setDeterministicFillUninitializedMemory(false);
#endif
  const bool tf32 = precision() == Precision::kTf32;
  context.setAllowTF32CuBLAS(tf32);
  context.setAllowTF32CuDNN(tf32);
}

Result<c10::Device> cuda_device(int index) {
  if (!torch::cuda::is_available())
    return bad_device(
        "device 'cuda' is not available: this LibTorch was built without CUDA "
        "or finds no GPU; use device 'cpu', or install a LibTorch with CUDA");
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (index >= count)
    return bad_device(
        fmt::format("device 'cuda:{}' does not exist: this machine has {} GPU "
                    "device{}, counted from cuda:0",
                    index, count, count == 1 ? "" : "s"));
  static std::once_flag once;
  std::call_once(once, repeat_bits);
  return c10::Device(c10::DeviceType::CUDA,
                     static_cast<c10::DeviceIndex>(index));
}

std::string cuda_description() {
  if (!torch::cuda::is_available()) return "not available";
  const auto& hooks = at::detail::getCUDAHooks();
  return fmt::format(
      "{} device(s), runtime {}, cuDNN {}", torch::cuda::device_count(),
      hooks.versionCUDART(),
      hooks.hasCuDNN() ? fmt::to_string(hooks.versionCuDNN()) : "none");
}

std::string blas_description() {
  if (auto* config = loaded_function<char*()>("openblas_get_config")) {
    auto* core = loaded_function<char*()>("openblas_get_corename");
    return fmt::format("{}, kernels for {}{}", config(),
                       core == nullptr ? "unknown" : core(),
                       is_blas_core_ours() ? ", chosen by this program" : "");
  }
  if (auto* version =
          loaded_function<const char*()>("bli_info_get_version_str"))
    return fmt::format("BLIS {}", version());
  return "unknown (slow if it is the reference BLAS: install OpenBLAS)";
}

}  // namespace

Result<c10::Device> parse_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::DeviceType::CPU);
  if (name == "cuda") return cuda_device(0);
  const std::string_view view = name;
  if (view.substr(0, kCudaPrefix.size()) == kCudaPrefix) {
    const std::string_view digits = view.substr(kCudaPrefix.size());
    int index = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc() && end == digits.data() + digits.size() &&
        index >= 0)
      return cuda_device(index);
  }
  return bad_device(fmt::format(
      "there is no device '{}': use 'cpu', 'cuda' or 'cuda:0', 'cuda:1', ...",
      name));
}

bool has_bfloat16(c10::Device gpu) {
  const c10::DeviceGuard on(gpu);
  return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
}

void set_compute_threads(int threads) {
  MDGAN_CHECK(threads > 0);
  at::set_num_threads(threads);
  // An official LibTorch brings an OpenMP runtime of its own; ours runs what
  // this program shares out (common/kernels/dense/dense_parts.h).
  omp_set_num_threads(threads);
  if (auto* set = loaded_function<void(int)>("openblas_set_num_threads"))
    set(threads);
}

std::vector<std::string> backend_versions() {
  return {fmt::format("LibTorch {}", TORCH_VERSION),
          fmt::format("CUDA: {}", cuda_description()),
          fmt::format("oneDNN: {}", at::globalContext().hasMKLDNN()
                                        ? "available"
                                        : "not available"),
          fmt::format("BLAS: {}", blas_description())};
}

}  // namespace mdgan
