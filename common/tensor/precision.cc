#include "common/tensor/precision.h"

#include <atomic>

#include "common/tensor/device.h"

namespace mdgan {
namespace {

std::atomic<Precision> chosen{Precision::kFloat32};

bool cpu_has_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;  // AMX comes with it
#else
  return false;
#endif
}

Error refused(const char* why) { return {why, ExitCode::kConfiguration}; }

}  // namespace

Result<void> set_precision(Precision precision, const std::string& device) {
  const bool on_cpu = device == "cpu";
  if (precision == Precision::kTf32 && on_cpu)
    return refused(
        "precision 'tf32' is for GPUs: use precision 'float32', or device "
        "'cuda'");
  if (precision == Precision::kBfloat16 && on_cpu && !cpu_has_bfloat16())
    return refused(
        "precision 'bf16' would only be slower here: this processor has "
        "neither AVX512-BF16 nor AMX; use precision 'float32'");
  chosen = precision;  // parse_device() tells LibTorch
  const auto where = parse_device(device);
  if (!where) return where.error();
  if (precision == Precision::kBfloat16 && !on_cpu && !has_bfloat16(*where))
    return refused(
        "precision 'bf16' is not for this GPU: it is older than compute "
        "capability 8.0 (Ampere), or LibTorch's cuDNN has no such "
        "convolutions; use precision 'float32'");
  return {};
}

Precision precision() { return chosen; }

}  // namespace mdgan
