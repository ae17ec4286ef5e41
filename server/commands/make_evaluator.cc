#include "server/commands/make_evaluator.h"

#include <cstdlib>
#include <utility>

#include "common/tensor/device.h"

namespace mdgan {
namespace {

std::filesystem::path cache_folder(const std::string& given) {
  if (!given.empty()) return given;
  for (const auto& [variable, below] :
       {std::pair("XDG_CACHE_HOME", "mdgan"), {"HOME", ".cache/mdgan"}}) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0')
      return std::filesystem::path(value) / below;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Evaluator>> make_evaluator(
    const ServerOptions& options) {
  // The real images' features depend on the number of threads, too: with the
  // run's, the same numbers come out every time.
  set_compute_threads(static_cast<int>(options.threads));
  EvaluatorOptions evaluator;
  evaluator.data =
      options.evaluate_data.empty() ? options.data : options.evaluate_data;
  evaluator.features = options.evaluate_features;
  evaluator.cache = cache_folder(options.evaluate_cache);
  evaluator.samples = options.evaluate_samples;
  evaluator.device = options.device;
  return Evaluator::create(evaluator);
}

}  // namespace mdgan
