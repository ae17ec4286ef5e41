#include "common/train/discriminator/replay_history.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/train/discriminator/training_inputs.h"

namespace mdgan {
namespace {

constexpr const char* kImages = "replay.images";
constexpr const char* kLabels = "replay.labels";

// The meta of n such tensors stacked in one.
protocol::TensorMeta stacked(protocol::TensorMeta one, std::uint64_t n) {
  one.dims.insert(one.dims.begin(), n);
  return one;
}

// A copy of the i-th of the stacked tensors, which does not keep the others in
// memory.
Blob part_of(const Blob& all, std::uint64_t i) {
  protocol::TensorMeta meta = all.meta;
  meta.dims.erase(meta.dims.begin());
  const std::size_t size = all.bytes.size() / all.meta.dims.front();
  return copy_blob(std::move(meta), all.bytes.subspan(i * size, size));
}

Blob find_blob(const std::vector<NamedBlob>& tensors, std::string_view name) {
  const auto it = std::ranges::find(tensors, name, &NamedBlob::name);
  return it == tensors.end() ? Blob{} : it->blob;
}

}  // namespace

void ReplayHistory::add(Round round, GeneratedBatch batch) {
  while (!batches_.empty() && batches_.back().round >= round)
    batches_.pop_back();
  if (batches_.size() == spec_.local_steps) batches_.pop_front();
  batches_.push_back({std::move(batch), round});
}

const GeneratedBatch& ReplayHistory::of_step(std::uint32_t step) const {
  const std::size_t missing = spec_.local_steps - batches_.size();
  return batches_[std::max<std::size_t>(step, missing) - missing].batch;
}

std::vector<NamedBlob> ReplayHistory::saved() const {
  if (batches_.empty()) return {};
  const auto joined = [&](const char* name, Blob GeneratedBatch::*part) {
    const NewBlob all = make_blob(
        stacked((batches_.front().batch.*part).meta, batches_.size()));
    std::byte* to = all.bytes.data();
    for (const Kept& kept : batches_)
      to = std::ranges::copy((kept.batch.*part).bytes, to).out;
    return NamedBlob{name, all.blob};
  };
  std::vector<NamedBlob> tensors{joined(kImages, &GeneratedBatch::images)};
  if (conditional())
    tensors.push_back(joined(kLabels, &GeneratedBatch::labels));
  return tensors;
}

void ReplayHistory::load(const std::vector<NamedBlob>& tensors) {
  batches_.clear();
  const Blob images = find_blob(tensors, kImages);
  const Blob labels = find_blob(tensors, kLabels);
  if (!is_kept() || images.meta.dims.empty()) return;
  const std::uint64_t n = images.meta.dims.front();
  if (images.meta != stacked(image_meta(spec_), n) || !is_finite(images))
    return;
  if (conditional() && (labels.meta != stacked(label_meta(spec_), n) ||
                        !are_labels(spec_, labels)))
    return;
  for (std::uint64_t i = n - std::min<std::uint64_t>(n, spec_.local_steps);
       i < n; ++i)
    batches_.push_back(
        {{part_of(images, i), conditional() ? part_of(labels, i) : Blob{}},
         {}});
}

}  // namespace mdgan
