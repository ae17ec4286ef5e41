// `mdgan-peer classifier`.
#pragma once

#include <string>

#include "common/base/result.h"
#include "peer/options.h"

namespace mdgan {

// Trains a classifier of the data's classes and writes it; returns what to say
// of it. Fails as load_evaluation_data() and Classifier::obtain(), and with
// kCheckpoint where the file cannot be written.
Result<std::string> train_classifier(const PeerClassifierOptions& options);

}  // namespace mdgan
