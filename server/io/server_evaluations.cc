// What ServerShell does about measuring the generator.

#include <spdlog/spdlog.h>

#include "server/evaluate/evaluation_record.h"
#include "server/io/server_shell_impl.h"

namespace mdgan {

void ServerShell::Impl::evaluate(Round round) {
  write_copy(
      evaluations, evaluation_copies, "cannot evaluate",
      [this, round]() -> Lane::Work {
        const std::shared_ptr<const Sampler> copy = trainer->sampler(nullptr);
        return [this, round, copy]() -> std::function<void()> {
          const auto measured = arithmetic.measure(*copy, round, options.seed);
          if (!measured)
            return
                [why = measured.error().message] { spdlog::error("{}", why); };
          const auto kept = keep_evaluation(directory.path(), *measured);
          return [this, record = *measured, kept] {
            if (!kept) spdlog::warn("{}", kept.error().message);
            observer->on_evaluation(record);
          };
        };
      });
}

}  // namespace mdgan
