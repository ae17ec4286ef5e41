// What a browser asks for and what it gets: plain values.
#pragma once

#include <string>

namespace mdgan {

// A GET or a HEAD; the server answers a HEAD with the headers alone.
struct HttpRequest {
  std::string path;        // "/api/series", as it was sent
  std::string query = {};  // "points=200", without the '?'
  std::string host = {};   // the header's text; empty: none, or several
  std::string authorization = {};
  std::string cookie = {};
  std::string if_none_match = {};
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = {};
  std::string body = {};
  std::string etag = {};        // empty: not to be kept by the browser
  std::string set_cookie = {};  // empty: none
};

inline HttpResponse text_response(unsigned status, std::string text) {
  return {status, "text/plain; charset=utf-8", std::move(text)};
}
inline HttpResponse json_response(std::string json) {
  return {200, "application/json", std::move(json)};
}

}  // namespace mdgan
