// LibTorch reports failure by exceptions that carry a stack trace. These end
// them where the arithmetic meets the rest of the program.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace mdgan {

// The exception's own words.
inline std::string words_of(const std::exception& exception) {
  if (const auto* error = dynamic_cast<const c10::Error*>(&exception))
    return error->what_without_backtrace();
  return exception.what();
}

// What `function` returns, a Result; an exception becomes its error,
// "ACTION: what the exception said".
template <typename Function>
auto guarded(std::string_view action, ExitCode code, Function function)
    -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& exception) {
    return Error{std::string(action) + ": " + words_of(exception), code};
  }
}

// What `function` returns; LibTorch's exceptions become std::runtime_error.
template <typename Function>
auto plain_exceptions(Function function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    throw std::runtime_error(error.what_without_backtrace());
  }
}

}  // namespace mdgan
