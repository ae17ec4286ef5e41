// Images of another size and number of channels, in the same bits on every
// machine.
//
// Pure: no files.
#pragma once

#include "common/data/image_file.h"
#include "common/data/image_reading.h"

namespace mdgan {

// Whether the image has the size that is wanted, or none is.
bool has_size(const Image& image, const ImageReading& reading);

// Brings the image to the size and the channels that are wanted. Each value is
// the one that Pillow gives for 8 bits: ImageOps.fit() or ImageOps.pad() with
// BICUBIC, which smooths where it makes smaller; convert("L") for grey.
// REQUIRES: has_size(), or a fit other than kError.
void fit_image(Image& image, const ImageReading& reading);

}  // namespace mdgan
