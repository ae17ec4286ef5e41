// The evaluator that a run's configuration asks for.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "server/evaluate/evaluator.h"
#include "server/options.h"

namespace mdgan {

// Sets the calling thread's threads of arithmetic to options.threads.
// Classifiers are kept in options.evaluate_cache, else in $XDG_CACHE_HOME/mdgan
// or ~/.cache/mdgan. Fails as Evaluator::create().
// REQUIRES: options.evaluate_data or options.data is given.
Result<std::unique_ptr<Evaluator>> make_evaluator(const ServerOptions& options);

}  // namespace mdgan
