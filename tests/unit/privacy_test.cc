// The accountant, the ledger and the secret random numbers of differential
// privacy.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "common/privacy/ledger_book.h"
#include "common/privacy/ledger_file.h"
#include "common/privacy/privacy_ledger.h"
#include "common/privacy/private_run.h"
#include "common/privacy/rdp_accountant.h"
#include "common/privacy/secret_random.h"
#include "tests/support/catch.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_file.h"

namespace mdgan::test {
namespace {

namespace fs = std::filesystem;

double epsilon_after(double rate, double noise, double steps,
                     double delta = 1e-5) {
  RdpCurve curve = rdp_of_step(rate, noise);
  for (double& x : curve) x *= steps;
  return epsilon_of(curve, delta);
}

PrivacySpec budget(double epsilon) {
  PrivacySpec spec;
  spec.mode = DpMode::kDiscriminator;
  spec.epsilon = epsilon;
  return spec;
}

constexpr double kRate = 0.01;

std::vector<ImageDigest> images(ImageDigest first, std::size_t count) {
  std::vector<ImageDigest> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

std::unique_ptr<LedgerFile> opened(
    const fs::path& folder, double epsilon,
    const std::vector<ImageDigest>& of = images(1, 20),
    const std::vector<std::string>& beside = {}) {
  auto made = LedgerFile::open(folder, of, beside, budget(epsilon), kRate);
  REQUIRE(made);
  return std::move(*made);
}

std::uint64_t spend_all(LedgerFile& ledger, std::uint64_t most = 1U << 20) {
  std::uint64_t steps = 0;
  while (steps < most && ledger.spend()) ++steps;
  return steps;
}

fs::path only_ledger_in(const fs::path& folder) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".json") {
      REQUIRE(found.empty());
      found = entry.path();
    }
  return found;
}

TEST_CASE("the accountant gives the published epsilons", "[privacy]") {
  CHECK(epsilon_after(128.0 / 60000, 1.0, 450'000) ==
        Approx(10.11).margin(0.005));
  CHECK(epsilon_after(0.01, 1.0, 20'000) == Approx(10.09).margin(0.005));
  CHECK(epsilon_after(0.01, 1.5, 20'000) == Approx(5.11).margin(0.005));
  CHECK(epsilon_after(256.0 / 60000, 1.1, 14'063) ==
        Approx(2.60).margin(0.005));
}

TEST_CASE("epsilon grows with steps and rate, and falls with noise and delta",
          "[privacy]") {
  const double some = epsilon_after(0.01, 1.0, 1000);
  CHECK(some > 0);
  CHECK(epsilon_after(0.01, 1.0, 1001) > some);
  CHECK(epsilon_after(0.011, 1.0, 1000) > some);
  CHECK(epsilon_after(0.01, 1.01, 1000) < some);
  CHECK(epsilon_after(0.01, 1.0, 1000, 1e-6) > some);
  // Without sampling it is the Gaussian mechanism.
  const auto orders = rdp_orders();
  const RdpCurve whole = rdp_of_step(1, 2);
  for (std::size_t i = 0; i < orders.size(); ++i) {
    CHECK(whole[i] == Approx(orders[i] / 8.0));
    CHECK(rdp_of_step(0.9999999, 2)[i] == Approx(whole[i]).epsilon(1e-4));
  }
}

TEST_CASE("the ledger allows exactly the steps that the budget does",
          "[privacy]") {
  const TemporaryDirectory folder;
  const auto ledger = opened(folder.path(), 2);
  const std::uint64_t steps = spend_all(*ledger);
  CHECK(epsilon_after(kRate, 1, static_cast<double>(steps)) <= 2);
  CHECK(epsilon_after(kRate, 1, static_cast<double>(steps + 1)) > 2);
  CHECK(ledger->spent().steps == steps);
  CHECK(ledger->spent().epsilon <= 2);
  CHECK(ledger->spent().refusal.find("budget is spent") != std::string::npos);
  CHECK_FALSE(ledger->spend());
}

TEST_CASE("a budget in which no step fits says what would help", "[privacy]") {
  const TemporaryDirectory folder;
  const auto ledger = opened(folder.path(), 0.01);
  CHECK_FALSE(ledger->spend());
  CHECK(ledger->spent().steps == 0);
  CHECK(ledger->spent().refusal.find("--dp-noise") != std::string::npos);
}

TEST_CASE("a ledger goes on where an earlier process left it", "[privacy]") {
  const TemporaryDirectory folder;
  const std::uint64_t all = spend_all(*opened(folder.path() / "whole", 2));
  std::uint64_t parts = 0;
  for (int run = 0; run < 3; ++run) {
    // The name, the run and the order of the images are other ones.
    std::vector<ImageDigest> order = images(1, 20);
    std::rotate(order.begin(), order.begin() + run, order.end());
    const auto ledger = opened(folder.path() / "parts", 2, order);
    CHECK(ledger->spent().steps == parts);
    parts += spend_all(*ledger, 45);
  }
  const auto last = opened(folder.path() / "parts", 2);
  CHECK(parts + spend_all(*last) == all);
}

TEST_CASE("charges of other kinds add up", "[privacy]") {
  PrivacyLedger ledger(10, 1e-5, {{0.01, 1.0, 500}}, {{0.02, 1.5, 300}});
  RdpCurve sum = rdp_of_step(0.01, 1.0);
  const RdpCurve other = rdp_of_step(0.02, 1.5);
  for (std::size_t i = 0; i < sum.size(); ++i)
    sum[i] = 500 * sum[i] + 300 * other[i];
  CHECK(ledger.epsilon() == Approx(epsilon_of(sum, 1e-5)));
  ledger.charge({0.01, 1.0, 7});
  ledger.refund({0.01, 1.0, 7});
  CHECK(ledger.own() == std::vector<PrivacyCharge>{{0.01, 1.0, 500}});
  CHECK(PrivacyLedger(10, 1e-5, {}, {}).epsilon() == 0);
}

TEST_CASE("a shard with more images inherits what the old one spent",
          "[privacy]") {
  const TemporaryDirectory folder;
  spend_all(*opened(folder.path(), 2), 100);
  const double before = opened(folder.path(), 2)->spent().epsilon;
  CHECK(before > 0);
  CHECK(opened(folder.path(), 2, images(20, 30))->spent().epsilon ==
        Approx(before));
  CHECK(opened(folder.path(), 2, images(21, 30))->spent().epsilon == 0);
  // Shards of one cut have no image in common, though some may look the same.
  CHECK(
      opened(folder.path(), 2, images(20, 30), {fingerprint_of(images(1, 20))})
          ->spent()
          .epsilon == 0);
}

TEST_CASE("two processes cannot spend one budget", "[privacy]") {
  const TemporaryDirectory folder;
  // Nothing has been spent yet: a peer waits for its run to begin.
  const auto first = opened(folder.path(), 2);
  for (const auto& others : {images(1, 20), images(20, 5)}) {
    const auto second =
        LedgerFile::open(folder.path(), others, {}, budget(2), kRate);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ExitCode::kConfiguration);
  }
  CHECK(opened(folder.path(), 2, images(21, 5)) != nullptr);
}

TEST_CASE("a damaged ledger is no empty one", "[privacy]") {
  const TemporaryDirectory folder;
  spend_all(*opened(folder.path(), 2), 10);
  const fs::path file = only_ledger_in(folder.path());
  const std::string whole = read_text(file);
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("{}"),
        std::string(R"({"schema":2,"charges":[],"images":""})"),
        std::string(R"({"schema":1,"charges":[{"rate":2,"noise":1,"steps":1}],)"
                    R"("images":""})"),
        std::string(R"({"schema":1,"charges":[],"images":"00g"})")}) {
    write_text(file, text);
    for (const auto& of : {images(1, 20), images(20, 5)}) {
      const auto ledger =
          LedgerFile::open(folder.path(), of, {}, budget(2), kRate);
      REQUIRE_FALSE(ledger);
      CHECK(ledger.error().code == ExitCode::kCheckpoint);
      CHECK(ledger.error().message.find(file.string()) != std::string::npos);
    }
  }
  write_text(file, whole);
  CHECK(opened(folder.path(), 2)->spent().steps == 10);
}

// A step is a byte that is appended to a file.
TEST_CASE("spends steps until it is killed", "[.]") {
  const fs::path folder = std::getenv("MDGAN_LEDGER_FOLDER");  // NOLINT
  {
    const auto ledger = opened(folder / "ledger", 2);
    for (int i = 0; i < 70 && ledger->spend(); ++i) {
      std::FILE* const taken = std::fopen((folder / "taken").c_str(), "a");
      std::fputc('.', taken);
      std::fclose(taken);
    }
  }  // gives back what was charged ahead
}

TEST_CASE("a process that is killed has charged what it took", "[privacy]") {
  int killed = 0;
  for (const std::string point :
       {"before-create", "after-create", "before-write", "after-write",
        "before-sync", "after-sync", "before-rename", "after-rename"})
    for (int count = 1; count <= 5; ++count) {
      CAPTURE(point, count);
      const TemporaryDirectory folder;
      ::setenv("MDGAN_LEDGER_FOLDER", folder.path().c_str(), 1);
      ::setenv("MDGAN_FAILPOINT",
               (point + "@ledger:" + std::to_string(count)).c_str(), 1);
      ChildProcess child({"/proc/self/exe", "spends steps until it is killed"},
                         folder.path() / "output");
      const auto code = child.wait();
      ::unsetenv("MDGAN_FAILPOINT");
      ::unsetenv("MDGAN_LEDGER_FOLDER");
      REQUIRE(code);
      killed += *code == 128 + SIGKILL ? 1 : 0;
      const std::uint64_t taken =
          fs::exists(folder / "taken") ? read_text(folder / "taken").size() : 0;
      const std::uint64_t charged =
          opened(folder.path() / "ledger", 2)->spent().steps;
      CHECK(charged >= taken);
      CHECK(charged <= taken + kStepsAhead);
      if (*code == 0) CHECK(charged == 70);
    }
  CHECK(killed > 20);
}

TEST_CASE("a ledger that cannot be written refuses the step", "[privacy]") {
  const TemporaryDirectory folder;
  const auto ledger = opened(folder.path() / "ledger", 2);
  CHECK(spend_all(*ledger, 32) == 32);
  fs::rename(folder.path() / "ledger", folder.path() / "away");
  CHECK_FALSE(ledger->spend());
  CHECK(ledger->spent().refusal.find("cannot be written") != std::string::npos);
  CHECK(ledger->spent().steps == 32);
  fs::rename(folder.path() / "away", folder.path() / "ledger");
  CHECK(ledger->spend());
  CHECK(ledger->spent().refusal.empty());
}

TEST_CASE("a ledger book tells the shards of a data set apart", "[privacy]") {
  Dataset data;
  data.shape = {1, 2, 2, 0};
  for (std::uint8_t i = 0; i < 80; ++i)  // images 0 and 10 look the same
    data.pixels.push_back(i < 40 || i >= 44 ? i : std::uint8_t(i - 40));
  std::vector<std::vector<std::uint32_t>> shards(2);
  for (std::uint32_t i = 0; i < 20; ++i) shards[i / 10].push_back(i);
  const TemporaryDirectory folder;
  const LedgerBook book(budget(2), folder.path(), data, shards);
  const auto first = book.open(shards[0], kRate);
  REQUIRE(first);
  CHECK((*first)->spend());
  const auto second = book.open(shards[1], kRate);
  REQUIRE(second);
  CHECK((*second)->spent().steps == 0);
}

TEST_CASE("secret random numbers are normal, and differ", "[privacy]") {
  SecretRandom random(SecretRandom::Key{});
  std::vector<float> values(200'001);
  random.fill_normal(values);
  double sum = 0;
  double squares = 0;
  double far = 0;
  for (const float x : values) {
    sum += x;
    squares += double{x} * x;
    far += std::abs(x) > 1.959964 ? 1 : 0;
  }
  const auto n = static_cast<double>(values.size());
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(squares / n == Approx(1).margin(5 * std::sqrt(2 / n)));
  CHECK(far / n == Approx(0.05).margin(5 * std::sqrt(0.05 * 0.95 / n)));
  CHECK(SecretRandom().next64() != SecretRandom().next64());
}

TEST_CASE("Poisson sampling takes each image by itself", "[privacy]") {
  SecretRandom random(SecretRandom::Key{});
  std::vector<int> taken(50);
  double sum = 0;
  double squares = 0;
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto in = random.sample(50, 0.1);
    for (const std::uint32_t image : in) ++taken[image];
    sum += static_cast<double>(in.size());
    squares += static_cast<double>(in.size() * in.size());
  }
  for (const int times : taken)
    CHECK(times == Approx(0.1 * kDraws).margin(5 * std::sqrt(0.09 * kDraws)));
  // The size of a sample varies: 50 * 0.1 * 0.9, which a fixed size has not.
  const double mean = sum / kDraws;
  CHECK(squares / kDraws - mean * mean == Approx(4.5).margin(0.4));
  CHECK(random.sample(50, 0).empty());
  CHECK(random.sample(50, 1).size() == 50);
}

TEST_CASE("a run that would bypass the noise is refused", "[privacy]") {
  const PrivacySpec privacy = budget(10);
  const auto refusal = [&](const TrainingSpec& spec, std::size_t n = 500) {
    const auto fits = check_private(spec, privacy, n);
    if (!fits) CHECK(fits.error().code == ExitCode::kConfiguration);
    return fits ? std::string() : fits.error().message;
  };
  CHECK(refusal({}).empty());
  TrainingSpec spec;
  spec.r2_gamma = 1;
  spec.augment = Augment::kDiffAugment;
  spec.loss = Loss::kHinge;
  CHECK(refusal(spec).empty());
  spec.r1_gamma = 0.1;
  CHECK(refusal(spec).find("r1") != std::string::npos);
  spec = {};
  spec.loss = Loss::kWassersteinGp;
  CHECK(refusal(spec).find("wgan-gp") != std::string::npos);
  spec.loss = Loss::kRelativistic;
  CHECK(refusal(spec).find("relativistic") != std::string::npos);
  spec = {};
  spec.augment = Augment::kAda;
  CHECK(refusal(spec).find("changes images by ada") != std::string::npos);
  for (const Algorithm other : {Algorithm::kFlGan, Algorithm::kDataParallel}) {
    spec = {};
    spec.algorithm = other;
    CHECK(refusal(spec).find("md-gan") != std::string::npos);
  }
  CHECK(refusal({}, 100'000).find("dp-delta") != std::string::npos);
}

}  // namespace
}  // namespace mdgan::test
