#include "common/tensor/blas_core.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace mdgan {
namespace {

constexpr const char* kTheirs = "OPENBLAS_CORETYPE";
// The value that we set it to is here, too, to tell our choice from the user's.
constexpr const char* kOurs = "MDGAN_BLAS_CORE";

// OpenBLAS' names of x86-64 cores, by the widest instructions of their kernels.
constexpr std::array<std::string_view, 17> kNarrowCores{
    "Prescott",   "Banias",      "Atom",         "Core2",     "Penryn",
    "Dunnington", "Nehalem",     "Sandybridge",  "Athlon",    "Opteron",
    "Barcelona",  "Bobcat",      "Opteron_SSE3", "Bulldozer", "Piledriver",
    "Nano",       "Steamroller",
};
constexpr std::array<std::string_view, 3> kAvx2Cores{"Haswell", "Zen",
                                                     "Excavator"};

// The core of the OpenBLAS that is loaded; empty if it is another BLAS.
std::string loaded_core() {
  auto* core = reinterpret_cast<char* (*)()>(
      dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  const char* name = core == nullptr ? nullptr : core();
  return name == nullptr ? "" : name;
}

}  // namespace

ProcessorFeatures processor_features() {
  ProcessorFeatures found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  found.amd = __builtin_cpu_is("amd") != 0;
  found.avx2 =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  found.avx512 = __builtin_cpu_supports("avx512f") != 0 &&
                 __builtin_cpu_supports("avx512cd") != 0 &&
                 __builtin_cpu_supports("avx512bw") != 0 &&
                 __builtin_cpu_supports("avx512dq") != 0 &&
                 __builtin_cpu_supports("avx512vl") != 0;
  found.avx512_bf16 = found.avx512 && __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return found;
}

std::string better_blas_core(const ProcessorFeatures& processor,
                             std::string_view core) {
  const auto is_one_of = [core](const auto& names) {
    return std::ranges::find(names, core) != names.end();
  };
  const bool narrow = is_one_of(kNarrowCores);
  if (!narrow && !is_one_of(kAvx2Cores)) return "";
  if (processor.avx512_bf16) return "Cooperlake";
  if (processor.avx512) return "SkylakeX";
  if (!processor.avx2 || !narrow) return "";
  return processor.amd ? "Zen" : "Haswell";
}

void choose_blas_core(char** argv) {
  if (std::getenv(kTheirs) != nullptr) return;  // the user's choice, or ours
  const std::string core =
      better_blas_core(processor_features(), loaded_core());
  if (core.empty()) return;
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return;
  // If a loader that was named on the command line runs this program, the
  // loader alone would be run again.
  if (program.filename().string().starts_with("ld-")) return;
  if (::setenv(kTheirs, core.c_str(), 1) != 0 ||
      ::setenv(kOurs, core.c_str(), 1) != 0)
    return;
  ::execv(program.c_str(), argv);
  // The program cannot be run again; slow kernels are better than none.
  ::unsetenv(kTheirs);
  ::unsetenv(kOurs);
}

void fix_cublas_workspace() {
  // Eight buffers of 4 MiB: NVIDIA's documentation of cuBLAS, "Results
  // reproducibility".
  (void)::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
}

bool is_blas_core_ours() {
  const char* ours = std::getenv(kOurs);
  return ours != nullptr && loaded_core() == ours;
}

}  // namespace mdgan
