// A folder of image files, or of one such folder a class.
#pragma once

#include <filesystem>

#include "common/base/result.h"
#include "common/data/dataset.h"

namespace mdgan {

// Images and classes are in the order of their names' bytes. One channel if all
// images are grey, else three; what an image is its content says. Other files
// are left out, and their number is logged; names that begin with '.' and
// folders that only systems make (__MACOSX, @eaDir, lost+found, ...) do not
// count at all. A class may have its images in CLASS/images. train/CLASS and
// test/CLASS are the parts of a data set.
//
// Fails with kData like load_dataset(), also on a class without images and on
// images beside folders. Names all bad images at once, the first 20 with what
// is wrong. With reading.skip_bad files that cannot be read are left out, and a
// warning counts them; then a class that has no other images fails.
// REQUIRES: kTest only where has_split().
Result<Dataset> load_image_folder(const std::filesystem::path& directory,
                                  DataPart part, const ImageReading& reading);

}  // namespace mdgan
