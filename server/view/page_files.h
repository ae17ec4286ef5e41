// The page's files, which are part of the program.
#pragma once

#include <array>
#include <string_view>

namespace mdgan {

struct PageFile {
  std::string_view path;  // "/page.css"
  std::string_view content_type;
  std::string_view body;
};

// index.html (as "/"), page.css, page.js and icon.svg of server/view/page/.
const std::array<PageFile, 4>& page_files();

}  // namespace mdgan
