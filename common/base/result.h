// Result<T>: a value, or an Error that a user can read. For every failure that
// a peer, a file or a user can cause; a broken invariant of our own is
// MDGAN_CHECK's.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace mdgan {

// Exit codes of both programs. Scripts rely on them: never renumber.
enum class ExitCode : int {
  kOk = 0,
  kBug = 1,
  kUsage = 2,
  kConfiguration = 3,  // configuration, version or model mismatch
  kAuthentication = 4,
  kUnreachable = 5,
  kData = 6,
  kCheckpoint = 7,
  kBelowQuorum = 8,
  kDiverged = 9,
  kStopped = 10,  // stopped by SIGTERM or SIGHUP, and saved: start it again
};

// What happened, to which file, peer or key, and what to do next, in one
// sentence for the user, with the exit code the program ends with if nobody
// recovers.
struct Error {
  std::string message;
  ExitCode code = ExitCode::kBug;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error)                            // NOLINT: implicit by design
      : state_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& operator*() { return std::get<T>(state_); }
  const T& operator*() const { return std::get<T>(state_); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }

  // REQUIRES: !ok().
  const Error& error() const { return std::get<Error>(state_); }

 private:
  std::variant<T, Error> state_;
};

// The result of what has no value to give: `return {};` is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error)  // NOLINT: implicit by design
      : error_(std::move(error)), ok_(false) {}
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

// For what only our own bug can break: prints the place and aborts, in release
// too. Never use it on anything that came from a socket or a file.
#define MDGAN_CHECK(condition)                                        \
  do {                                                                \
    if (!(condition)) {                                               \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, \
                   __LINE__, #condition);                             \
      std::abort();                                                   \
    }                                                                 \
  } while (false)

}  // namespace mdgan
