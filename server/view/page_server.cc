#include "server/view/page_server.h"

#include <chrono>
#include <memory>
#include <utility>

#include "common/keys/key_file.h"
#include "common/net/address.h"

namespace mdgan {

Result<PageAddress> page_address(const std::string& http,
                                 const std::string& token_file) {
  PageAddress page;
  const auto address = parse_endpoint("tcp://" + http, "http");
  if (!address)
    return Error{
        "http must be like ADDRESS:PORT, such as 127.0.0.1:8080; it "
        "is '" +
            http + "'",
        ExitCode::kUsage};
  page.address = *address;
  if (!token_file.empty()) {
    auto token = read_token(token_file);
    if (!token) return token.error();
    page.token = std::move(*token);
  } else if (!is_loopback(page.address)) {
    return Error{
        "others can reach the page at " + http +
            ": give --http-token FILE with a secret that they need, or keep "
            "to --http 127.0.0.1:" +
            page.address.port,
        ExitCode::kAuthentication};
  }
  return page;
}

HttpResponse answer_page(const HttpAccess& access, RunView& view,
                         const HttpRequest& request, double now) {
  // A prober of health has neither the token nor a name for this machine.
  if (request.path != "/healthz" && request.path != "/readyz") {
    if (request.path == "/api/login") {
      if (auto refused = access.refuse(request, false)) return *refused;
      return access.login(request);
    }
    if (auto refused =
            access.refuse(request, RunView::tells_of_run(request.path)))
      return *refused;
  }
  return view.answer(request, now);
}

Result<HttpServer> serve_page(RunView run, const PageAddress& page) {
  return HttpServer::start(
      page.address, [access = HttpAccess(page.address, page.token),
                     view = std::make_shared<RunView>(std::move(run))](
                        const HttpRequest& request) {
        const double now =
            std::chrono::duration<double>(
                std::chrono::system_clock::now().time_since_epoch())
                .count();
        return answer_page(access, *view, request, now);
      });
}

}  // namespace mdgan
