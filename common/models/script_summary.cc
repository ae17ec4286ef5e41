#include "common/models/script_summary.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <string_view>
#include <vector>

#include "common/base/words.h"
#include "common/models/registry.h"
#include "common/models/script_file.h"
#include "common/models/script_layer.h"
#include "common/models/script_model.h"

namespace mdgan {
namespace {

using Rows = std::vector<std::vector<std::string>>;

void add_rows(const torch::OrderedDict<std::string, torch::Tensor>& tensors,
              std::string_view kind, Rows& rows) {
  for (const auto& item : tensors) {
    const torch::Tensor& tensor = item.value();
    rows.push_back({item.key(), std::string(kind),
                    fmt::format("[{}]", fmt::join(tensor.sizes(), ", ")),
                    count_words(static_cast<std::uint64_t>(tensor.numel()))});
  }
}

std::string network_text(std::string_view name,
                         const torch::nn::Module& network,
                         std::string_view computed_by) {
  std::uint64_t parameters = 0;
  for (const torch::Tensor& tensor : network.parameters())
    parameters += static_cast<std::uint64_t>(tensor.numel());
  Rows rows{{"tensor", "kind", "shape", "values"}};
  add_rows(network.named_parameters(), "parameter", rows);
  add_rows(network.named_buffers(), "buffer", rows);
  return fmt::format("\n{}: {}, computed by {}\n{}", name,
                     plural(parameters, "parameter"), computed_by,
                     table_text(rows));
}

std::string_view computed_by(bool is_dense, bool has_stack) {
  if (is_dense) return "the kernels for dense layers, on a processor";
  if (has_stack) return "the kernels for stacks of convolutions";
  return "LibTorch, operation by operation";
}

std::string first_weights(const Model& model) {
  const auto* values = dynamic_cast<const ScriptValues*>(&model);
  if (values == nullptr || !values->are_drawn())
    return "those of the file, whatever the seed";
  return model.initial_law() == InitialLaw::kDcgan
             ? "drawn from the seed, by DCGAN's law"
             : "drawn from the seed, by PyTorch's law";
}

}  // namespace

Result<std::string> describe_script(const std::filesystem::path& file,
                                    const ScriptTrial& trial) {
  const auto name = add_script(file);
  if (!name) return name.error();
  const auto g =
      make_generator(*name, trial.image, trial.condition, trial.latent);
  if (!g) return g.error();
  const auto d = make_discriminator(*name, trial.image, trial.condition);
  if (!d) return d.error();
  const auto twice = check_second_derivative(**d, trial.image);
  return fmt::format(
             "{}: a model in TorchScript, which runs\n"
             "name           {}\n"
             "images         {}x{}x{}, condition {}, latent {}\n"
             "first weights  {}\n"
             "r1, r2, wgan-gp  {}\n",
             file.string(), *name, trial.image.channels, trial.image.height,
             trial.image.width, name_of(kConditionNames, trial.condition),
             trial.latent, first_weights(**d),
             twice ? "can be used" : "cannot: " + twice.error().message) +
         network_text("generator", **g,
                      computed_by(!(*g)->dense_widths().empty(), false)) +
         network_text("discriminator", **d,
                      computed_by(!(*d)->dense_widths().empty(),
                                  (*d)->convolutions() != nullptr));
}

}  // namespace mdgan
