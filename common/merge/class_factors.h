// How the samples of a round's batches count where each batch has the labels of
// some peers' shards, so that the classes count as the run wishes.
//
// Let batch g draw its labels from the class counts c_g(y), and p_g(y) =
// c_g(y) / |c_g|. A discriminator that is trained where real and generated
// images have labels of p_g is asked about no class that it has not seen. What
// all batches say is then weighed so that class y has the share t(y):
//
//   factor_g(y) = m_g t(y) / sum_h m_h p_h(y),
//
// m_g being the images of the peers that answered to batch g, since
// sum_g factor_g(y) p_g(y) = t(y).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/training_spec.h"  // name_of(kClassShareNames, share)

namespace mdgan {

// How often each class counts, t(y).
enum class ClassShare {
  kUniform,  // each class that an answering peer has, equally
  kData,     // as in the answering peers' data together
};
inline constexpr std::array<std::pair<ClassShare, std::string_view>, 2>
    kClassShareNames{{
        {ClassShare::kUniform, "uniform"},
        {ClassShare::kData, "data"},
    }};

// No class of a batch counts more than so many times the mean: one that is rare
// in all data together comes up rarely, and would then move the generator by a
// leap. It has less than its share instead.
inline constexpr double kMostClassFactor = 16;

// One of the round's batches, and the answers to it.
struct AnsweredBatch {
  std::span<const std::uint64_t> counts;  // c_g, of each class; sum > 0
  std::size_t answers = 0;
  double images = 0;  // m_g, of the shards of those that answered
};

// The factors [batch][class] for sums of answers that are divided by the number
// of all answers: factor_g(y) * (all answers) / (answers to g). 0 where there
// was no answer or p_g(y) = 0.
// REQUIRES: all batches have equally many classes.
std::vector<std::vector<double>> class_factors(
    std::span<const AnsweredBatch> batches, ClassShare share);

}  // namespace mdgan
