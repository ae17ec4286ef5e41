// How much a sequence of noisy sums tells of one image: Renyi differential
// privacy (RDP) of the Gaussian mechanism under Poisson sampling, at integer
// orders (Mironov, Talwar and Zhang 2019, "Renyi differential privacy of the
// sampled Gaussian mechanism", section 3.3). Two data sets are neighbours if
// one has one image more. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mdgan {

// The orders alpha, ascending, all at least 2. A curve is the RDP at each.
std::span<const std::uint32_t> rdp_orders();
using RdpCurve = std::vector<double>;

// The curve of one step: each image is in the sum with probability `rate`, its
// part is at most C long, and the noise has the standard deviation noise * C.
// Curves of steps add up. REQUIRES: 0 < rate <= 1 and noise > 0.
RdpCurve rdp_of_step(double rate, double noise);

// The least epsilon for which what has this curve is (epsilon, delta)-private
// (Canonne, Kamath and Steinke 2020, proposition 12). REQUIRES: a value for
// each order, and 0 < delta < 1.
double epsilon_of(std::span<const double> curve, double delta);

}  // namespace mdgan
