#include "common/files/failpoint.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>

#include "common/base/result.h"

namespace mdgan {
namespace {

struct Fault {
  std::string point;
  std::string part;  // of the path
  int count = 1;
  bool lasting = false;
  bool hangs = false;
  int error = 0;  // 0: kill, unless it hangs
};

bool is_point(std::string_view text) {
  return std::ranges::any_of(kFailpointOperations, [&](std::string_view o) {
    return text == "before-" + std::string(o) ||
           text == "after-" + std::string(o);
  });
}

std::optional<Fault> chosen_fault() {
  const char* const text = std::getenv("MDGAN_FAILPOINT");  // NOLINT: once
  if (text == nullptr) return std::nullopt;
  Fault fault;
  std::string rest = text;
  const auto cut = [&rest](char mark) {
    const std::size_t at = rest.rfind(mark);
    if (at == rest.npos) return std::string();
    std::string tail = rest.substr(at + 1);
    rest.erase(at);
    return tail;
  };
  const std::string action = cut('=');
  std::string count = cut(':');
  fault.part = cut('@');
  fault.point = rest;
  fault.lasting = count.ends_with('+');
  if (fault.lasting) count.pop_back();
  if (!count.empty())
    std::from_chars(count.data(), count.data() + count.size(), fault.count);
  if (action == "ENOSPC") fault.error = ENOSPC;
  if (action == "EIO") fault.error = EIO;
  fault.hangs = action == "hang";
  // A test that asks for what does not exist would test nothing.
  MDGAN_CHECK(
      is_point(fault.point) && fault.count > 0 &&
      (action.empty() || action == "kill" || fault.hangs || fault.error != 0));
  return fault;
}

}  // namespace

bool failpoint(std::string_view moment_operation,
               const std::filesystem::path& path) {
  static const std::optional<Fault> fault = chosen_fault();
  if (!fault || fault->point != moment_operation ||
      path.native().find(fault->part) == std::string::npos)
    return false;
  static std::atomic<int> passed = 0;
  const int times = ++passed;
  if (times < fault->count || (times > fault->count && !fault->lasting))
    return false;
  while (fault->hangs) ::pause();
  if (fault->error == 0) ::kill(::getpid(), SIGKILL);
  errno = fault->error;
  return true;
}

}  // namespace mdgan
