// What every test of a damaged data set asks for.
#pragma once

#include <filesystem>
#include <string>

#include "common/data/dataset.h"
#include "tests/support/catch.h"

namespace mdgan::test {

// Loading fails with kData, and the message names `part`.
inline void check_fails(const std::filesystem::path& directory,
                        const std::string& part) {
  const auto data = load_dataset(directory);
  REQUIRE_FALSE(data);
  INFO(data.error().message);
  CHECK(data.error().code == ExitCode::kData);
  CHECK(data.error().message.find(part) != std::string::npos);
}

}  // namespace mdgan::test
