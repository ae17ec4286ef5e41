#include "server/train/round_trainer.h"

#include "server/train/algorithms.h"

namespace mdgan {

Result<std::unique_ptr<RoundTrainer>> make_round_trainer(
    const GeneratorSpec& generator, const DiscriminatorSpec& discriminator,
    const WireCodecs& codecs, const std::string& device) {
  auto g = GeneratorTrainer::create(generator, device);
  if (!g) return g.error();
  switch (discriminator.algorithm) {
    case Algorithm::kFlGan:
      return make_fl_gan_server(std::move(*g), discriminator);
    case Algorithm::kDataParallel:
      return make_data_parallel_server(std::move(*g), discriminator);
    case Algorithm::kMdGan:
      break;
  }
  return make_md_gan_server(std::move(*g), codecs);
}

std::vector<protocol::TensorMeta> answer_metas(const DiscriminatorSpec& spec,
                                               FeedbackCodec codec,
                                               std::uint64_t parameters) {
  using protocol::DType;
  if (spec.algorithm != Algorithm::kMdGan)
    return {{DType::kFloat32, {parameters}}};
  const auto values = [&](DType dtype) -> protocol::TensorMeta {
    return {
        dtype,
        {spec.batch, spec.image.channels, spec.image.height, spec.image.width}};
  };
  const protocol::TensorMeta one_each{DType::kFloat32, {spec.batch}};
  switch (codec) {
    case FeedbackCodec::kFloat32:
      break;
    case FeedbackCodec::kBfloat16:
      return {values(DType::kBfloat16), one_each};
    case FeedbackCodec::kInt8:
      return {values(DType::kInt8), one_each, one_each};
  }
  return {values(DType::kFloat32), one_each};
}

}  // namespace mdgan
