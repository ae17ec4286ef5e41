#include "common/models/model_summary.h"

#include <span>
#include <string>

#include "common/files/hash.h"
#include "common/models/registry.h"
#include "common/tensor/guard.h"

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

Result<ModelSummary> summarise_model(const DiscriminatorSpec& spec) {
  return guarded(
      "cannot make the model", ExitCode::kConfiguration,
      [&]() -> Result<ModelSummary> {
        std::string text;
        ModelSummary summary;
        const bool replica = spec.algorithm != Algorithm::kMdGan;
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
        text += schema_text((*d)->named_parameters(),
                            replica ? "discriminator." : "");
        summary.parameters += values_of((*d)->parameters());
        summary.schema = sha256(std::as_bytes(std::span(text)));
        return summary;
      });
}

}  // namespace mdgan
