#include "common/tensor/guard.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>

namespace mdgan {
namespace {

// LibTorch's own allocator throws a type of its own. What else asks for the
// memory of a device fails with these words alone.
constexpr std::array<std::string_view, 4> kFullMemory{
    "CUDA error: out of memory", "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"};

// How the message of a TorchScript program that failed begins. Its traceback
// follows, and the reason in the last line.
constexpr std::string_view kScriptFailed =
    "The following operation failed in the TorchScript interpreter";

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

std::string last_line(std::string_view message) {
  const auto end = message.find_last_not_of("\n ");
  if (end == message.npos) return "";
  message = message.substr(0, end + 1);
  return std::string(message.substr(message.rfind('\n') + 1));
}

}  // namespace

Error explained(const std::exception& exception, ExitCode code) {
  if (dynamic_cast<const ErrorException*>(&exception) != nullptr)
    return error_of(exception);
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  const std::string message =
      error == nullptr ? exception.what() : error->what_without_backtrace();
  const bool is_script = message.starts_with(kScriptFailed);
  const std::string reason = is_script ? last_line(message) : message;
  if (!is_full_memory(exception, message)) {
    if (!is_script) return {message, code};
    return {"the model of the file that you gave failed: " + reason,
            ExitCode::kConfiguration};
  }
  return {"the memory of the GPU is full (" + first_words(reason) +
              "): lower 'batch' or 'k', let fewer peers share the GPU "
              "('local-peers', 'sessions'), take a smaller model, or another "
              "'device'",
          ExitCode::kConfiguration};
}

}  // namespace mdgan
