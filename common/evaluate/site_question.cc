#include "common/evaluate/site_question.h"

#include "protocol/limits.h"

namespace mdgan {
namespace {

using protocol::DType;
using protocol::TensorMeta;

// An image's third neighbour is among this many.
constexpr std::uint64_t kFewestGenerated = 4;

// The bytes of the largest file of a classifier of images of this shape.
std::uint64_t classifier_bytes(const ImageShape& image) {
  constexpr std::uint64_t kHeader = 1 << 16;
  const std::uint64_t flat =
      std::uint64_t{64} * (image.height / 4) * (image.width / 4);
  const std::uint64_t parameters =
      std::uint64_t{image.channels} * 32 * 16 + 32 + 32 * 64 * 16 + 64 +
      flat * kClassifierFeatures + kClassifierFeatures +
      (kClassifierFeatures + 1) * protocol::kMaxNamedClasses;
  return kHeader + parameters * sizeof(float);
}

}  // namespace

bool is_site_question(const std::vector<TensorMeta>& tensors,
                      const ImageShape& image) {
  if (tensors.size() < 2 || tensors.size() > 3) return false;
  const TensorMeta& features = tensors[0];
  if (features.dims.size() != 2) return false;
  const std::uint64_t n = features.dims[0];
  if (n < kFewestGenerated || n > protocol::kMaxBatch) return false;
  if (features != TensorMeta{DType::kFloat32, {n, kClassifierFeatures}} ||
      tensors[1] != TensorMeta{DType::kFloat32, {n}})
    return false;
  return tensors.size() == 2 ||
         (tensors[2].dtype == DType::kUint8 && tensors[2].dims.size() == 1 &&
          tensors[2].dims[0] <= classifier_bytes(image));
}

}  // namespace mdgan
