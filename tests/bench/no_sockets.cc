// The arithmetic of a run in one process, without sockets and messages: what
// the network may cost is measured against it. All discriminators on as many
// threads as mdgan-peer would use; the server's work before and after theirs.
// Prints one line of JSON: rounds a second, and where a round's processor time
// goes; what a work sharer does for the server's thread counts in the whole
// alone.

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/work_sharer.h"
#include "common/base/worker_pool.h"
#include "common/tensor/device.h"
#include "tests/bench/training_setting.h"

namespace mdgan::bench {
namespace {

// This thread's processor time so far, in seconds.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

// Seconds of processor time over all rounds that count.
struct Phases {
  double generate = 0, learn = 0, feedback = 0, merge = 0, step = 0, swap = 0;
};

// Calls `task(i)` for i in [0, n), on the pool's threads; waits for all.
class Crew {
 public:
  explicit Crew(std::size_t n)
      : pool_(std::clamp(std::thread::hardware_concurrency(), 1U,
                         static_cast<unsigned>(n)),
              [] { set_compute_threads(1); }) {
    for (std::size_t i = 0; i < n; ++i) strands_.emplace_back(pool_);
  }

  void each(const std::function<void(std::size_t)>& task) {
    std::size_t left = strands_.size();
    for (std::size_t i = 0; i < strands_.size(); ++i)
      strands_[i].post([&, i] {
        task(i);
        const std::lock_guard lock(mutex_);
        if (--left == 0) done_.notify_one();
      });
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return left == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  WorkerPool pool_;
  std::vector<Strand> strands_;
};

class Training {
 public:
  Training(const Setting& s, const Images& data);
  void round(Round round);

  std::vector<Phases> peers;  // each has its own: they run side by side
  Phases server;

 private:
  void swap();

  Setting setting_;
  std::unique_ptr<GeneratorTrainer> generator_;
  std::vector<std::unique_ptr<DiscriminatorTrainer>> discriminators_;
  Crew crew_;
};

Training::Training(const Setting& s, const Images& data)
    : peers(s.peers),
      setting_(s),
      generator_(make_generator(s, data)),
      crew_(s.peers) {
  for (std::uint32_t i = 0; i < s.peers; ++i)
    discriminators_.push_back(make_discriminator(s, data, i));
}

void Training::round(Round round) {
  double start = thread_seconds();
  const std::vector<GeneratedBatch> batches = generator_->generate(round);
  server.generate += thread_seconds() - start;

  std::vector<Contribution> contributions(discriminators_.size());
  crew_.each([&](std::size_t i) {
    const double began = thread_seconds();
    const GeneratedBatch& fake = batches[(i + 1) % batches.size()];
    discriminators_[i]->learn(round, fake.images, fake.labels);
    peers[i].learn += thread_seconds() - began;

    const double learnt = thread_seconds();
    const std::size_t own = i % batches.size();
    PeerFeedback answer =
        discriminators_[i]->feedback(batches[own].images, batches[own].labels);
    contributions[i] = {PeerId{static_cast<std::uint32_t>(i)},
                        static_cast<std::uint32_t>(own), answer.feedback};
    peers[i].feedback += thread_seconds() - learnt;
  });

  start = thread_seconds();
  const StepReport report = or_exit(generator_->step(round, contributions));
  const double took = thread_seconds() - start;
  const double merge = took * report.merge_seconds /
                       (report.merge_seconds + report.step_seconds);
  server.merge += merge;
  server.step += took - merge;

  if (setting_.swaps_after(round)) swap();
}

void Training::swap() {
  std::vector<PeerState> states(discriminators_.size());
  crew_.each([&](std::size_t i) {
    const double start = thread_seconds();
    states[i] = discriminators_[i]->snapshot(/*with_optimizer=*/true);
    peers[i].swap += thread_seconds() - start;
  });
  crew_.each([&](std::size_t i) {
    const double start = thread_seconds();
    or_exit(discriminators_[i]->load(states[(i + 1) % states.size()]));
    peers[i].swap += thread_seconds() - start;
  });
}

std::string train(const Setting& s, const Images& data) {
  set_compute_threads(1);
  std::optional<WorkSharer> sharer;  // as the server has
  if (usable_cores() > 1) {
    sharer.emplace([] { set_compute_threads(1); });
    sharer->serve_this_thread();
  }
  Training training(s, data);
  std::uint64_t round = 1;
  for (; round <= s.warm_up; ++round) training.round({round});
  training.server = {};
  std::ranges::fill(training.peers, Phases{});
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  for (; round <= s.rounds; ++round) training.round({round});
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  const double used = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;

  Phases sum = training.server;
  for (const Phases& peer : training.peers) {
    sum.learn += peer.learn;
    sum.feedback += peer.feedback;
    sum.swap += peer.swap;
  }
  const auto counted = static_cast<double>(s.rounds - s.warm_up);
  return fmt::format(
      R"({{"rounds_per_s": {}, "cpu_s_per_round": {}, "seconds": {{)"
      R"("generate": {}, "learn": {}, "feedback": {}, "merge": {}, )"
      R"("step": {}, "swap": {}}}}})",
      counted / took, used / counted, sum.generate / counted,
      sum.learn / counted, sum.feedback / counted, sum.merge / counted,
      sum.step / counted, sum.swap / counted);
}

}  // namespace
}  // namespace mdgan::bench

int main(int argc, char** argv) {
  using namespace mdgan::bench;  // NOLINT: the program's own names
  start_like_the_programs(argv);
  return train_as_told("bench_no_sockets", argc, argv, train);
}
