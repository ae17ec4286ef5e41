// The page of a run, as `mdgan-server view` and `train --http` serve it.
#pragma once

#include <string>

#include "common/base/result.h"
#include "server/view/http_access.h"
#include "server/view/http_server.h"
#include "server/view/run_view.h"

namespace mdgan {

struct PageAddress {
  Endpoint address;
  std::string token;  // empty: none is needed
};

// What --http ("ADDRESS:PORT") and --http-token (a file; empty: none) mean.
// Fails with kUsage when the address is none, and with kAuthentication when
// other machines can reach it and there is no token, or the file will not do.
Result<PageAddress> page_address(const std::string& http,
                                 const std::string& token_file);

// The answer to one request. `now`: seconds since 1970 (UTC).
HttpResponse answer_page(const HttpAccess& access, RunView& view,
                         const HttpRequest& request, double now);

// Serves the run's page. Fails with kUnreachable.
Result<HttpServer> serve_page(RunView run, const PageAddress& page);

}  // namespace mdgan
