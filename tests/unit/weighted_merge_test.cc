// The generator's step with feedback that is weighted: the arithmetic of the
// weights is aggregation_test.cc's.
#include <torch/torch.h>

#include "common/tensor/quantise.h"
#include "tests/support/merge_factors.h"
#include "tests/support/trainer_run.h"

namespace mdgan::test {
namespace {

std::unique_ptr<GeneratorTrainer> server_of(const TrainerRun& run,
                                            AggregationRule rule) {
  GeneratorSpec spec = run.generator();
  spec.aggregation.rule = rule;
  return make_generator_trainer(spec);
}

// Five peers' random answers to two batches, in all three forms.
std::vector<Contribution> answers(const TrainerRun& run, std::uint64_t seed,
                                  bool equal_judges) {
  Random random(seed, Purpose::kSimulation);
  std::vector<Contribution> all;
  for (std::uint32_t n = 0; n < 5; ++n) {
    std::vector<float> values(run.batch * run.image.values());
    random.fill_normal(values);
    const Blob feedback = float_blob({run.batch, 1, 4, 4}, values);
    Contribution part{PeerId{n}, n % 2, feedback};
    if (n > 2) {
      const ScaledInt8 packed = to_int8(feedback, n);
      part.feedback = packed.values;
      part.scales = packed.scales;
    } else if (n == 2) {
      part.feedback = to_bfloat16(feedback);
    }
    std::vector<float> logits{0.5F, -1, 2, 30};
    if (!equal_judges) random.fill_normal(logits);
    part.logits = float_blob({run.batch}, logits);
    part.shard_size = equal_judges ? 20 : 10.0 + 50 * n;
    all.push_back(part);
  }
  return all;
}

constexpr AggregationRule kWeighted[] = {
    aggregate_by_shard_size, aggregate_gman, aggregate_f2a, aggregate_ua_gan};

TEST_CASE("equal judges and shards step the generator as the mean does",
          "[aggregation]") {
  const TrainerRun run{.k = 2};
  for (const AggregationRule rule : kWeighted) {
    INFO(name_of(kAggregationRules, rule));
    const auto mean = server_of(run, aggregate_mean);
    const auto weighted = server_of(run, rule);
    for (std::uint64_t i = 1; i <= 2; ++i) {
      const auto parts = answers(run, i, /*equal_judges=*/true);
      (void)mean->generate(Round{i});
      (void)weighted->generate(Round{i});
      REQUIRE(mean->step(Round{i}, parts).ok());
      REQUIRE(weighted->step(Round{i}, parts).ok());
    }
    CHECK(same(mean->snapshot(), weighted->snapshot()));
  }
}

TEST_CASE("weighted feedback steps as the mean of what was weighted before",
          "[aggregation]") {
  const TrainerRun run{.k = 2};
  for (const AggregationRule rule : kWeighted) {
    INFO(name_of(kAggregationRules, rule));
    const auto parts = answers(run, 7, /*equal_judges=*/false);
    std::vector<std::vector<float>> logits;
    std::vector<MergeRow> judgements;
    for (const Contribution& part : parts)
      logits.push_back(floats(part.logits));
    for (std::size_t n = 0; n < parts.size(); ++n)
      judgements.push_back({.peer = parts[n].peer,
                            .group = parts[n].batch,
                            .values = {},
                            .logits = logits[n],
                            .shard_size = parts[n].shard_size});
    const auto factors = merge_factors({rule, 1}, judgements, run.batch);

    const std::size_t each = run.image.values();
    std::vector<Contribution> before;
    for (std::size_t n = 0; n < parts.size(); ++n) {
      std::vector<float> values(run.batch * each);
      add_to(values, parts[n].feedback, parts[n].scales);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] *= factors[n * run.batch + i / each];
      before.push_back({parts[n].peer, parts[n].batch,
                        float_blob({run.batch, 1, 4, 4}, values)});
    }

    const auto mean = server_of(run, aggregate_mean);
    const auto plain = server_of(run, aggregate_mean);
    const auto weighted = server_of(run, rule);
    for (GeneratorTrainer* server : {mean.get(), plain.get(), weighted.get()})
      (void)server->generate(Round{1});
    REQUIRE(mean->step(Round{1}, before).ok());
    REQUIRE(plain->step(Round{1}, parts).ok());
    REQUIRE(weighted->step(Round{1}, parts).ok());
    CHECK(same(mean->snapshot(), weighted->snapshot()));
    CHECK_FALSE(same(plain->snapshot(), weighted->snapshot()));
  }
}

torch::Tensor loss_of(Loss loss, const torch::Tensor& y) {
  return loss == Loss::kNonSaturating ? torch::softplus(-y).sum()
                                      : -torch::softplus(y).sum();
}

TEST_CASE("UA-GAN's sum is the gradient of the loss of the explicit mixture",
          "[aggregation]") {
  constexpr std::int64_t kPeers = 4, kSamples = 6, kPixels = 5;
  torch::manual_seed(3);
  const auto images = torch::randn({kSamples, kPixels});
  const auto weights = torch::randn({kPeers, kPixels}) * 3;
  const auto logits_of = [&](const torch::Tensor& x) {  // [kPeers, kSamples]
    return torch::tanh(x.matmul(weights.t())).t() * 4;
  };
  const double sizes[kPeers] = {600, 50, 600, 2000};
  for (const Loss loss : {Loss::kNonSaturating, Loss::kSaturating}) {
    INFO(name_of(kLossNames, loss));
    // The peers' answers, each the gradient of the loss of its own logits.
    std::vector<std::vector<float>> values, logits;
    std::vector<MergeRow> rows;
    for (std::int64_t n = 0; n < kPeers; ++n) {
      auto x = images.clone().requires_grad_();
      const auto y = logits_of(x)[n].contiguous();
      loss_of(loss, y).backward();
      const auto gradient = x.grad().contiguous();
      values.emplace_back(gradient.data_ptr<float>(),
                          gradient.data_ptr<float>() + gradient.numel());
      logits.emplace_back(y.data_ptr<float>(), y.data_ptr<float>() + kSamples);
    }
    for (std::uint32_t n = 0; n < kPeers; ++n)
      rows.push_back({.peer = PeerId{n},
                      .group = 0,
                      .values = float_blob({kSamples, kPixels}, values[n]),
                      .logits = logits[n],
                      .shard_size = sizes[n]});
    std::vector<float> sum(kSamples * kPixels);
    const std::vector<std::span<float>> places{sum};
    (void)merge(aggregate_ua_gan, {.loss = loss}, rows, places);

    auto x = images.clone().requires_grad_();
    const auto shares = torch::tensor({600.0, 50.0, 600.0, 2000.0}) / 3250;
    const auto mixture = torch::logsumexp(
        logits_of(x) + shares.to(torch::kFloat32).log().unsqueeze(1), 0);
    loss_of(loss, mixture).backward();
    const auto expected = x.grad().contiguous();
    for (std::size_t i = 0; i < sum.size(); ++i)
      CHECK(sum[i] / kPeers ==
            Approx(expected.data_ptr<float>()[i]).epsilon(1e-3).margin(1e-6));
  }
}

}  // namespace
}  // namespace mdgan::test
