// What ServerShell does about measuring the generator, here or at the peers.

#include <spdlog/spdlog.h>

#include <utility>

#include "common/tensor/floats.h"
#include "server/evaluate/evaluation_record.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {

// Measuring does not wait for the disk: a run waits for it where evaluations
// take longer than the rounds between them.
Lane::Continuation ServerShell::Impl::keep(
    const Result<EvaluationRecord>& measured) {
  if (!measured)
    return [why = measured.error().message] { spdlog::error("{}", why); };
  return [this, record = *measured] {
    observer->on_evaluation(record);
    files.run(
        [this, record]() -> Lane::Continuation {
          const auto kept = keep_evaluation(directory.path(), record);
          if (kept) return {};
          return [why = kept.error().message] { spdlog::warn("{}", why); };
        },
        [](const Error& error) { spdlog::warn("{}", error.message); });
  };
}

void ServerShell::Impl::evaluate(Round round) {
  write_copy(evaluations, evaluation_copies, "cannot evaluate",
             [this, round]() -> Lane::Work {
               const std::shared_ptr<const Sampler> copy =
                   trainer->sampler(nullptr);
               return [this, round, copy]() -> Lane::Continuation {
                 return keep(arithmetic.measure(*copy, round, options.seed));
               };
             });
}

// --- at the peers -----------------------------------------------------------

void ServerShell::Impl::apply(const MakeFeatures& e) {
  const auto none = [this, round = e.round] {
    events.emplace_back(FeaturesReady{round, false, {}});
  };
  training.copy_then_write(
      evaluation_copies, evaluations,
      [this, round = e.round, none]() -> Lane::Work {
        const std::shared_ptr<const Sampler> copy = trainer->sampler(nullptr);
        return [this, round, copy, none]() -> Lane::Continuation {
          if (evaluation_copies.closed()) return none;  // nobody will be asked
          const auto made = arithmetic.at_peers->generate(*copy, options.seed);
          if (!made)
            return [none, why = made.error().message] {
              spdlog::error("{}", why);
              none();
            };
          return [this, round, images = *made] {
            measured[round] = {images, {}};
            events.emplace_back(
                FeaturesReady{round, true, arithmetic.at_peers->hash});
          };
        };
      },
      [none](const Error& error) {
        spdlog::error("cannot evaluate: {}", error.message);
        none();
      },
      none);
}

void ServerShell::Impl::apply(const SendFeatures& e) {
  const auto found = measured.find(e.message.round);
  MDGAN_CHECK(found != measured.end());
  const GeneratedFeatures& features = found->second.images.features;
  ReadyBatch once;
  once.tensors = {features.values, features.radii};
  protocol::Message message = e.message;
  auto& body = std::get<protocol::Evaluate>(message.body);
  for (const Blob& tensor : once.tensors) body.tensors.push_back(tensor.meta);
  deliver(e.connection, message, &once);
}

bool ServerShell::Impl::wants_measured(ConnectionId sender,
                                       const Received& received) const {
  if (!coordinator.awaits_evaluated(sender, *received.message)) return false;
  const auto found = measured.find(received.message->round);
  if (found == measured.end()) return false;
  const std::uint64_t f = found->second.images.features.values.meta.dims[1];
  const auto& sent = std::get<protocol::Evaluated>(received.message->body);
  using enum protocol::DType;
  return sent.tensors ==
         std::vector<protocol::TensorMeta>{{kFloat64, {f}}, {kFloat64, {f, f}}};
}

void ServerShell::Impl::apply(const KeepEvaluated& e) {
  const auto found = measured.find(e.round);
  MDGAN_CHECK(found != measured.end() && arrived.size() == 2);
  found->second.sites[e.peer] = {
      e.name,
      {e.evaluated.kernel_distance_mean,
       e.evaluated.kernel_distance_std,
       e.evaluated.recall,
       {e.evaluated.images, doubles_of(arrived[0]), doubles_of(arrived[1])}}};
}

void ServerShell::Impl::apply(const MergeEvaluations& e) {
  auto node = measured.extract(e.round);
  MDGAN_CHECK(!node.empty());
  std::vector<MeasuredSite> sites;
  for (auto& [peer, site] : node.mapped().sites)
    sites.push_back(std::move(site));
  if (sites.empty()) return;  // the reasons were told
  evaluations.run(
      [this, round = e.round, images = std::move(node.mapped().images),
       sites = std::move(sites)]() -> Lane::Continuation {
        return keep(arithmetic.at_peers->merge(round, images, sites));
      },
      [](const Error& error) {
        spdlog::error("cannot evaluate: {}", error.message);
      });
}

}  // namespace mdgan
