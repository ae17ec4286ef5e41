// The evaluator that a run's configuration asks for.
#pragma once

#include <filesystem>
#include <memory>

#include "common/base/result.h"
#include "common/evaluate/classifier.h"
#include "server/command_options.h"
#include "server/evaluate/evaluation_at_peers.h"
#include "server/evaluate/evaluator.h"

namespace mdgan {

// The folder with the real images.
std::filesystem::path evaluation_folder(const ServerOptions& options);

// Where its classifiers are kept, and on which device they are.
ClassifierOptions classifier_options(const ServerOptions& options);

// The run's options, with what the command line says instead.
ServerOptions measured_with(const MeasureOptions& given, ServerOptions run);

// What the run's configuration says of measuring. Sets the calling thread's
// threads of arithmetic to options.threads: features depend on their number,
// too. Fails with kUsage where there are neither data nor a script that gives
// features.
Result<EvaluatorOptions> evaluator_options(const ServerOptions& options);

// What has the peers measure. Sets threads likewise. Fails as
// FederatedEvaluator::create() and Classifier::obtain().
Result<EvaluationAtPeers> make_evaluation_at_peers(
    const ServerOptions& options);

// Sets the calling thread's threads of arithmetic to options.threads.
// Classifiers are kept in options.evaluate_cache, else in $XDG_CACHE_HOME/mdgan
// or ~/.cache/mdgan. Fails as Evaluator::create().
// REQUIRES: options.evaluate_data or options.data is given.
Result<std::unique_ptr<Evaluator>> make_evaluator(const ServerOptions& options);

}  // namespace mdgan
