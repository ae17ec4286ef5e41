#include "tests/support/random_cluster.h"

#include "common/base/random.h"
#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

SimulatedRun simulate(std::uint64_t seed, std::ostream* trace) {
  Random random(seed, Purpose::kSimulation, 1);
  const auto between = [&](std::uint64_t low, std::uint64_t high) {
    return low + random.below(high - low + 1);
  };
  const auto peers = static_cast<std::uint32_t>(between(1, 8));
  CoordinatorConfig config;
  config.min_peers = static_cast<std::uint32_t>(between(1, peers));
  config.k = default_k(peers);
  config.rounds = between(10, 40);
  config.swap_epochs = 0.1 * static_cast<double>(between(1, 8));
  config.quorum = 0.25 * static_cast<double>(between(1, 4));
  config.round_timeout = 2s;
  config.swap_timeout = 2s;
  config.quorum_timeout = 400s;
  config.checkpoint_every = between(1, 15);
  const std::uint64_t algorithm = random.below(8);
  if (algorithm < 2) {
    config.algorithm =
        algorithm == 0 ? Algorithm::kFlGan : Algorithm::kDataParallel;
    config.k = 1;
  }
  Random of_options(seed, Purpose::kSimulation, 2);
  if (of_options.below(4) == 0)
    config.participants =
        static_cast<std::uint32_t>(1 + of_options.below(peers));
  if (config.algorithm == Algorithm::kMdGan && of_options.below(3) == 0)
    config.staleness = static_cast<std::uint32_t>(1 + of_options.below(4));
  Random of_evaluation(seed, Purpose::kSimulation, 3);
  if (of_evaluation.below(2) == 0)
    config.evaluate_every = 1 + of_evaluation.below(20);
  // Most faults are off in most runs, so that each meets all others.
  const auto maybe = [&](double most) {
    return random.below(3) == 0 ? most * random.uniform() : 0;
  };
  Faults faults;
  faults.break_connection = maybe(0.01);
  faults.lose_message = maybe(0.01);
  faults.repeat_message = maybe(0.05);
  faults.old_message = maybe(0.5);
  faults.kill_peer = maybe(0.05);
  faults.kill_server = maybe(0.2);
  faults.stop_server = maybe(0.1);
  faults.cut_off = maybe(0.05);
  faults.cut_link = maybe(0.1);
  faults.bad_feedback = maybe(0.02);
  faults.bad_transfer = maybe(0.05);
  faults.slow_peer = maybe(0.01);
  faults.slow_disk = maybe(0.2);
  faults.full_disk = maybe(0.2);
  faults.liar = maybe(0.5);
  faults.no_listener = maybe(1);
  faults.kill_any = maybe(0.01);
  faults.until = std::chrono::seconds(between(5, 200));
  Random of_aftermath(seed, Purpose::kSimulation, 4);
  if (faults.liar > 0 && of_aftermath.below(4) == 0)
    faults.liar_flood = 0.2 * of_aftermath.uniform();
  if (of_aftermath.below(10) == 0) {  // long enough to see it go on in peace
    faults.until = std::chrono::seconds(5 + of_aftermath.below(60));
    faults.pace = 50;
    config.rounds = 300;
  }
  const auto sessions = static_cast<std::uint32_t>(between(1, 3));
  Cluster cluster(peers, config, faults, seed, sessions);
  for (std::uint64_t late = random.below(3); late > 0; --late)
    cluster.join_later(std::chrono::seconds(between(0, 20)));
  if (trace != nullptr) cluster.trace_to(*trace);
  SimulatedRun run;
  run.failure = cluster.run();
  run.events = cluster.events();
  run.rounds = cluster.steps().size();
  return run;
}

}  // namespace mdgan::test
