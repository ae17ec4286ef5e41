#include "peer/hold_out.h"

#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "common/evaluate/site_metrics.h"
#include "common/files/read_file.h"
#include "peer/peer_keys.h"

namespace mdgan {

Result<HeldOut> hold_out(const PeerOptions& options,
                         const ImageShape& trained_on,
                         const std::string& hostname) {
  if (options.evaluate_data.empty()) return HeldOut{};
  const bool has_part = has_test_part(options.evaluate_data);
  std::error_code ignored;  // then they are two folders
  if (!has_part &&
      std::filesystem::equivalent(options.evaluate_data, options.data, ignored))
    return Error{options.evaluate_data +
                     " has no test part, and the peer trains on all of it: "
                     "hold images out into another folder for --evaluate-data",
                 ExitCode::kData};
  auto images = load_dataset(options.evaluate_data,
                             has_part ? DataPart::kTest : DataPart::kTrain,
                             options.reading);
  if (!images) return images.error();
  if (images->shape.channels != trained_on.channels ||
      images->shape.height != trained_on.height ||
      images->shape.width != trained_on.width)
    return Error{options.evaluate_data +
                     ": its images have another size or number of channels "
                     "than those to train on: give --size and --channels",
                 ExitCode::kData};
  const auto sessions = sessions_of(options, default_name(options, hostname));
  auto shards = cut_data(options.partition, images->size(), images->labels,
                         sessions.front().shards);
  if (!shards) return shards.error();
  for (const PeerSessionOptions& session : sessions) {
    const std::size_t images_here = (*shards)[session.shard].size();
    if (images_here < kFewestHeldOut)
      return Error{fmt::format("{}: {} gets {} images to measure with, fewer "
                               "than {}: hold out more, or leave out "
                               "--evaluate-data",
                               options.evaluate_data, session.name, images_here,
                               kFewestHeldOut),
                   ExitCode::kData};
  }
  const auto file =
      read_file(options.evaluate_classifier, ExitCode::kConfiguration);
  if (!file) return file.error();
  return HeldOut{std::make_shared<const Dataset>(std::move(*images)),
                 std::move(*shards),
                 copy_blob({protocol::DType::kUint8, {file->size()}},
                           std::as_bytes(std::span(*file)))};
}

}  // namespace mdgan
