// An Error as an exception, for functions without a Result.
#pragma once

#include <exception>
#include <stdexcept>

#include "common/base/result.h"

namespace mdgan {

class ErrorException : public std::runtime_error {
 public:
  explicit ErrorException(const Error& error)
      : std::runtime_error(error.message), code_(error.code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// What an exception says, with its exit code: kBug, unless it carries another.
inline Error error_of(const std::exception& exception) {
  const auto* error = dynamic_cast<const ErrorException*>(&exception);
  return {exception.what(), error == nullptr ? ExitCode::kBug : error->code()};
}

}  // namespace mdgan
