// Downstream utility: what a classifier learns from generated images alone. In
// the field "train on synthetic, test on real", TSTR (Esteban, Hyland, Raetsch
// 2017, arXiv 1706.02633, as a measure for medical data).
#pragma once

#include <cstdint>

#include "common/base/result.h"
#include "common/evaluate/classifier.h"
#include "common/evaluate/evaluation_data.h"
#include "common/train/generator/sampler.h"
#include "protocol/training_spec.h"
#include "server/evaluate/evaluation_record.h"

namespace mdgan {

// Trains a Classifier on as many images of the generator as data.train has, at
// most 60,000, all of its classes alike, and measures it on data.test; beside
// it the one that was trained on data.train. `classes` are the names of the
// generator's classes, of which the data may lack some. Takes minutes. Fails
// with kConfiguration when the generator draws no class, or none of the data's,
// or images of another size; and like Classifier::obtain().
Result<Utility> measure_utility(const Sampler& generator,
                                const ClassNames& classes,
                                const EvaluationData& data,
                                const ClassifierOptions& options,
                                std::uint64_t seed);

}  // namespace mdgan
