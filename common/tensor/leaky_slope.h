// The slope of LeakyReLU below zero, in every network. No LibTorch.
#pragma once

namespace mdgan {

inline constexpr double kLeakySlope = 0.2;

}  // namespace mdgan
