// A shard's ledger on the disk: FOLDER/FINGERPRINT.json, where the fingerprint
// is that of the images, whatever the peer's name and the run are.
//
// A step is charged, and that is synced, before it is taken. To wait for the
// disk less often some steps are charged ahead; those that were not taken are
// given back at the end. A process that is killed gives nothing back: the
// ledger then says more than was spent, never less.
//
// Other ledgers in the folder with images in common count, too: what was
// charged to them was charged to those images. So a folder of images that has
// grown begins no new budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/files/file_descriptor.h"
#include "common/privacy/privacy_ledger.h"
#include "common/privacy/privacy_spec.h"

namespace mdgan {

// How many steps are charged ahead at most.
inline constexpr std::uint64_t kStepsAhead = 32;

// An image as ledgers know it: a hash of its pixels.
using ImageDigest = std::uint64_t;

// Of a shard; the images' order does not matter.
std::string fingerprint_of(std::vector<ImageDigest> images);

// Threads: one at a time.
class LedgerFile {
 public:
  // Locks the ledger as long as this lives. Each step will have the sampling
  // rate `rate`. Ledgers of the fingerprints `beside` do not count: those of
  // other shards of one cut, in which an image is another one though it may
  // look the same.
  //
  // Fails with kCheckpoint when a ledger is damaged or the folder cannot be
  // written, and with kConfiguration when another process uses the ledger, or
  // one that has images in common with it.
  static Result<std::unique_ptr<LedgerFile>> open(
      const std::filesystem::path& folder, std::vector<ImageDigest> images,
      const std::vector<std::string>& beside, const PrivacySpec& spec,
      double rate);
  ~LedgerFile();
  LedgerFile(const LedgerFile&) = delete;
  LedgerFile& operator=(const LedgerFile&) = delete;

  // Charges one step. False: it must not be taken, for the budget does not
  // allow it or it could not be written; spent() then says why.
  bool spend();

  PrivacySpent spent() const;

 private:
  LedgerFile(std::filesystem::path file, FileDescriptor lock,
             std::vector<ImageDigest> images, PrivacyLedger ledger,
             const PrivacySpec& spec, double rate);
  Result<void> write() const;

  const std::filesystem::path file_;
  const FileDescriptor lock_;
  const std::vector<ImageDigest> images_;
  PrivacyLedger ledger_;
  const PrivacySpec spec_;
  const double rate_;
  std::uint64_t ahead_ = 0;  // charged, not taken
  std::string refusal_;
};

}  // namespace mdgan
