#include <torch/torch.h>

#include <string>
#include <vector>

#include "common/kernels/convolution/backend_name.h"
#include "common/kernels/convolution/convolution.h"
#include "common/kernels/convolution/convolution_stack.h"
#include "common/tensor/flat_parameters.h"
#include "common/tensor/precision.h"
#include "tests/support/catch.h"
#include "tests/support/derivatives.h"

namespace mdgan::test {
namespace {

struct Geometry {
  std::int64_t in, out, side, kernel, stride, padding;
  bool bias;
};

// Images of few and of many channels; heights and widths that a stride divides
// and does not; and a size whose transposed convolution doubles an image
// (common/kernels/convolution/doubling.h).
const std::vector<Geometry> kGeometries{
    {1, 16, 12, 3, 2, 1, true},  {3, 20, 8, 4, 2, 1, false},
    {20, 3, 8, 3, 1, 1, true},   {17, 33, 7, 3, 2, 1, true},
    {16, 32, 5, 5, 1, 2, false}, {40, 8, 1, 4, 1, 3, true},
    {9, 21, 1, 4, 2, 3, false},  {5, 12, 1, 3, 1, 1, false},
    {32, 64, 6, 4, 2, 1, true},  {64, 32, 8, 4, 2, 1, false},
};

struct StackShape {
  std::vector<std::int64_t> channels;
  std::int64_t kernel;
  std::vector<std::int64_t> strides;
  std::int64_t n = 3;
  std::int64_t height = 13, width = 9;
};

// Channels that fill oneDNN's vectors and that do not; one layer, and more;
// many weights, alone, after another layer, and more images than their gradient
// takes at once; wide kernels with few pixels a row, after another kind of
// layer, after each other and before many weights; convolutions that halve an
// image (common/kernels/convolution/halving_convolution.h), after another kind
// of layer and after each other, with images and filters in one part and in
// more, and with enough tiles in twice as many images only.
const std::vector<StackShape> kStacks{
    {{1, 16, 32, 48}, 3, {2, 1, 2}},
    {{3, 20, 33}, 4, {2, 2}},
    {{5, 7}, 3, {1}},
    {{18, 16, 3, 17}, 3, {1, 2, 1}},
    {{2, 260, 450}, 3, {2, 2}},
    {{240, 490}, 3, {1}, 20},
    {{3, 20, 33, 17}, 4, {1, 2, 2}},
    {{3, 64, 1030}, 4, {2, 2}},
    {{3, 32, 96, 64}, 4, {2, 2, 2}, 8, 16, 32},
    {{32, 96, 32}, 4, {2, 2}, 3, 64, 64},
    {{32, 256, 480}, 4, {2, 2}, 3, 16, 32},
    {{32, 64}, 4, {2}, 3, 8, 8}};

struct LayersAndStack {
  explicit LayersAndStack(const StackShape& shape) {
    for (std::size_t i = 0; i < shape.strides.size(); ++i) {
      layers.push_back(module.register_module(
          "conv" + std::to_string(i),
          torch::nn::Conv2d(torch::nn::Conv2dOptions(shape.channels[i],
                                                     shape.channels[i + 1],
                                                     shape.kernel)
                                .stride(shape.strides[i])
                                .padding(1))));
      stack.push_back(layers.back());
    }
    parameters = module.parameters();
  }

  torch::nn::Module module;
  std::vector<torch::nn::Conv2d> layers;
  std::vector<torch::Tensor> parameters;  // weights and biases in turn
  ConvolutionStack stack;
};

std::string describe(const StackShape& shape) {
  return std::to_string(shape.strides.size()) + " layers from " +
         std::to_string(shape.channels.front()) + " channels";
}

std::string describe(const Geometry& g) {
  return std::to_string(g.in) + " to " + std::to_string(g.out) +
         " channels, side " + std::to_string(g.side) + ", kernel " +
         std::to_string(g.kernel) + ", stride " + std::to_string(g.stride);
}

}  // namespace

TEST_CASE("a convolution is the layer's, and so are its derivatives",
          "[models]") {
  torch::manual_seed(1);
  for (const Geometry& g : kGeometries) {
    INFO(describe(g));
    torch::nn::Conv2d layer(torch::nn::Conv2dOptions(g.in, g.out, g.kernel)
                                .stride(g.stride)
                                .padding(g.padding)
                                .bias(g.bias));
    const torch::Tensor x = torch::randn({3, g.in, g.side, g.side});
    check_alike(
        taken_from([&](const auto& images) { return convolve(layer, images); },
                   layer->parameters(), x),
        taken_from([&](const auto& images) { return layer->forward(images); },
                   layer->parameters(), x));
  }
}

TEST_CASE(
    "a stack of convolutions is its layers in turn, and so are its "
    "derivatives",
    "[models]") {
  torch::manual_seed(1);
  for (const StackShape& shape : kStacks) {
    INFO(describe(shape));
    LayersAndStack both(shape);
    const auto& parameters = both.parameters;
    const std::int64_t channels = shape.channels[0];
    const torch::Tensor x =
        torch::randn({shape.n, channels, shape.height, shape.width});
    const auto in_turn = [&](const torch::Tensor& images) {
      torch::Tensor y = images;
      for (auto& layer : both.layers)
        y = torch::leaky_relu(layer->forward(y), 0.2);
      return y;
    };
    const auto at_once = [&](const torch::Tensor& images) {
      return both.stack.forward(images);
    };
    for (const torch::Tensor& images :
         {x, x.to(torch::MemoryFormat::ChannelsLast)})
      check_alike(taken_from(at_once, parameters, images),
                  taken_from(in_turn, parameters, images));
    CHECK_THROWS(at_once(torch::randn({3, channels + 1, 13, 9})));
    CHECK_THROWS(at_once(torch::randn({3, channels, 13, 0})));
    CHECK_THROWS(at_once(torch::randn({channels})));
    // A sum's gradient has strides of 0.
    CHECK(torch::allclose(
        torch::autograd::grad({at_once(x).sum()}, {parameters[0]}).front(),
        torch::autograd::grad({in_turn(x).sum()}, {parameters[0]}).front(),
        1e-4, 1e-3));
    const LayerByLayerGuard guard;
    check_alike(taken_from(at_once, parameters, x),
                taken_from(in_turn, parameters, x));
    CHECK_THROWS(at_once(torch::randn({3, channels + 1, 13, 9})));
  }
}

TEST_CASE("weights kept in another order give the same bits", "[models]") {
  torch::manual_seed(1);
  int reordered = 0;
  for (const StackShape& shape : kStacks) {
    INFO(describe(shape));
    LayersAndStack both(shape);
    ConvolutionStack& stack = both.stack;
    const torch::Tensor values = flatten_parameters(both.module);
    const torch::Tensor moments = torch::randn_like(values);
    const torch::Tensor plain_values = values.clone();
    const torch::Tensor plain_moments = moments.clone();
    const torch::Tensor x = torch::randn(
        {2 * shape.n, shape.channels[0], shape.height, shape.width});
    const torch::Tensor few = x.narrow(0, 0, shape.n).clone().requires_grad_();
    struct Taken {
      torch::Tensor y, by_parameters, by_few;
    };
    const auto taken = [&] {
      const torch::Tensor y = stack.forward(x);
      std::vector<torch::Tensor> parts;
      for (const torch::Tensor& part : gradients_of(
               y.sin().sum(), /*weights=*/{}, both.module.parameters()))
        parts.push_back(part.flatten());
      return Taken{
          y, torch::cat(parts),
          torch::autograd::grad({stack.forward(few).sin().sum()}, {few})
              .front()};
    };
    const Taken before = taken();

    stack.to_fastest_layout(x, {values, moments});
    const Taken ordered = taken();
    stack.to_fastest_layout(x, {values, moments});  // they are
    CHECK(values.equal(plain_values) == moments.equal(plain_moments));
    reordered += values.equal(plain_values) ? 0 : 1;
    if (backend::has_own_layouts()) {
      CHECK_THROWS(stack.forward(x.slice(3, 1)));
      CHECK_THROWS(torch::autograd::grad({stack.forward(few).sum()}, {few}, {},
                                         /*retain_graph=*/true,
                                         /*create_graph=*/true));
      const LayerByLayerGuard guard;
      CHECK_THROWS(stack.forward(x));
    }
    CHECK(ordered.y.equal(before.y));
    CHECK(ordered.by_few.equal(before.by_few));

    stack.to_row_major({values, moments, ordered.by_parameters});
    CHECK(values.equal(plain_values));
    CHECK(moments.equal(plain_moments));
    CHECK(ordered.by_parameters.equal(before.by_parameters));
    stack.to_row_major({values, moments});  // they are
    CHECK(values.equal(plain_values));
    CHECK(stack.forward(x).equal(before.y));
  }
  // Where channels do not fill vectors, another layout takes more room.
  CHECK((reordered > 0) == backend::has_own_layouts());
}

TEST_CASE("a transposed convolution is the layer's, and so are its derivatives",
          "[models]") {
  torch::manual_seed(1);
  for (const Geometry& g : kGeometries) {
    for (std::int64_t more = 0; more < g.stride; ++more) {
      INFO(describe(g) << ", output padding " << more);
      torch::nn::ConvTranspose2d layer(
          torch::nn::ConvTranspose2dOptions(g.out, g.in, g.kernel)
              .stride(g.stride)
              .padding(g.padding == 3 ? 0 : g.padding)
              .output_padding(more)
              .bias(g.bias));
      const torch::Tensor images = torch::randn({3, g.out, g.side, g.side});
      for (const torch::Tensor& x :
           {images, images.contiguous(torch::MemoryFormat::ChannelsLast)})
        check_alike(
            taken_from(
                [&](const auto& from) { return deconvolve(layer, from); },
                layer->parameters(), x),
            taken_from([&](const auto& from) { return layer->forward(from); },
                       layer->parameters(), x));
      CHECK_THROWS(
          deconvolve(layer, torch::randn({3, 2 * g.out, g.side, g.side})));
    }
  }
}

TEST_CASE("convolutions in bfloat16 are near those in float32") {
  if (!set_precision(Precision::kBfloat16, "cpu")) {
    WARN("skipped: this processor has no instructions for bfloat16");
    CHECK(precision() == Precision::kFloat32);
    return;
  }
  torch::manual_seed(3);
  torch::nn::Conv2d down(
      torch::nn::Conv2dOptions(16, 32, 3).stride(2).padding(1));
  torch::nn::ConvTranspose2d up(
      torch::nn::ConvTranspose2dOptions(32, 16, 4).stride(2).padding(1));
  const torch::Tensor x = torch::randn({4, 16, 12, 12}).requires_grad_();
  const auto pass = [&] {
    const torch::Tensor y = deconvolve(up, torch::relu(convolve(down, x)));
    auto taken = torch::autograd::grad({y.square().mean()},
                                       {x, down->weight, up->weight, up->bias});
    taken.push_back(y.detach());
    return taken;
  };
  const auto rounded = pass();
  REQUIRE(set_precision(Precision::kFloat32, "cpu").ok());
  const auto exact = pass();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    INFO("tensor " << i);
    CHECK(rounded[i].scalar_type() == torch::kFloat32);
    const double error =
        ((rounded[i] - exact[i]).norm() / exact[i].norm()).item<double>();
    // bfloat16 has 8 bits: each rounding is off by at most 2^-9, and a few
    // follow each other.
    CHECK(error < 0.02);
    CHECK(error > 1e-5);  // it was rounded indeed
  }
}

}  // namespace mdgan::test
