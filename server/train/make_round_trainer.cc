#include "server/train/make_round_trainer.h"

#include <utility>

#include "server/train/algorithms.h"

namespace mdgan {
namespace {

using Maker = MadeRoundTrainer (*)(std::unique_ptr<GeneratorTrainer>,
                                   const TrainingSpec&, const TensorCodecs&);

constexpr std::pair<Algorithm, Maker> kMakers[]{
    {Algorithm::kMdGan, make_md_gan_server},
    {Algorithm::kFlGan, make_fl_gan_server},
    {Algorithm::kDataParallel, make_data_parallel_server},
};

}  // namespace

Result<std::unique_ptr<RoundTrainer>> make_round_trainer(
    const GeneratorSpec& generator, const TrainingSpec& spec,
    const TensorCodecs& codecs, const std::string& device) {
  auto g = GeneratorTrainer::create(generator, device);
  if (!g) return g.error();
  for (const auto& [algorithm, make] : kMakers)
    if (algorithm == spec.algorithm) return make(std::move(*g), spec, codecs);
  return Error{"no server can train the algorithm '" +
                   std::string(name_of(kAlgorithmNames, spec.algorithm)) + "'",
               ExitCode::kConfiguration};
}

std::vector<protocol::TensorMeta> answer_metas(const TrainingSpec& spec,
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
