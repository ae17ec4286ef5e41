#include "common/privacy/ledger_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/files/atomic_write.h"
#include "common/files/hash.h"
#include "common/files/json_depth.h"
#include "common/files/read_file.h"

namespace mdgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kSchema = 1;
constexpr std::size_t kDigits = 2 * sizeof(ImageDigest);  // of an image

struct Contents {
  std::vector<ImageDigest> images;  // ascending
  std::vector<PrivacyCharge> charges;
};

std::string to_text(const std::vector<ImageDigest>& images,
                    const std::vector<PrivacyCharge>& charges) {
  std::string digits;
  digits.reserve(images.size() * kDigits);
  for (const ImageDigest image : images)
    digits += fmt::format("{:016x}", image);
  Json list = Json::array();
  for (const PrivacyCharge& charge : charges)
    list.push_back({{"rate", charge.rate},
                    {"noise", charge.noise},
                    {"steps", charge.steps}});
  return Json{{"schema", kSchema}, {"charges", list}, {"images", digits}}.dump(
             1) +
         '\n';
}

std::optional<PrivacyCharge> charge_of(const Json& json) {
  if (!json.is_object() || !json.contains("rate") || !json.contains("noise") ||
      !json.contains("steps") || !json["rate"].is_number() ||
      !json["noise"].is_number() || !json["steps"].is_number_unsigned())
    return std::nullopt;
  const PrivacyCharge charge{json["rate"].get<double>(),
                             json["noise"].get<double>(),
                             json["steps"].get<std::uint64_t>()};
  if (!is_countable(charge)) return std::nullopt;
  return charge;
}

std::optional<Contents> contents_of(const Json& json) {
  if (!json.is_object() || !json.contains("schema") ||
      json["schema"] != kSchema || !json.contains("charges") ||
      !json["charges"].is_array() || !json.contains("images") ||
      !json["images"].is_string())
    return std::nullopt;
  Contents contents;
  for (const Json& one : json["charges"]) {
    const auto charge = charge_of(one);
    if (!charge) return std::nullopt;
    contents.charges.push_back(*charge);
  }
  const std::string_view digits = json["images"].get_ref<const std::string&>();
  if (digits.size() % kDigits != 0) return std::nullopt;
  for (std::size_t at = 0; at < digits.size(); at += kDigits) {
    std::array<std::byte, sizeof(ImageDigest)> bytes{};
    if (!from_hex(digits.substr(at, kDigits), bytes)) return std::nullopt;
    ImageDigest image = 0;
    for (const std::byte byte : bytes)
      image = (image << 8) | std::to_integer<ImageDigest>(byte);
    contents.images.push_back(image);
  }
  return contents;
}

Result<Contents> read_ledger(const fs::path& file) {
  const auto bytes = read_file(file, ExitCode::kCheckpoint);
  if (!bytes) return bytes.error();
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()),
                              bytes->size());
  std::optional<Contents> contents;
  if (nests_at_most(text, kNestingOfRunFiles))
    contents = contents_of(Json::parse(text, nullptr, false));
  if (contents) return std::move(*contents);
  return Error{fmt::format("the privacy ledger {} is damaged, or of another "
                           "version of this program: what its images have "
                           "spent is not known. Put back a whole one",
                           file.string()),
               ExitCode::kCheckpoint};
}

bool have_one_in_common(const std::vector<ImageDigest>& a,
                        const std::vector<ImageDigest>& b) {
  for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
    if (*x == *y) return true;
    *x < *y ? ++x : ++y;
  }
  return false;
}

// `kind`: LOCK_EX to charge it, LOCK_SH to see that nobody does.
Result<FileDescriptor> take_lock(const fs::path& ledger, int kind) {
  fs::path path = ledger;
  path.replace_extension(".lock");
  FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!lock)
    return Error{fmt::format("cannot open {}: {}", path.string(), errno_text()),
                 ExitCode::kCheckpoint};
  if (::flock(lock.get(), kind | LOCK_NB) == 0) return lock;
  return Error{fmt::format("another process spends the privacy budget of the "
                           "same images, in {}: end it first",
                           ledger.string()),
               ExitCode::kConfiguration};
}

bool is_ledger(const fs::path& file) {
  std::array<std::byte, 16> fingerprint{};
  const std::string stem = file.stem().string();
  return file.extension() == ".json" && stem.size() == 2 * fingerprint.size() &&
         from_hex(stem, fingerprint);
}

// What other ledgers with some of the images have been charged.
Result<std::vector<PrivacyCharge>> charges_beside(
    const fs::path& own, const std::vector<ImageDigest>& images,
    const std::vector<std::string>& ignored) {
  std::vector<PrivacyCharge> charges;
  std::error_code failure;
  for (fs::directory_iterator it(own.parent_path(), failure), end;
       !failure && it != end; it.increment(failure)) {
    const fs::path& file = it->path();
    if (!is_ledger(file) || file == own ||
        std::ranges::find(ignored, file.stem().string()) != ignored.end())
      continue;
    const auto other = read_ledger(file);
    if (!other) return other.error();
    if (!have_one_in_common(images, other->images)) continue;
    // Whoever charges it now would not know of this process. Other sessions
    // that begin like this one may look at it, too.
    if (const auto unused = take_lock(file, LOCK_SH); !unused)
      return unused.error();
    const auto newest = read_ledger(file);
    if (!newest) return newest.error();
    charges.insert(charges.end(), newest->charges.begin(),
                   newest->charges.end());
  }
  if (failure)
    return Error{fmt::format("cannot read the folder {}: {}",
                             own.parent_path().string(), failure.message()),
                 ExitCode::kCheckpoint};
  return charges;
}

}  // namespace

std::string fingerprint_of(std::vector<ImageDigest> images) {
  std::ranges::sort(images);
  const Sha256 hash = sha256(std::as_bytes(std::span(images)));
  return to_hex(std::span(hash).first(16));
}

Result<std::unique_ptr<LedgerFile>> LedgerFile::open(
    const fs::path& folder, std::vector<ImageDigest> images,
    const std::vector<std::string>& beside, const PrivacySpec& spec,
    double rate) {
  if (auto made = make_directories(folder); !made) return made.error();
  std::ranges::sort(images);
  const fs::path file = folder / (fingerprint_of(images) + ".json");
  auto lock = take_lock(file, LOCK_EX);
  if (!lock) return lock.error();
  Contents own;
  std::error_code failure;
  const bool is_known = fs::exists(file, failure);
  if (failure)
    return Error{fmt::format("cannot look for the privacy ledger {}: {}",
                             file.string(), failure.message()),
                 ExitCode::kCheckpoint};
  if (is_known) {
    auto read = read_ledger(file);
    if (!read) return read.error();
    own = std::move(*read);
  } else if (auto begun = atomic_write(file, to_text(images, {})); !begun) {
    // From now on whoever has images in common with it finds it locked.
    return begun.error();
  }
  const auto inherited = charges_beside(file, images, beside);
  if (!inherited) return inherited.error();
  return std::unique_ptr<LedgerFile>(new LedgerFile(
      file, std::move(*lock), std::move(images),
      {spec.epsilon, spec.delta, own.charges, *inherited}, spec, rate));
}

LedgerFile::LedgerFile(fs::path file, FileDescriptor lock,
                       std::vector<ImageDigest> images, PrivacyLedger ledger,
                       const PrivacySpec& spec, double rate)
    : file_(std::move(file)),
      lock_(std::move(lock)),
      images_(std::move(images)),
      ledger_(std::move(ledger)),
      spec_(spec),
      rate_(rate) {}

LedgerFile::~LedgerFile() {
  if (ahead_ == 0) return;
  try {
    ledger_.refund({rate_, spec_.noise, ahead_});
    (void)write().ok();  // else the ledger says too much, which is safe
  } catch (const std::exception&) {  // NOLINT: as above
  }
}

bool LedgerFile::spend() {
  if (ahead_ == 0) {
    const std::uint64_t steps =
        ledger_.affordable(rate_, spec_.noise, kStepsAhead);
    if (steps == 0) {
      refusal_ = fmt::format(
          "its privacy budget is spent: one more step would exceed epsilon "
          "{:g} at delta {:g}{}",
          spec_.epsilon, spec_.delta,
          ledger_.epsilon() > 0
              ? ""
              : "; no step fits in it, so give a larger --dp-noise or "
                "--dp-epsilon");
      return false;
    }
    ledger_.charge({rate_, spec_.noise, steps});
    if (const auto written = write(); !written) {
      ledger_.refund({rate_, spec_.noise, steps});
      refusal_ =
          "its privacy ledger cannot be written: " + written.error().message;
      return false;
    }
    ahead_ = steps;
  }
  --ahead_;
  refusal_.clear();
  return true;
}

PrivacySpent LedgerFile::spent() const {
  return {ledger_.epsilon(), spec_.epsilon, spec_.delta,
          ledger_.own_steps() - ahead_, refusal_};
}

Result<void> LedgerFile::write() const {
  return atomic_write(file_, to_text(images_, ledger_.own()));
}

}  // namespace mdgan
