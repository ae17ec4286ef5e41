#include "common/tensor/guard.h"

#include <algorithm>
#include <array>

namespace mdgan {
namespace {

// LibTorch's own allocator throws a type of its own. What else asks for the
// memory of a device fails with these words alone.
constexpr std::array<std::string_view, 3> kFullMemory{
    "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED"};

bool is_full_memory(const std::exception& exception,
                    const std::string& message) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&exception) != nullptr ||
         std::ranges::any_of(kFullMemory, [&](std::string_view words) {
           return message.find(words) != std::string::npos;
         });
}

// LibTorch's first line, without its advice on settings of its own.
std::string first_words(const std::string& message) {
  return message.substr(
      0, std::min(message.find('\n'), message.find(" If reserved memory")));
}

}  // namespace

Error explained(const std::exception& exception, ExitCode code) {
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  const std::string message =
      error == nullptr ? exception.what() : error->what_without_backtrace();
  if (!is_full_memory(exception, message)) return {message, code};
  return {"the memory of the GPU is full (" + first_words(message) +
              "): lower 'batch' or 'k', let fewer peers share the GPU "
              "('local-peers', 'sessions'), take a smaller model, or another "
              "'device'",
          ExitCode::kConfiguration};
}

}  // namespace mdgan
