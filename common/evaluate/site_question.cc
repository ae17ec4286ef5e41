#include "common/evaluate/site_question.h"

#include "protocol/limits.h"

namespace mdgan {

bool is_site_question(const std::vector<protocol::TensorMeta>& tensors) {
  using protocol::TensorMeta;
  using enum protocol::DType;
  constexpr std::uint64_t kFewest = 4;  // each has a third neighbour
  if (tensors.size() != 2 || tensors[0].dims.size() != 2) return false;
  const std::uint64_t n = tensors[0].dims[0];
  return n >= kFewest && n <= protocol::kMaxBatch &&
         tensors[0] == TensorMeta{kFloat32, {n, kClassifierFeatures}} &&
         tensors[1] == TensorMeta{kFloat32, {n}};
}

}  // namespace mdgan
