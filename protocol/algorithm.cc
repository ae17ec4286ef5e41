#include "protocol/algorithm.h"

#include "protocol/messages.h"
#include "protocol/tensor_codecs.h"

namespace mdgan {
namespace {

using protocol::DType;
using protocol::TensorMeta;

TensorMeta images_as(DType dtype, const TrainingSpec& spec) {
  return {
      dtype,
      {spec.batch, spec.image.channels, spec.image.height, spec.image.width}};
}

DType dtype_of(ImageCodec codec) {
  return codec == ImageCodec::kUint8 ? DType::kUint8 : DType::kFloat32;
}

DType dtype_of(FeedbackCodec codec) {
  switch (codec) {
    case FeedbackCodec::kBfloat16:
      return DType::kBfloat16;
    case FeedbackCodec::kInt8:
      return DType::kInt8;
    case FeedbackCodec::kFloat32:
      break;
  }
  return DType::kFloat32;
}

}  // namespace

std::vector<TensorMeta> batch_metas(const TrainingSpec& spec,
                                    const TensorCodecs& codecs,
                                    std::uint64_t parameters) {
  if (traits_of(spec.algorithm).content == RoundContent::kReplica)
    return {{DType::kFloat32, {parameters}}};
  std::vector<TensorMeta> metas{images_as(dtype_of(codecs.image), spec)};
  if (spec.condition != Condition::kNone)
    metas.push_back({DType::kInt32, {spec.batch}});
  return metas;
}

std::vector<TensorMeta> answer_metas(const TrainingSpec& spec,
                                     const TensorCodecs& codecs,
                                     std::uint64_t parameters) {
  if (traits_of(spec.algorithm).content == RoundContent::kReplica)
    return {{DType::kFloat32, {parameters}}};
  const TensorMeta one_each{DType::kFloat32, {spec.batch}};
  std::vector<TensorMeta> metas{images_as(dtype_of(codecs.feedback), spec),
                                one_each};
  if (codecs.feedback == FeedbackCodec::kInt8) metas.push_back(one_each);
  return metas;
}

std::vector<TensorMeta> transfer_metas(const TrainingSpec& spec,
                                       const TensorCodecs& codecs,
                                       std::uint64_t parameters) {
  const DType dtype =
      codecs.swap == SwapCodec::kFloat32 ? DType::kFloat32 : DType::kBfloat16;
  return std::vector<TensorMeta>(spec.swap_optimizer ? 3 : 1,
                                 TensorMeta{dtype, {parameters}});
}

}  // namespace mdgan
