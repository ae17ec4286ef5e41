// The binary versions of CIFAR-10 and CIFAR-100 (cs.toronto.edu/~kriz/cifar):
// records of one label byte, or a coarse and a fine one, and 32x32 red, green
// and blue bytes.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

// Whether the directory holds one of the part's files: CIFAR-10's five for
// training and one for testing, or CIFAR-100's train.bin or test.bin.
bool has_cifar_files(const std::filesystem::path& directory, DataPart part);

// Classes are CIFAR-10's ten or CIFAR-100's hundred fine ones. Fails with kData
// like load_dataset(), also on files of both.
Result<Dataset> load_cifar(const std::filesystem::path& directory,
                           DataPart part);

}  // namespace mdgan
