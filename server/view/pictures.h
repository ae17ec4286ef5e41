// The pictures that a run has drawn: samples/NNNNNN.png.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "server/view/http_message.h"

namespace mdgan {

inline constexpr std::size_t kMostPictures = 1000;  // that are listed

// {"total": n, "pictures": [{"round": 500, "file": "000500.png"}, ...]} by
// round; of more than kMostPictures an even choice with the first and the last.
std::string pictures_json(const std::filesystem::path& samples);

// The file of that name, or 404 where it is none of a picture; without its
// bytes where `if_none_match` is its ETag.
HttpResponse picture(const std::filesystem::path& samples,
                     const std::string& name, const std::string& if_none_match);

}  // namespace mdgan
