// LibTorch reports failures by exceptions that carry a stack trace. These
// functions turn them into errors and plain exceptions, without the trace, for
// the rest of the program.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

// The exception's message, without a stack trace.
inline std::string words_of(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const c10::Error*>(&exception))
    return error->what_without_backtrace();
  return exception.what();
}

// Returns the Result of `function`; an exception becomes an error with the
// message "ACTION: MESSAGE" and this exit code.
template <typename Function>
auto guarded(std::string_view action, ExitCode code, Function function)
    -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    return Error{std::string(action) + ": " + words_of(exception), code};
  }
}

// Returns the result of `function`; LibTorch's exceptions become
// std::runtime_error.
template <typename Function>
auto plain_exceptions(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    throw std::runtime_error(error.what_without_backtrace());
  }
}

}  // namespace mdgan
