// The binary version of CIFAR-10 (cs.toronto.edu/~kriz/cifar.html): records of
// one label byte and 32x32 red, green and blue bytes.
#pragma once

#include <filesystem>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

// Whether the directory holds one of the part's files: five for training, one
// for testing.
bool has_cifar_files(const std::filesystem::path& directory, DataPart part);

// Fails with kData like load_dataset().
Result<Dataset> load_cifar(const std::filesystem::path& directory,
                           DataPart part);

}  // namespace mdgan
