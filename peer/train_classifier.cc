#include "peer/train_classifier.h"

#include <spdlog/fmt/fmt.h>

#include <span>

#include "common/evaluate/classifier.h"
#include "common/files/output_file.h"

namespace mdgan {

Result<std::string> train_classifier(const PeerClassifierOptions& options) {
  const auto data = load_evaluation_data(options.data, options.reading);
  if (!data) return data.error();
  ClassifierOptions how;
  how.device = options.device;
  const auto made = Classifier::obtain(*data, how);
  if (!made) return made.error();
  const Blob file = (*made)->file();
  const std::span<const std::byte> parts[] = {file.bytes};
  if (auto written = write_output(options.out, parts); !written)
    return written.error();
  return fmt::format(
      R"({}: right on {:.2f} % of {} images that it was not trained on

It was trained on this folder's images, and goes to the server and from there to
every peer that measures. Whoever runs the server gives it with

    mdgan-server train --evaluate-at peers --evaluate-classifier FILE ...
)",
      options.out, 100 * (*made)->accuracy(), data->test.size());
}

}  // namespace mdgan
