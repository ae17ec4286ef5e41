// The page's HTTP server on a real socket.
#include "server/view/http_server.h"

#include <chrono>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/contains.h"
#include "tests/support/tcp_client.h"

namespace mdgan::test {
namespace {

HttpServer serve() {
  auto server =
      HttpServer::start({"127.0.0.1", "0"}, [](const HttpRequest& request) {
        if (request.path == "/throws") throw std::runtime_error("a secret");
        HttpResponse response = text_response(
            200, request.path + "|" + request.query + "|" + request.host + "|" +
                     request.cookie + "|" + request.authorization);
        if (request.path == "/kept") response.etag = "\"1\"";
        return response;
      });
  REQUIRE(server.ok());
  return std::move(*server);
}

// What the server says to these bytes until it hangs up.
std::string answer_to(const HttpServer& server, std::string_view bytes) {
  std::string endpoint = "tcp" + server.url().substr(4);
  endpoint.pop_back();
  const TcpClient client(endpoint);
  client.send(bytes);
  return client.receive_all();
}

std::string get(const std::string& target, const std::string& headers = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: here\r\n" + headers +
         "Connection: close\r\n\r\n";
}

}  // namespace

TEST_CASE("A GET is answered, with headers that keep foreign content out") {
  const HttpServer server = serve();
  const std::string answer = answer_to(
      server, get("/a?b=c", "Cookie: x=y\r\nAuthorization: Bearer z\r\n"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.ends_with("\r\n\r\n/a|b=c|here|x=y|Bearer z"));
  for (const char* const header :
       {"Content-Security-Policy: default-src 'none'; script-src 'self'",
        "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
        "Cross-Origin-Resource-Policy: same-origin", "Cache-Control: no-store",
        "Referrer-Policy: no-referrer"})
    CHECK(has(answer, header));
  CHECK_FALSE(has(answer, "unsafe"));
}

TEST_CASE("A HEAD is answered by headers alone, and what is kept by 304") {
  const HttpServer server = serve();
  std::string head = get("/abc");
  head.replace(0, 3, "HEAD");
  const std::string answer = answer_to(server, head);
  CHECK(has(answer, "Content-Length: 12\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
  CHECK(answer_to(server, get("/kept", "If-None-Match: \"1\"\r\n"))
            .starts_with("HTTP/1.1 304 "));
  CHECK(answer_to(server, get("/kept", "If-None-Match: \"2\"\r\n"))
            .starts_with("HTTP/1.1 200 "));
}

TEST_CASE("Several requests on one connection are answered in order") {
  const HttpServer server = serve();
  const std::string answers = answer_to(server,
                                        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                                        "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n" +
                                            get("/3"));
  CHECK(answers.find("/1|") < answers.find("/2|"));
  CHECK(answers.find("/2|") < answers.find("/3|"));
  CHECK(answers.find("/3|") != answers.npos);
}

TEST_CASE("What is no plain request is refused in words, and not passed on") {
  const HttpServer server = serve();
  const auto status = [&](const std::string& bytes) {
    return answer_to(server, bytes).substr(0, 12);
  };
  CHECK(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc") ==
        "HTTP/1.1 405");
  CHECK(status("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n") == "HTTP/1.1 405");
  CHECK(status("BREW / HTTP/1.1\r\nHost: h\r\n\r\n") == "HTTP/1.1 405");
  CHECK(status("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc") ==
        "HTTP/1.1 413");
  CHECK(status(get("/" + std::string(9000, 'a'))) == "HTTP/1.1 431");
  CHECK(status(get("/", "X: " + std::string(100'000, 'a') + "\r\n")) ==
        "HTTP/1.1 431");
  CHECK(status("nonsense\r\n\r\n") == "HTTP/1.1 400");
  CHECK(status("GET / HTTP/9.9\r\n\r\n") == "HTTP/1.1 400");
  CHECK(status("\x16\x03\x01\x02\x00\x01\xfc\x03\x03\r\n\r\n") ==
        "HTTP/1.1 400");
  // Of two headers of a name neither counts.
  CHECK(has(answer_to(server, get("/x", "Host: other\r\n")), "/x|||"));
}

TEST_CASE("A handler that throws is a 500 that tells nothing") {
  const HttpServer server = serve();
  const std::string answer = answer_to(server, get("/throws"));
  CHECK(answer.starts_with("HTTP/1.1 500 "));
  CHECK_FALSE(has(answer, "secret"));
}

TEST_CASE("Silent, cut off and random clients keep nobody from an answer") {
  const HttpServer server = serve();
  std::string endpoint = "tcp" + server.url().substr(4);
  endpoint.pop_back();
  std::vector<std::unique_ptr<TcpClient>> silent;
  for (int i = 0; i < 30; ++i) {
    silent.push_back(std::make_unique<TcpClient>(endpoint));
    silent.back()->send("GET / HT");
  }
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = get("/a?b=c", "Cookie: x=y\r\n");
    for (int flips = 0; flips < 8; ++flips)
      bytes[random() % bytes.size()] = static_cast<char>(random() & 0xFF);
    bytes.resize(random() % (bytes.size() + 1));
    TcpClient(endpoint).send(bytes);
  }
  CHECK(answer_to(server, get("/still")).starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("Connections beyond the limit are dropped, and room is used again") {
  const HttpServer server = serve();
  std::string endpoint = "tcp" + server.url().substr(4);
  endpoint.pop_back();
  {
    std::vector<std::unique_ptr<TcpClient>> many;
    for (int i = 0; i < 100; ++i)
      many.push_back(std::make_unique<TcpClient>(endpoint));
    CHECK(many.back()->is_ended());
    // The first is as silent as the last, and has its time.
    CHECK(many.front()->is_open());
  }
  std::string answer;
  for (int tries = 0; tries < 1000 && answer.empty(); ++tries)
    answer = answer_to(server, get("/again"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("An address that is taken is told, with what to do") {
  const HttpServer first = serve();
  const std::string url = first.url();
  const std::string port =
      url.substr(url.rfind(':') + 1, url.size() - url.rfind(':') - 2);
  const auto second = HttpServer::start(
      {"127.0.0.1", port}, [](const HttpRequest&) { return HttpResponse{}; });
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == ExitCode::kUnreachable);
  CHECK(has(second.error().message, "--http"));
}

}  // namespace mdgan::test
