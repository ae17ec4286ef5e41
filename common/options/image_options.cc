#include "common/options/image_options.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "protocol/limits.h"

namespace mdgan {
namespace {

CustomValue size_value(ImageReading* reading) {
  return {fmt::format("like 28x28 (height x width), with sides in [1, {}]",
                      protocol::kMaxImageSide),
          [=] {
            if (!reading->has_size()) return std::string();
            return fmt::format("{}x{}", reading->height, reading->width);
          },
          [=](std::string_view text) {
            std::uint32_t height = 0;
            std::uint32_t width = 0;
            if (!text.empty() &&
                (!read_sides(text, {&height, &width}) ||
                 std::min(height, width) == 0 ||
                 std::max(height, width) > protocol::kMaxImageSide))
              return false;
            reading->height = height;
            reading->width = width;
            return true;
          }};
}

CustomValue channels_value(std::uint32_t* channels) {
  return {"1 or 3",
          [=] {
            return *channels == 0 ? std::string() : std::to_string(*channels);
          },
          [=](std::string_view text) {
            if (!text.empty() && text != "1" && text != "3") return false;
            *channels =
                text.empty() ? 0 : static_cast<std::uint32_t>(text[0] - '0');
            return true;
          }};
}

}  // namespace

OptionGroup images_group(ImageReading* reading) {
  return {
      "The images",
      {{"size", size_value(reading), "HxW",
        "Bring all images to this height and width, as --fit says. Sites that "
        "train together need one size. Empty: images keep theirs, which must "
        "be the same for all."},
       {"fit", one_of(&reading->fit, kFitNames), "NAME",
        "What becomes of an image of another size than --size. error: the "
        "start is refused. crop: it is scaled until it covers the size, and "
        "what juts out is cut off. pad: it is scaled until it lies within, on "
        "black. Scaling is bicubic and smooths what it makes smaller."},
       {"channels", channels_value(&reading->channels), "N",
        "1: make all images grey. 3: make all RGB. Sites that train together "
        "need one number. Empty: grey where all images are, else RGB."},
       {"skip-bad", &reading->skip_bad, "",
        "Leave out the image files of a folder that cannot be read, with a "
        "warning that counts them. Without it they are all named, and the "
        "start is refused."}}};
}

Result<void> check_images(const ImageReading& reading) {
  if (reading.fit == Fit::kError || reading.has_size()) return {};
  return Error{fmt::format("fit = {} needs the size that all images are to "
                           "have: give --size HxW",
                           name_of(kFitNames, reading.fit)),
               ExitCode::kUsage};
}

bool read_sides(std::string_view text,
                std::initializer_list<std::uint32_t*> sides) {
  const char* at = text.data();
  const char* const end = at + text.size();
  bool first = true;
  for (std::uint32_t* side : sides) {
    if (!first && (at == end || *at++ != 'x')) return false;
    first = false;
    const auto [next, error] = std::from_chars(at, end, *side);
    if (error != std::errc{}) return false;
    at = next;
  }
  return at == end;
}

}  // namespace mdgan
