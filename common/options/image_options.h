// The options of both programs that say how images are read.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "common/base/result.h"
#include "common/data/image_reading.h"
#include "common/options/options_parser.h"

namespace mdgan {

// `reading` must outlive the group.
OptionGroup images_group(ImageReading* reading);

// Fails with kUsage where options contradict each other.
Result<void> check_images(const ImageReading& reading);

// Reads numbers with an 'x' between them, such as 28x28, into as many sides;
// false: it is something else.
bool read_sides(std::string_view text,
                std::initializer_list<std::uint32_t*> sides);

}  // namespace mdgan
