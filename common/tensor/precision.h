// The precision in which convolutions are computed. No LibTorch.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "common/base/result.h"

namespace mdgan {

// kBfloat16 rounds the inputs, outputs and gradients of convolutions to
// bfloat16 (8 bits of precision, float32's range) and sums products in float32.
// Weights, moments, losses, penalties, everything else and what travels stay
// float32. This is the mixed precision of Micikevicius et al. 2018, with
// bfloat16's range in place of loss scaling.
enum class Precision { kFloat32, kBfloat16 };
inline constexpr std::array<std::pair<Precision, std::string_view>, 2>
    kPrecisionNames{{
        {Precision::kFloat32, "float32"},
        {Precision::kBfloat16, "bf16"},
    }};

// Sets the precision of the whole process; call it before anything is computed.
// Fails with kConfiguration for bf16 when `device` is a CPU that has no
// instructions for it, where it would be slower.
Result<void> set_precision(Precision precision, std::string_view device);
Precision precision();

}  // namespace mdgan
