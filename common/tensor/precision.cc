#include "common/tensor/precision.h"

#include <atomic>

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

}  // namespace

Result<void> set_precision(Precision precision, std::string_view device) {
  if (precision == Precision::kBfloat16 && device == "cpu" &&
      !cpu_has_bfloat16())
    return Error{
        "precision 'bf16' would only be slower here: this processor has "
        "neither AVX512-BF16 nor AMX; use precision 'float32'",
        ExitCode::kConfiguration};
  chosen = precision;
  return {};
}

Precision precision() { return chosen; }

}  // namespace mdgan
