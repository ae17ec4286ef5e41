#include "common/files/hash.h"
#include "common/models/registry.h"
#include "common/tensor/guard.h"
#include "server/train/generator_trainer.h"

namespace mdgan {

Result<DiscriminatorSummary> summarise_discriminator(
    const DiscriminatorSpec& spec) {
  return guarded("cannot make the discriminator", ExitCode::kConfiguration,
                 [&]() -> Result<DiscriminatorSummary> {
                   const auto model = make_discriminator(spec.model, spec.image,
                                                         spec.condition);
                   if (!model) return model.error();
                   DiscriminatorSummary summary;
                   const std::string text = discriminator_schema_text(**model);
                   summary.schema = sha256(std::as_bytes(std::span(text)));
                   for (const auto& parameter : (*model)->parameters())
                     summary.parameters +=
                         static_cast<std::uint64_t>(parameter.numel());
                   return summary;
                 });
}

}  // namespace mdgan
