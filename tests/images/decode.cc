// Decodes the files that standard input names, one a line: "FIT HEIGHT WIDTH
// CHANNELS PATH", with the numbers 0 and "error" for an image as it is. For
// each it writes "CHANNELS HEIGHT WIDTH" and the pixels, or "error MESSAGE", on
// a line.

#include <iostream>
#include <sstream>
#include <string>

#include "common/data/image_file.h"
#include "common/data/image_fit.h"
#include "protocol/training_spec.h"

namespace {

// Reads the line up to the path.
bool read(std::istream& line, mdgan::ImageReading& reading, std::string& path) {
  std::string fit;
  line >> fit >> reading.height >> reading.width >> reading.channels;
  const auto found = mdgan::value_of(mdgan::kFitNames, fit);
  if (!found || !line) return false;
  reading.fit = *found;
  line.get();
  return static_cast<bool>(std::getline(line, path));
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    mdgan::ImageReading reading;
    std::string path;
    std::istringstream words(line);
    if (!read(words, reading, path)) return 2;
    auto image = mdgan::read_image(path);
    if (!image) {
      std::cout << "error " << image.error().message << '\n';
      continue;
    }
    mdgan::fit_image(*image, reading);
    std::cout << image->channels << ' ' << image->height << ' ' << image->width
              << '\n';
    std::cout.write(reinterpret_cast<const char*>(image->pixels.data()),
                    static_cast<std::streamsize>(image->pixels.size()));
    std::cout << '\n';
  }
  return std::cout.flush() ? 0 : 1;
}
