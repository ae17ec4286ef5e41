// Who may see a run's page.
#pragma once

#include <optional>
#include <string>

#include "common/net/endpoint.h"
#include "server/view/http_message.h"

namespace mdgan {

// A page of another site may ask this machine's loopback address under a name
// of its own that it has pointed there: the Host header shows that. Where a
// token is needed it comes as "Authorization: Bearer TOKEN", or as the cookie
// that login() gives for one.
class HttpAccess {
 public:
  // `address`: what the server was told to bind; `token` empty: none is needed.
  HttpAccess(Endpoint address, std::string token);

  // Nothing when the request may be answered; else the answer that it gets.
  // `needs_token`: what it asks for tells of the run.
  std::optional<HttpResponse> refuse(const HttpRequest& request,
                                     bool needs_token) const;
  // 204 with a cookie for the request's token, or 401. The cookie is none of
  // the token's text, and good as long as the token is.
  HttpResponse login(const HttpRequest& request) const;

 private:
  bool is_own_name(const std::string& host) const;
  bool bears_token(const HttpRequest& request) const;
  bool bears_cookie(const HttpRequest& request) const;

  Endpoint address_;
  std::string machine_;  // this machine's name
  std::string token_;
  std::string cookie_;  // NAME=VALUE
};

// The host of a Host header, without the port, in lower case; nothing when it
// is none.
std::optional<std::string> host_in_header(std::string_view header);

}  // namespace mdgan
