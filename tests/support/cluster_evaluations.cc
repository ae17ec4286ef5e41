// Generators that the simulated peers measure.

#include "tests/support/cluster.h"

namespace mdgan::test {

using namespace std::chrono_literals;

void Cluster::apply_evaluation(const ServerEffect& effect) {
  if (const auto* make = std::get_if<MakeFeatures>(&effect)) {
    to_merge_.insert(make->round);
    const bool ok = !happens(faults_.slow_disk);
    if (!ok) to_merge_.erase(make->round);
    after(200ms, [this, life = server_life_, round = make->round, ok] {
      if (life == server_life_) feed_server(FeaturesReady{round, ok, {}});
    });
  } else if (const auto* send = std::get_if<SendFeatures>(&effect)) {
    if (!asked_to_measure_.emplace(send->message.round, send->message.peer)
             .second)
      fail("a peer is asked twice to measure a generator");
    to_connection(send->connection,
                  [this, m = send->message](Process& p) { deliver(p, m); });
  } else if (const auto* keep = std::get_if<KeepEvaluated>(&effect)) {
    if (arriving_ == nullptr || arriving_->incarnation != config_.incarnation ||
        arriving_->round != keep->round || arriving_->peer != keep->peer)
      fail("what another peer measured, or of another round, is kept");
    if (asked_to_measure_.erase({keep->round, keep->peer}) == 0)
      fail("what a peer measured is kept twice, or was not asked for");
  } else if (const auto* merge = std::get_if<MergeEvaluations>(&effect)) {
    if (to_merge_.erase(merge->round) == 0)
      fail("a generator is measured twice, or none was to be");
  } else if (const auto* note = std::get_if<Note>(&effect)) {
    if (note->text.starts_with("stopping")) to_merge_.clear();
  }
}

}  // namespace mdgan::test
