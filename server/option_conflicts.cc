#include "server/option_conflicts.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/words.h"
#include "common/merge/rules.h"
#include "protocol/algorithm.h"
#include "protocol/training_rules.h"

namespace mdgan {
namespace {

Result<void> check_attack(const ServerOptions& o) {
  if (o.attack.peers == 0) return {};
  if (traits_of(o.training.algorithm).content != RoundContent::kImages)
    return usage_error("simulate-attack needs algorithm = md-gan");
  if (o.bind)
    return usage_error(
        "simulate-attack is for experiments with local peers alone, not for a "
        "server that others join: leave out bind, or simulate-attack");
  if (o.attack.peers > o.local_peers)
    return usage_error(fmt::format(
        "simulate-attack makes {} hostile, and there are {}: give "
        "more --local-peers",
        plural(o.attack.peers, "peer"), plural(o.local_peers, "local peer")));
  return {};
}

// How many peers a round has when all are there that the run waits for.
std::uint32_t asked_a_round(const ServerOptions& o) {
  return o.participants == 0 ? o.min_peers
                             : std::min(o.min_peers, o.participants);
}

// A rule that is to bear hostile peers needs so many others beside them.
Result<void> check_group(const ServerOptions& o) {
  const Aggregation& how = o.aggregation;
  const std::size_t least = smallest_group(how.rule, how.parameters.hostile);
  const std::uint32_t k = batches_per_round(o, o.min_peers);
  const std::uint32_t asked = asked_a_round(o);
  const std::uint32_t group = asked / k;  // assign_batches()'s smallest
  if (group >= least) return {};
  return Error{
      fmt::format("aggregate = {} with aggregate-hostile = {} needs {} "
                  "that judge the same batch, and {} with k = {} are {} "
                  "a batch: give a smaller --k, more --min-peers, or a smaller "
                  "--aggregate-hostile",
                  name_of(kAggregationRules, how.rule), how.parameters.hostile,
                  plural(least, "peer"), plural(asked, "peer"), k, group),
      ExitCode::kConfiguration};
}

}  // namespace

Result<void> check_training(const ServerOptions& o) {
  if (o.labels == BatchLabels::kShard && o.condition == Condition::kNone)
    return usage_error(
        "labels = shard is for a model that has labels: give --condition "
        "projection or acgan");
  if (o.labels == BatchLabels::kUniform &&
      o.class_share != ClassShare::kUniform)
    return usage_error(
        "class-share weighs classes where labels = shard: give both");
  if (o.aggregation.rule == aggregate_ua_gan) {
    if (o.loss != Loss::kNonSaturating && o.loss != Loss::kSaturating)
      return usage_error(fmt::format(
          "aggregate = ua-gan takes logits for the logarithms of odds, which "
          "they are not with loss = {}: give --loss non-saturating",
          name_of(kLossNames, o.loss)));
    if (o.condition == Condition::kAcgan)
      return usage_error(
          "aggregate = ua-gan weighs what peers say of real and generated, and "
          "acgan's answers have what they say of classes in them, too: give "
          "--condition projection");
  }
  if (o.loss == Loss::kRelativistic && (o.aggregation.rule == aggregate_gman ||
                                        o.aggregation.rule == aggregate_f2a))
    return usage_error(fmt::format(
        "aggregate = {} compares the logits of discriminators, and with loss = "
        "relativistic each counts from a zero of its own: give --aggregate "
        "mean",
        name_of(kAggregationRules, o.aggregation.rule)));
  if (const std::string conflict = conflict_of(training_spec(o, {}, {}));
      !conflict.empty())
    return usage_error(conflict);
  if (auto fits = check_attack(o); !fits) return fits;
  if (auto fits = check_group(o); !fits) return fits;
  if (o.aggregation.rule != aggregate_mean &&
      o.aggregation.rule != aggregate_clip && o.min_peers > 1 &&
      batches_per_round(o, o.min_peers) == asked_a_round(o))
    return usage_error(fmt::format(
        "aggregate = {} weighs peers that judge the same batch, and with {} "
        "peers and k = {} each has its own: give a smaller k",
        name_of(kAggregationRules, o.aggregation.rule), asked_a_round(o), o.k));
  return {};
}

Result<void> check_evaluation(const ServerOptions& o) {
  if (o.evaluate_every == 0 || o.evaluate_at == EvaluateAt::kServer) return {};
  if (!o.evaluate_features.empty())
    return usage_error(
        "evaluate-features is a program, and peers measure with "
        "--evaluate-classifier FILE: leave it out, or set it to nothing where "
        "a configuration has it");
  if (o.local_peers > 0 && o.privacy.mode != DpMode::kNone)
    return usage_error(
        "evaluate-at = peers tells of images what no budget of dp counts: "
        "leave out one of the two");
  return {};
}

}  // namespace mdgan
