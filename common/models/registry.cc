#include "common/models/registry.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "common/models/acgan_cnn.h"
#include "common/models/dcgan.h"
#include "common/models/dirac.h"
#include "common/models/mlp.h"
#include "common/models/r3gan.h"
#include "common/models/resnet.h"
#include "common/models/script_file.h"
#include "common/models/script_model.h"
#include "common/tensor/guard.h"

namespace mdgan {
namespace {

bool multiples_of(std::uint32_t unit, const ImageShape& image) {
  const auto fits = [unit](std::uint32_t side) {
    return side >= 8 && side <= 128 && side % unit == 0;
  };
  return fits(image.height) && fits(image.width);
}

bool square_of(std::initializer_list<std::uint32_t> sides,
               const ImageShape& image) {
  return image.height == image.width &&
         std::find(sides.begin(), sides.end(), image.height) != sides.end();
}

struct Entry {
  std::string_view name;
  std::string_view sizes;  // completes "is for ..."
  bool (*fits)(const ImageShape&);
  std::shared_ptr<Generator> (*generator)(const ImageShape&, Condition,
                                          std::uint32_t);
  std::shared_ptr<Discriminator> (*discriminator)(const ImageShape&, Condition);
  bool takes_labels = true;
};

// The MLP's bound keeps its first layer, 512 weights a value, at half a GiB.
constexpr std::array<Entry, 7> kEntries{{
    {"mlp", "images of at most 262144 values (3x256x256 fits)",
     [](const ImageShape& image) { return image.values() <= 262'144; },
     make_mlp_generator, make_mlp_discriminator},
    {"mnist-cnn", "sides of 8 to 128 pixels that are multiples of 4",
     [](const ImageShape& image) { return multiples_of(4, image); },
     make_mnist_cnn_generator, make_acgan_cnn_discriminator},
    {"cifar10-cnn", "sides of 8 to 128 pixels that are multiples of 8",
     [](const ImageShape& image) { return multiples_of(8, image); },
     make_cifar10_cnn_generator, make_acgan_cnn_discriminator},
    {"dcgan", "32x32, 64x64 and 128x128 pixels",
     [](const ImageShape& image) {
       return square_of({32, 64, 128}, image);
     },
     make_dcgan_generator, make_dcgan_discriminator},
    {"resnet", "32x32 and 64x64 pixels",
     [](const ImageShape& image) {
       return square_of({32, 64}, image);
     },
     make_resnet_generator, make_resnet_discriminator},
    {"r3gan", "32x32 and 64x64 pixels",
     [](const ImageShape& image) {
       return square_of({32, 64}, image);
     },
     make_r3gan_generator, make_r3gan_discriminator},
    {"dirac", "images of a single value (1x1x1)",
     [](const ImageShape& image) { return image.values() == 1; },
     make_dirac_generator, make_dirac_discriminator, /*takes_labels=*/false},
}};

Error configuration_error(std::string message) {
  return Error{std::move(message), ExitCode::kConfiguration};
}

// "'a', 'b'" of the models that `keep`.
template <typename Predicate>
std::string list_models(Predicate keep) {
  std::string list;
  for (const Entry& entry : kEntries)
    if (keep(entry))
      list += fmt::format("{}'{}'", list.empty() ? "" : ", ", entry.name);
  return list;
}

Error wrong_size(const Entry& entry, const ImageShape& image) {
  const std::string others =
      list_models([&](const Entry& other) { return other.fits(image); });
  return configuration_error(fmt::format(
      "model '{}' is for {}, and the images are {}x{}x{} (channels x height x "
      "width): {}",
      entry.name, entry.sizes, image.channels, image.height, image.width,
      others.empty() ? "no model is for them; resize them"
                     : "use " + others + ", or resize the images"));
}

// What every model needs of images and labels.
Result<void> check_inputs(const ImageShape& image, Condition condition) {
  if (image.values() == 0)
    return configuration_error(
        fmt::format("images of {}x{}x{} have no values: check the data set",
                    image.channels, image.height, image.width));
  if (condition != Condition::kNone && image.classes == 0)
    return configuration_error(fmt::format(
        "condition '{}' needs labels and the data has none: use labelled data, "
        "or condition 'none'",
        name_of(kConditionNames, condition)));
  return {};
}

Result<void> check_latent(std::uint32_t latent) {
  if (latent > 0) return {};
  return configuration_error(
      "a latent of size 0 gives the generator nothing to draw from: set it "
      "to 100, say");
}

Result<const Entry*> find(std::string_view model, const ImageShape& image,
                          Condition condition) {
  const auto* entry =
      std::find_if(kEntries.begin(), kEntries.end(),
                   [&](const Entry& e) { return e.name == model; });
  if (entry == kEntries.end())
    return configuration_error(
        fmt::format("there is no model '{}': choose one of {}, or one of your "
                    "own with script:FILE",
                    model, list_models([](const Entry&) { return true; })));
  if (image.values() > 0 && !entry->fits(image))
    return wrong_size(*entry, image);
  if (condition != Condition::kNone && !entry->takes_labels)
    return configuration_error(
        fmt::format("model '{}' takes no labels: use condition 'none', not "
                    "'{}'",
                    model, name_of(kConditionNames, condition)));
  if (auto fits = check_inputs(image, condition); !fits) return fits.error();
  return entry;
}

// Makes a network of `model`. LibTorch throws when there is no memory for the
// weights.
template <typename Make>
auto make_network(std::string_view model, Make make)
    -> Result<decltype(make())> {
  return guarded(
      fmt::format("cannot make model '{}' (is there memory for it?)", model),
      ExitCode::kBug, [&]() -> Result<decltype(make())> { return make(); });
}

std::string schema_line(const std::string& name, const torch::Tensor& value) {
  std::string dims;
  for (const std::int64_t dim : value.sizes())
    dims += fmt::format("{}{}", dims.empty() ? "" : "x", dim);
  return fmt::format("{} float32 {}\n", name, dims);
}

}  // namespace

std::vector<std::string_view> model_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  return names;
}

Result<std::shared_ptr<Generator>> make_generator(std::string_view model,
                                                  const ImageShape& image,
                                                  Condition condition,
                                                  std::uint32_t latent) {
  if (is_script(model)) {
    auto fits = check_inputs(image, condition);
    if (fits) fits = check_latent(latent);
    if (!fits) return fits.error();
    return make_script_generator(model, image, latent);
  }
  const auto entry = find(model, image, condition);
  if (!entry) return entry.error();
  if (auto fits = check_latent(latent); !fits) return fits.error();
  return make_network(
      model, [&] { return (*entry)->generator(image, condition, latent); });
}

Result<std::shared_ptr<Discriminator>> make_discriminator(
    std::string_view model, const ImageShape& image, Condition condition) {
  if (is_script(model)) {
    if (auto fits = check_inputs(image, condition); !fits) return fits.error();
    return make_script_discriminator(model, image, condition);
  }
  const auto entry = find(model, image, condition);
  if (!entry) return entry.error();
  return make_network(
      model, [&] { return (*entry)->discriminator(image, condition); });
}

std::string schema_text(
    const torch::OrderedDict<std::string, torch::Tensor>& tensors,
    const std::string& prefix) {
  std::string text;
  for (const auto& item : tensors)
    if (item.value().is_floating_point())
      text += schema_line(prefix + item.key(), item.value());
  return text;
}

}  // namespace mdgan
