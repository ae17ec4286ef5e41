#include "common/models/model_summary.h"

#include <spdlog/fmt/fmt.h>

#include <span>
#include <string>

#include "common/files/hash.h"
#include "common/losses/penalty.h"
#include "common/models/registry.h"
#include "common/models/script_file.h"
#include "common/models/script_model.h"
#include "common/tensor/guard.h"
#include "protocol/algorithm.h"
#include "protocol/limits.h"

namespace mdgan {
namespace {

std::uint64_t values_of(const std::vector<torch::Tensor>& tensors) {
  std::uint64_t values = 0;
  for (const torch::Tensor& tensor : tensors)
    if (tensor.is_floating_point())
      values += static_cast<std::uint64_t>(tensor.numel());
  return values;
}

}  // namespace

Result<void> check_history(const TrainingSpec& spec) {
  const std::uint64_t batch =
      std::uint64_t{spec.batch} * spec.image.values() * sizeof(float);
  if (!spec.replay || spec.local_steps == 1 ||
      batch <= protocol::kMaxTensorBytes / spec.local_steps)
    return {};
  return Error{
      fmt::format("with replay a peer keeps local-steps = {} generated "
                  "batches of {} bytes, more than {} in all: take "
                  "fewer local steps, or a smaller batch",
                  spec.local_steps, batch, protocol::kMaxTensorBytes),
      ExitCode::kConfiguration};
}

Result<ModelSummary> summarise_model(const TrainingSpec& spec) {
  if (auto fits = check_history(spec); !fits) return fits.error();
  return guarded(
      "cannot make the model", ExitCode::kConfiguration,
      [&]() -> Result<ModelSummary> {
        std::string text;
        ModelSummary summary;
        const bool replica =
            traits_of(spec.algorithm).content == RoundContent::kReplica;
        if (replica) {
          const auto g = make_generator(spec.model, spec.image, spec.condition,
                                        spec.latent);
          if (!g) return g.error();
          text += schema_text((*g)->named_parameters(), "generator.");
          text += schema_text((*g)->named_buffers(), "generator.");
          summary.parameters +=
              values_of((*g)->parameters()) + values_of((*g)->buffers());
        }
        const auto d =
            make_discriminator(spec.model, spec.image, spec.condition);
        if (!d) return d.error();
        if (is_script(spec.model) && has_penalty(spec))
          if (auto can = check_second_derivative(**d, spec.image); !can)
            return can.error();
        text += schema_text((*d)->named_parameters(),
                            replica ? "discriminator." : "");
        summary.parameters += values_of((*d)->parameters());
        summary.schema = sha256(std::as_bytes(std::span(text)));
        return summary;
      });
}

}  // namespace mdgan
