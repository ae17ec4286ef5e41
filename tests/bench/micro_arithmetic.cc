// The parts of a round's arithmetic: what a peer computes, what the server
// computes, and one step of Adam by itself. b = 10, k = 2. And what the
// processor can do at most.

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/data/dataset.h"
#include "common/tensor/device.h"
#include "common/tensor/flat_adam_kernel.h"
#include "common/tensor/precision.h"
#include "common/train/discriminator/discriminator_trainer.h"
#include "common/train/generator/generator_trainer.h"
#include "tests/bench/startup.h"

namespace mdgan::bench {
namespace {

constexpr std::uint32_t kImages = 1000;
constexpr std::uint32_t kPeers = 10;

struct Subject {
  std::string name, model;
  ImageShape image;
  Precision precision = Precision::kFloat32;
};

std::vector<Subject> subjects() {
  return {{"mlp", "mlp", {1, 28, 28, 0}},
          {"mnist-cnn", "mnist-cnn", {1, 28, 28, 0}},
          {"dcgan", "dcgan", {3, 32, 32, 0}},
          {"dcgan-64", "dcgan", {3, 64, 64, 0}},
          {"dcgan-64-bf16", "dcgan", {3, 64, 64, 0}, Precision::kBfloat16}};
}

std::shared_ptr<const Dataset> made_up(const ImageShape& shape) {
  auto data = std::make_shared<Dataset>();
  data->shape = shape;
  data->pixels.resize(kImages * shape.values());
  Random random(1, Purpose::kSimulation);
  for (std::uint8_t& pixel : data->pixels)
    pixel = static_cast<std::uint8_t>(random.next());
  return data;
}

std::unique_ptr<GeneratorTrainer> generator(const Subject& subject) {
  GeneratorSpec spec;
  spec.model = subject.model;
  spec.image = subject.image;
  spec.k = 2;
  return or_exit(GeneratorTrainer::create(spec, "cpu"));
}

std::unique_ptr<DiscriminatorTrainer> discriminator(const Subject& subject) {
  TrainingSpec spec;
  spec.model = subject.model;
  spec.image = subject.image;
  std::vector<std::uint32_t> shard(kImages);
  std::iota(shard.begin(), shard.end(), 0U);
  auto made = or_exit(DiscriminatorTrainer::create(
      spec, made_up(subject.image), std::move(shard), PeerId{0}, "cpu"));
  made->initialise();
  return made;
}

// D forward and backward, and D's step.
void learn(benchmark::State& state, const Subject& subject) {
  const auto d = discriminator(subject);
  const auto batch = generator(subject)->generate(Round{1})[0];
  std::uint64_t round = 0;
  for (auto _ : state) d->learn(Round{++round}, batch.images, batch.labels);
}

// D forward, and backward to the images.
void feedback(benchmark::State& state, const Subject& subject) {
  const auto d = discriminator(subject);
  const auto batch = generator(subject)->generate(Round{1})[0];
  for (auto _ : state)
    benchmark::DoNotOptimize(d->feedback(batch.images, batch.labels));
}

// G forward, all batches.
void generate(benchmark::State& state, const Subject& subject) {
  const auto g = generator(subject);
  std::uint64_t round = 0;
  for (auto _ : state) benchmark::DoNotOptimize(g->generate(Round{++round}));
}

// The feedback merged, G backward, G's step with the moving average.
void step(benchmark::State& state, const Subject& subject) {
  const auto g = generator(subject);
  const auto d = discriminator(subject);
  std::uint64_t round = 0;
  std::vector<Contribution> contributions(kPeers);
  for (auto _ : state) {
    state.PauseTiming();
    const auto batches = g->generate(Round{++round});
    if (round == 1)
      for (std::uint32_t i = 0; i < kPeers; ++i)
        contributions[i] = {
            PeerId{i}, i % 2,
            d->feedback(batches[i % 2].images, batches[i % 2].labels).feedback};
    state.ResumeTiming();
    benchmark::DoNotOptimize(or_exit(g->step(Round{round}, contributions)));
  }
}

// Adam over the MLP discriminator's parameters, with the moving average or
// without.
void adam(benchmark::State& state, bool with_average) {
  constexpr std::size_t kParameters = 665'089;
  std::vector<float> values(kParameters, 0.5F), gradients(kParameters, 0.1F),
      first(kParameters), second(kParameters), average(kParameters);
  const AdamCoefficients coefficients{0.5F,  0.5F,  0.999F, 0.001F, 2e-4F,
                                      31.6F, 1e-8F, 0.999F, 0.001F};
  for (auto _ : state) {
    adam_step(kParameters, values.data(), gradients.data(), first.data(),
              second.data(), with_average ? average.data() : nullptr,
              coefficients);
    benchmark::ClobberMemory();
  }
  // Four arrays read and three written; the average read and written.
  state.SetBytesProcessed(state.iterations() * (with_average ? 9 : 7) *
                          static_cast<std::int64_t>(kParameters * 4));
}

// All cores together for as long as it lives; then one again, like the others.
class AllCores {
 public:
  AllCores() {
    set_compute_threads(static_cast<int>(std::thread::hardware_concurrency()));
  }
  ~AllCores() { set_compute_threads(1); }
  AllCores(const AllCores&) = delete;
  AllCores& operator=(const AllCores&) = delete;
};

// A large product, whose matrices are used from the caches.
void multiply(benchmark::State& state) {
  const AllCores all;
  constexpr std::int64_t kSide = 2048;
  const torch::Tensor a = torch::rand({kSide, kSide});
  const torch::Tensor b = torch::rand({kSide, kSide});
  torch::Tensor product = torch::empty({kSide, kSide});
  for (auto _ : state) at::mm_out(product, a, b);
  state.SetItemsProcessed(state.iterations() * 2 * kSide * kSide * kSide);
}

// Reading and writing again as much as ten MLP discriminators and their
// moments.
void read_and_write(benchmark::State& state) {
  const AllCores all;
  torch::Tensor values = torch::ones({std::int64_t{kPeers} * 3 * 665'089});
  for (auto _ : state) values.mul_(0.999);
  state.SetBytesProcessed(state.iterations() * 2 *
                          static_cast<std::int64_t>(values.nbytes()));
}

const bool kRegistered = [] {
  using Function = void (*)(benchmark::State&, const Subject&);
  const std::pair<std::string, Function> parts[]{{"generate", generate},
                                                 {"learn", learn},
                                                 {"feedback", feedback},
                                                 {"step", step}};
  for (const Subject& subject : subjects())
    for (const auto& [name, function] : parts)
      benchmark::RegisterBenchmark(
          (name + "/" + subject.name).c_str(),
          [function = function, subject](benchmark::State& state) {
            const auto set = set_precision(subject.precision, "cpu");
            if (!set) return state.SkipWithError(set.error().message.c_str());
            function(state, subject);
          })
          ->Unit(benchmark::kMicrosecond);
  for (const bool average : {false, true})
    benchmark::RegisterBenchmark(
        average ? "adam/mlp-with-average" : "adam/mlp",
        [average](benchmark::State& state) { adam(state, average); })
        ->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("limit/multiply", multiply)->UseRealTime();
  benchmark::RegisterBenchmark("limit/memory", read_and_write)->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace mdgan::bench
