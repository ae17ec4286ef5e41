// The precision of the arithmetic. No LibTorch.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"

namespace mdgan {

// kBfloat16 rounds the inputs, outputs and gradients of convolutions to
// bfloat16 (8 bits of precision, float32's range) and sums products in float32.
// Weights, moments, losses, penalties, everything else and what travels stay
// float32. This is the mixed precision of Micikevicius et al. 2018, with
// bfloat16's range in place of loss scaling. kTf32 lets a GPU round the factors
// of all products to 10 bits (NVIDIA's TensorFloat-32).
enum class Precision { kFloat32, kTf32, kBfloat16 };
inline constexpr std::array<std::pair<Precision, std::string_view>, 3>
    kPrecisionNames{{
        {Precision::kFloat32, "float32"},
        {Precision::kTf32, "tf32"},
        {Precision::kBfloat16, "bf16"},
    }};

// Sets the precision of the whole process; call it before anything is computed.
// Fails with kConfiguration when parse_device(device) does, when a CPU has no
// instructions for bf16, where it would be slower, or a GPU none, and for tf32
// on a CPU.
Result<void> set_precision(Precision precision, const std::string& device);
Precision precision();

}  // namespace mdgan
