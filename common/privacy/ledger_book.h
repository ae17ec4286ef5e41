// The ledgers of the peers of one process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/data/dataset.h"
#include "common/privacy/ledger_file.h"
#include "common/privacy/privacy_spec.h"

namespace mdgan {

// Threads: any.
class LedgerBook {
 public:
  // `shards`, which have no image in common, are parts of `data`. The ledgers
  // are in `folder`, made when needed.
  LedgerBook(const PrivacySpec& spec, std::filesystem::path folder,
             const Dataset& data,
             const std::vector<std::vector<std::uint32_t>>& shards);

  const PrivacySpec& spec() const { return spec_; }

  // The ledger of one of the shards. Fails as LedgerFile::open().
  Result<std::unique_ptr<LedgerFile>> open(
      const std::vector<std::uint32_t>& shard, double rate) const;

 private:
  std::vector<ImageDigest> images_of(
      const std::vector<std::uint32_t>& shard) const;

  PrivacySpec spec_;
  std::filesystem::path folder_;
  std::vector<ImageDigest> images_;  // of the data
  std::vector<std::string> fingerprints_;
};

}  // namespace mdgan
