#include "protocol/algorithm.h"

#include "protocol/messages.h"
#include "protocol/tensor_codecs.h"
#include "tests/support/catch.h"

namespace mdgan::test {

using protocol::DType;
using Metas = std::vector<protocol::TensorMeta>;

namespace {

TrainingSpec spec_of(Algorithm algorithm) {
  TrainingSpec spec;
  spec.algorithm = algorithm;
  spec.image = {1, 4, 5, 10};
  spec.batch = 3;
  return spec;
}

}  // namespace

TEST_CASE("an algorithm's ability is its name; every peer has the first's") {
  for (std::size_t i = 0; i < kAlgorithms.size(); ++i) {
    const AlgorithmTraits& traits = traits_of(kAlgorithmNames[i].first);
    CHECK(traits.algorithm == kAlgorithmNames[i].first);
    CHECK(traits.ability == (i == 0 ? "" : kAlgorithmNames[i].second));
  }
}

TEST_CASE("md-gan's batches and answers have the codecs' types") {
  TrainingSpec spec = spec_of(Algorithm::kMdGan);
  const std::vector<std::uint64_t> images{3, 1, 4, 5};
  CHECK((batch_metas(spec, {}, 9) == Metas{{DType::kFloat32, images}}));
  CHECK((answer_metas(spec, {}, 9) ==
         Metas{{DType::kFloat32, images}, {DType::kFloat32, {3}}}));
  spec.condition = Condition::kAcgan;
  CHECK((batch_metas(spec, {.image = ImageCodec::kUint8}, 9) ==
         Metas{{DType::kUint8, images}, {DType::kInt32, {3}}}));
  CHECK((answer_metas(spec, {.feedback = FeedbackCodec::kBfloat16}, 9) ==
         Metas{{DType::kBfloat16, images}, {DType::kFloat32, {3}}}));
  CHECK((answer_metas(spec, {.feedback = FeedbackCodec::kInt8}, 9) ==
         Metas{{DType::kInt8, images},
               {DType::kFloat32, {3}},
               {DType::kFloat32, {3}}}));
}

TEST_CASE("a replica goes out and comes back as one tensor") {
  const auto algorithm = GENERATE(Algorithm::kFlGan, Algorithm::kDataParallel);
  const TrainingSpec spec = spec_of(algorithm);
  CHECK((batch_metas(spec, {}, 9) == Metas{{DType::kFloat32, {9}}}));
  CHECK((answer_metas(spec, {}, 9) == Metas{{DType::kFloat32, {9}}}));
}

}  // namespace mdgan::test
