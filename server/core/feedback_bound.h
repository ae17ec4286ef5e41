// How large a feedback may be beside those of the round's other peers. Adam's
// second moment remembers a gradient for thousands of rounds: after a single
// one that is 1e5 times as long as usual, the generator would stand still for
// that time, whatever the rule that merges the answers.
//
// It depends on one round alone, so a resumed run decides the same.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mdgan {

// This bounds an answer where there are no others, and also where there is one
// other. Beyond it a discriminator tells pictures apart that are equal to the
// eye.
inline constexpr double kLargestAlone = 1e4;
// An answer may be so many times as long as the median of the others.
inline constexpr double kLargestMultiple = 100;
// Others that are shorter count as this long: with three answers or more; and
// with two, of which nobody can say which one is wrong.
inline constexpr double kShortest = 1e-3;
inline constexpr double kShortestOfTwo = 1;

// The places of the answers that are too long to be used. A length is that of
// the gradient with respect to one image: the root mean square over the batch.
// A minority of hostile answers cannot have an honest one refused that is
// within 50 times the median of the honest others. REQUIRES: no length is NaN.
std::vector<std::size_t> too_long(std::span<const double> lengths);

}  // namespace mdgan
