// Decodes the files that standard input names, one a line. For each it writes
// "CHANNELS HEIGHT WIDTH" and the pixels, or "error MESSAGE", on a line.

#include <iostream>
#include <string>

#include "common/data/image_file.h"

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    const auto image = mdgan::read_image(path);
    if (!image) {
      std::cout << "error " << image.error().message << '\n';
      continue;
    }
    std::cout << image->channels << ' ' << image->height << ' ' << image->width
              << '\n';
    std::cout.write(reinterpret_cast<const char*>(image->pixels.data()),
                    static_cast<std::streamsize>(image->pixels.size()));
    std::cout << '\n';
  }
  return std::cout.flush() ? 0 : 1;
}
