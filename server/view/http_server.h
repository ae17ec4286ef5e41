// A small HTTP/1.1 server: GET and HEAD, one thread, no TLS.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/net/endpoint.h"
#include "server/view/http_message.h"

namespace mdgan {

// Whoever sends too much, too slowly or no HTTP is told so or dropped: a header
// has 8 KiB and 10 s, an answer is taken within 30 s, and at most 64
// connections are open. Every answer forbids foreign content and frames.
class HttpServer {
 public:
  // Called on the server's thread, for one request at a time. What it throws
  // is told as 500, without its text.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Binds and serves from now on, on a thread of lower priority. Port 0: any
  // free one. Fails with kUnreachable when the address cannot be had.
  static Result<HttpServer> start(const Endpoint& address, Handler handler);
  ~HttpServer();  // drops open connections
  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) = delete;

  // "http://127.0.0.1:8080/", with the real port.
  std::string url() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdgan
