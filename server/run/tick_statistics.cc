#include "server/run/tick_statistics.h"

namespace mdgan {

void TickStatistics::restart() {
  sum_ = {};
  rounds_ = 0;
  start_ = Clock::now();
}

void TickStatistics::add_rounds(std::uint64_t round, std::uint64_t steps,
                                double d_loss, double g_loss) {
  const double n = static_cast<double>(steps);
  rounds_ += steps;
  sum_.round = round;
  sum_.d_loss += n * d_loss;
  sum_.g_loss += n * g_loss;
  sum_.feedback_norm += n * norm_;
}

StatsRecord TickStatistics::finish(std::uint32_t peers) {
  const double n = static_cast<double>(rounds_);
  const double elapsed =
      std::chrono::duration<double>(Clock::now() - start_).count();
  StatsRecord record = sum_;
  for (double* sum :
       {&record.d_loss, &record.g_loss, &record.feedback_norm,
        &record.seconds.generate, &record.seconds.send, &record.seconds.wait,
        &record.seconds.merge, &record.seconds.step})
    *sum /= n;
  record.seconds_per_round = elapsed / n;
  record.rounds_per_second = elapsed > 0 ? n / elapsed : 0;
  record.peers = peers;
  restart();
  return record;
}

}  // namespace mdgan
