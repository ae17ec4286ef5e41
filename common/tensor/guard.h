// LibTorch reports failures by exceptions that carry a stack trace. These
// functions turn them into errors and plain exceptions, without the trace, for
// the rest of the program.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "common/base/error_exception.h"
#include "common/base/result.h"

namespace mdgan {

// How explained() begins where a user's TorchScript program failed.
inline constexpr std::string_view kOwnModelFailed =
    "the program of the file that you gave failed: ";

// The exception's message, without a stack trace, with the exit code that it
// carries, or else with this one. Where the memory of a GPU is full, the
// message says which options to lower; where a user's TorchScript program
// failed, it says why. Both have kConfiguration: no bug of ours.
Error explained(const std::exception& exception, ExitCode code);

// Returns the Result of `function`; an exception becomes an error with the
// message "ACTION: MESSAGE" and the code of explained().
template <typename Function>
auto guarded(std::string_view action, ExitCode code, Function function)
    -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    const Error error = explained(exception, code);
    return Error{std::string(action) + ": " + error.message, error.code};
  }
}

// Returns the result of `function`; exceptions become ErrorExceptions with what
// explained() says.
template <typename Function>
auto plain_exceptions(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    throw ErrorException(explained(exception, ExitCode::kBug));
  }
}

}  // namespace mdgan
