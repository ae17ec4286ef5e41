// Who may see a run's page.
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/run_page.h"
#include "tests/support/temporary_directory.h"

namespace mdgan::test {

namespace fs = std::filesystem;

namespace {

unsigned status_of(const HttpAccess& access, const HttpRequest& request) {
  const auto refused = access.refuse(request, true);
  return refused ? refused->status : 200;
}

}  // namespace

TEST_CASE("The page without a token is served under names of this machine") {
  const HttpAccess access({"127.0.0.1", "8080"}, "");
  for (const char* const own : {"127.0.0.1:8080", "127.0.0.1", "localhost:8080",
                                "LOCALHOST:9", "[::1]:8080", "127.1.2.3"}) {
    HttpRequest request = get("/api/status");
    request.host = own;
    CHECK(status_of(access, request) == 200);
  }
  for (const char* const foreign :
       {"", "rebound.example", "rebound.example:8080", "127.0.0.1.example",
        "10.0.0.1:8080", "localhost.example", "127.0.0.1:8080:1", "[::1",
        "user@127.0.0.1", "127.0.0.1:port", "localhost\r\nX: y"}) {
    INFO(foreign);
    HttpRequest request = get("/api/status");
    request.host = foreign;
    CHECK(status_of(access, request) == 421);
  }
}

TEST_CASE("The page's token comes as a bearer or as the cookie of a login") {
  const HttpAccess access({"0.0.0.0", "8080"}, kToken);
  HttpRequest request = get("/api/status");
  CHECK(status_of(access, request) == 401);
  CHECK(access.login(request).status == 401);
  for (const std::string& wrong : std::vector<std::string>{
           "", "Bearer", "Bearer ", "Bearer wrong-token-0123456789",
           "Basic " + kToken, kToken}) {
    request.authorization = wrong;
    CHECK(status_of(access, request) == 401);
    CHECK(access.login(request).set_cookie.empty());
  }

  request.authorization = "bearer " + kToken;
  CHECK(status_of(access, request) == 200);
  const std::string cookie = access.login(request).set_cookie;
  CHECK(has(cookie, "; HttpOnly; SameSite=Strict"));
  // A browser keeps both of two pages of one host, whatever their ports.
  HttpRequest of_other = request;
  of_other.authorization = "Bearer b" + kToken;
  const std::string other = HttpAccess({"127.0.0.1", "8080"}, "b" + kToken)
                                .login(of_other)
                                .set_cookie;
  CHECK(other.substr(0, other.find('=')) != cookie.substr(0, cookie.find('=')));
  CHECK_FALSE(has(cookie, kToken));

  request.authorization.clear();
  request.cookie = "other=1; " + cookie.substr(0, cookie.find(';'));
  CHECK(status_of(access, request) == 200);
  request.cookie.back() ^= 1;
  CHECK(status_of(access, request) == 401);

  // Of another name no browser has a cookie, and Prometheus needs none.
  request.cookie = cookie.substr(0, cookie.find(';'));
  request.host = "rebound.example";
  CHECK(status_of(access, request) == 421);
  request.authorization = "Bearer " + kToken;
  CHECK(status_of(access, request) == 200);
  request.authorization.clear();
  request.host = "192.168.1.2:8080";
  CHECK(status_of(access, request) == 200);
}

TEST_CASE(
    "Beyond this machine the page needs a token that others cannot read") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "page.token";
  CHECK(page_address("127.0.0.1:8080", "").ok());
  const auto open = page_address("0.0.0.0:8080", "");
  REQUIRE_FALSE(open.ok());
  CHECK(open.error().code == ExitCode::kAuthentication);
  CHECK(has(open.error().message, "--http-token"));
  for (const char* const wrong : {"", "8080", "127.0.0.1", "127.0.0.1:99999"})
    CHECK(page_address(wrong, "").error().code == ExitCode::kUsage);

  const auto token_error = [&](const std::string& text, mode_t mode) {
    write_text(file, text);
    ::chmod(file.c_str(), mode);
    const auto page = page_address("*:8080", file.string());
    return page ? "" : page.error().message;
  };
  CHECK(has(token_error(kToken + "\n", 0640), "chmod 600"));
  CHECK(has(token_error("short\n", 0600), "16 to 512"));
  CHECK(has(token_error("", 0600), "16 to 512"));
  CHECK(has(token_error(kToken + " " + kToken, 0600), "16 to 512"));
  CHECK(token_error("# a comment\n" + kToken + "\n", 0600).empty());
  CHECK(page_address("*:8080", file.string())->token == kToken);
  CHECK(page_address("127.0.0.1:1", "/none").error().code ==
        ExitCode::kAuthentication);
}

TEST_CASE("What tells of the run needs the token; health and the page do not") {
  const TemporaryDirectory run;
  const HttpAccess access({"0.0.0.0", "8080"}, kToken);
  RunView view(run.path());
  const auto status = [&](const HttpRequest& request) {
    return answer_page(access, view, request, kNow).status;
  };
  for (const char* const secret :
       {"/api/status", "/api/series", "/api/events", "/api/samples",
        "/samples/000001.png", "/metrics", "/api/none", "/api/login"})
    CHECK(status(get(secret)) == 401);
  for (const char* const open : {"/", "/page.css", "/page.js", "/icon.svg"})
    CHECK(status(get(open)) == 200);
  HttpRequest probe = get("/healthz");
  probe.host = "probe.example";
  CHECK(status(probe) == 200);
  probe.path = "/readyz";
  CHECK(status(probe) == 503);
}

}  // namespace mdgan::test
