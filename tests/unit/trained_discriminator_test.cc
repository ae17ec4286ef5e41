#include "common/train/discriminator/trained_discriminator.h"

#include <torch/torch.h>

#include "common/kernels/convolution/backend_name.h"
#include "common/kernels/convolution/convolution_stack.h"
#include "common/models/registry.h"
#include "common/tensor/tensor_blob.h"
#include "tests/support/catch.h"

namespace mdgan::test {
namespace {

TrainingSpec dcgan_spec() {
  TrainingSpec spec;
  spec.model = "dcgan";
  spec.image.channels = 3;
  spec.image.height = spec.image.width = 64;
  spec.batch = 2;
  spec.adam.learning_rate = 0.001;
  return spec;
}

TrainedDiscriminator new_discriminator() {
  const TrainingSpec spec = dcgan_spec();
  auto model = make_discriminator(spec.model, spec.image, spec.condition);
  REQUIRE(model);
  TrainedDiscriminator d(spec, std::move(*model));
  Random random(7, Purpose::kDiscriminatorInit);
  d.initialise(random);
  return d;
}

}  // namespace

TEST_CASE("what a discriminator shows is row-major, whatever its last step was",
          "[trainer]") {
  torch::manual_seed(1);
  const torch::Tensor x = torch::randn({4, 3, 64, 64}), y;
  const auto step = [&](TrainedDiscriminator& d) {
    Random unused(1, Purpose::kPenalty);
    d.step(x, y, unused);
  };
  // The one is looked at, in every way there is, after each step; the other is
  // not, and keeps its layout from the first step on.
  TrainedDiscriminator seen = new_discriminator();
  TrainedDiscriminator unseen = new_discriminator();
  step(unseen);
  step(unseen);
  step(seen);
  const torch::Tensor stepped = seen.forward(x, y).logits.clone();
  {
    // LibTorch's layers throw unless the weights are row-major, and so the
    // logits are those by either way.
    const LayerByLayerGuard guard;
    if (backend::has_own_layouts()) CHECK_THROWS(seen.forward(x, y));
    CHECK(torch::allclose(seen.model().forward(x, y).logits, stepped, 1e-3,
                          1e-4));
  }
  step(seen);
  const torch::Tensor values = seen.values().clone();
  const PeerState state = unseen.snapshot(/*with_optimizer=*/true);
  CHECK(to_tensor(state.parameters).equal(values));
  CHECK(to_tensor(state.first_moment).equal(seen.adam().first_moment()));
  CHECK(to_tensor(state.second_moment).equal(seen.adam().second_moment()));
  CHECK(state.adam_steps == 2);

  // A state that is loaded over another layout.
  step(unseen);
  unseen.load(state);
  CHECK(unseen.values().equal(values));
  step(unseen);
  step(seen);
  CHECK(unseen.values().equal(seen.values()));

  // A gradient from elsewhere, and one for elsewhere.
  Random unused(1, Purpose::kPenalty);
  step(seen);
  step(unseen);
  const torch::Tensor gradient = torch::empty({seen.size()});
  const torch::Tensor same = torch::empty({seen.size()});
  seen.gradient(x, y, unused, gradient);
  seen.step(gradient);
  unseen.values();
  unseen.gradient(x, y, unused, same);
  CHECK(gradient.equal(same));
  step(unseen);
  CHECK(unseen.values().equal(seen.values()));
}

}  // namespace mdgan::test
