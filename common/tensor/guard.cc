#include "common/tensor/guard.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <span>

namespace mdgan {
namespace {

// LibTorch's own allocator throws a type of its own. What else asks for the
// memory of a device fails with these words alone.
constexpr std::array<std::string_view, 4> kFullMemory{
    "CUDA error: out of memory", "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"};

// How the message of a TorchScript program that failed begins. Its traceback
// follows, which quotes the source and marks a place, and then the reason.
constexpr std::string_view kScriptFailed =
    "The following operation failed in the TorchScript interpreter";
constexpr std::string_view kPlace = "<--- HERE";
// Reasons that are the machine's.
constexpr std::array<std::string_view, 2> kMachineFailed{
    "CUDA error", "can't allocate memory"};

bool has_one_of(const std::string& text,
                std::span<const std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) {
    return text.find(word) != std::string::npos;
  });
}

bool is_full_memory(const std::exception& exception,
                    const std::string& message) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&exception) != nullptr ||
         has_one_of(message, kFullMemory);
}

// LibTorch's first line, without its advice on settings of its own.
std::string first_words(const std::string& message) {
  return message.substr(
      0, std::min(message.find('\n'), message.find(" If reserved memory")));
}

// Lines of the source are indented, the reason is not.
std::string reason_of_script(const std::string& message) {
  auto at = message.rfind(kPlace);
  while (at != message.npos) {
    at = message.find('\n', at);
    if (at == message.npos || ++at == message.size()) break;
    if (message[at] != ' ' && message[at] != '\n')
      return first_words(message.substr(at));
  }
  return message;
}

}  // namespace

Error explained(const std::exception& exception, ExitCode code) {
  if (dynamic_cast<const ErrorException*>(&exception) != nullptr)
    return error_of(exception);
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  const std::string message =
      error == nullptr ? exception.what() : error->what_without_backtrace();
  const bool is_script = message.starts_with(kScriptFailed);
  const std::string reason = is_script ? reason_of_script(message) : message;
  if (!is_full_memory(exception, message)) {
    if (!is_script || has_one_of(reason, kMachineFailed)) return {reason, code};
    return {std::string(kOwnModelFailed) + reason, ExitCode::kConfiguration};
  }
  return {"the memory of the GPU is full (" + first_words(reason) +
              "): lower 'batch' or 'k', let fewer peers share the GPU "
              "('local-peers', 'sessions'), take a smaller model, or another "
              "'device'",
          ExitCode::kConfiguration};
}

}  // namespace mdgan
