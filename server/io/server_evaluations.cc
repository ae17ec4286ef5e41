// What ServerShell does about measuring the generator.

#include <spdlog/spdlog.h>

#include "server/evaluate/evaluator.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {

void ServerShell::Impl::evaluate(Round round) {
  write_copy(evaluations, evaluation_copies, "cannot evaluate",
             [this, round]() -> Task {
               const std::shared_ptr<const Sampler> copy =
                   trainer->generator().sampler();
               return [this, round, copy]() -> std::function<void()> {
                 const auto measured =
                     evaluator->evaluate(*copy, round, options.seed);
                 if (!measured)
                   return [why = measured.error().message] {
                     spdlog::error("{}", why);
                   };
                 const auto kept = keep_evaluation(directory.path(), *measured);
                 return [this, record = *measured, kept] {
                   if (!kept) spdlog::warn("{}", kept.error().message);
                   spdlog::info("round {}: {}, in {:.1f} s", record.round,
                                summary(record), record.seconds.total());
                   evaluation = record;
                 };
               };
             });
}

}  // namespace mdgan
