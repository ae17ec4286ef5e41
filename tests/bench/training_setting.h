// What bench_no_sockets and bench_bare_sockets train, and their flags.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/data/dataset.h"
#include "common/data/partition.h"
#include "common/options/options_parser.h"
#include "common/train/discriminator/discriminator_trainer.h"
#include "common/train/generator/generator_trainer.h"
#include "tests/bench/startup.h"

namespace mdgan::bench {

struct Setting {
  std::string data;
  std::string model = "mlp";
  std::uint32_t peers = 10;
  std::uint32_t batch = 10;
  std::uint32_t k = 2;
  std::uint64_t rounds = 400;  // the warm-up included
  std::uint64_t warm_up = 20;
  std::uint64_t swap = 100;

  bool swaps_after(Round round) const {
    return swap > 0 && round.value % swap == 0;
  }
};

using Images = std::shared_ptr<const Dataset>;

inline std::unique_ptr<GeneratorTrainer> make_generator(const Setting& s,
                                                        const Images& data) {
  GeneratorSpec spec;
  spec.model = s.model;
  spec.image = data->shape;
  spec.batch = s.batch;
  spec.k = s.k;
  return or_exit(GeneratorTrainer::create(spec, "cpu"));
}

inline std::unique_ptr<DiscriminatorTrainer> make_discriminator(
    const Setting& s, const Images& data, std::uint32_t peer) {
  TrainingSpec spec;
  spec.model = s.model;
  spec.image = data->shape;
  spec.batch = s.batch;
  auto made = or_exit(DiscriminatorTrainer::create(
      spec, data, cut_evenly(data->size(), s.peers)[peer], PeerId{peer},
      "cpu"));
  made->initialise();
  return made;
}

// The program: reads the flags and the images, and prints what `train` returns.
inline int train_as_told(
    const char* program, int argc, char** argv,
    const std::function<std::string(const Setting&, const Images&)>& train) {
  constexpr double kMany = 1e9;
  Setting s;
  OptionTable table(
      {{"What is trained",
        {{"data", &s.data, "DIR", "MNIST files or CIFAR-10 binary files."},
         {"model", &s.model, "NAME", "As of mdgan-server."},
         {"peers", &s.peers, "N", "Discriminators.", {1, kMany}},
         {"batch", &s.batch, "B", "Images in a batch.", {1, kMany}},
         {"k", &s.k, "K", "Batches a round.", {1, kMany}},
         {"rounds", &s.rounds, "N", "With the warm-up.", {1, kMany}},
         {"warm-up", &s.warm_up, "N", "Rounds that do not count.", {0, kMany}},
         {"swap", &s.swap, "ROUNDS", "Between swaps; 0: none.", {0, kMany}}}}});
  const std::vector<const char*> arguments(argv + (argc > 0 ? 1 : 0),
                                           argv + argc);
  const auto parsed = table.parse(arguments);
  if (!parsed || s.data.empty() || s.rounds <= s.warm_up) {
    std::fprintf(stderr, "%s: %s\n\n%s", program,
                 parsed ? "--data DIR is needed, and more rounds than warm-up"
                        : parsed.error().message.c_str(),
                 table.help().c_str());
    return static_cast<int>(ExitCode::kUsage);
  }
  const auto data =
      std::make_shared<const Dataset>(or_exit(load_dataset(s.data)));
  std::puts(train(s, data).c_str());
  return 0;
}

}  // namespace mdgan::bench
