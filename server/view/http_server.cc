#include "server/view/http_server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "common/net/address.h"
#include "protocol/clean_text.h"

namespace mdgan {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::uint32_t kMostHeader = 8192;
constexpr std::size_t kMostConnections = 64;
constexpr auto kReadTime = 10s;  // of a request, and of silence before one
constexpr auto kWriteTime = 30s;

// Nothing that a page shows or asks comes from anywhere else, and no other
// page shows it.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

template <typename Message>
void set_headers(Message& message, const HttpResponse& response) {
  message.set("Content-Security-Policy", kPolicy);
  message.set(http::field::x_frame_options, "DENY");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  message.set("Cross-Origin-Opener-Policy", "same-origin");
  message.set("Referrer-Policy", "no-referrer");
  if (!response.content_type.empty())
    message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control,
              response.etag.empty() ? "no-store" : "no-cache");
  if (!response.etag.empty()) message.set(http::field::etag, response.etag);
  if (!response.set_cookie.empty())
    message.set(http::field::set_cookie, response.set_cookie);
  if (response.status == 401)
    message.set(http::field::www_authenticate, "Bearer");
  if (response.status == 405) message.set(http::field::allow, "GET, HEAD");
}

std::string text_of(beast::string_view view) {
  return {view.data(), view.size()};
}

// Of several headers of one name none counts: who reads another one than we do
// must not be fooled.
template <typename Fields>
std::string only(const Fields& fields, http::field name) {
  const auto range = fields.equal_range(name);
  if (range.first == range.second || std::next(range.first) != range.second)
    return {};
  return text_of(range.first->value());
}

template <typename Fields>
HttpRequest request_of(const http::request<http::empty_body, Fields>& message) {
  HttpRequest request;
  const std::string target = text_of(message.target());
  const std::size_t query = std::min(target.find('?'), target.size());
  request.path = target.substr(0, query);
  if (query < target.size()) request.query = target.substr(query + 1);
  request.host = only(message, http::field::host);
  request.authorization = only(message, http::field::authorization);
  request.cookie = only(message, http::field::cookie);
  request.if_none_match = only(message, http::field::if_none_match);
  return request;
}

HttpResponse answer_of(const HttpServer::Handler& handler,
                       const HttpRequest& request) {
  try {
    HttpResponse response = handler(request);
    if (!response.etag.empty() && response.status == 200 &&
        request.if_none_match == response.etag) {
      response.status = 304;
      response.body.clear();
    }
    return response;
  } catch (const std::exception& e) {
    spdlog::warn("the page's {} failed: {}",
                 protocol::presentable(request.path), e.what());
    return text_response(500, "This failed; the server's log says why.\n");
  }
}

// Threads: the server's. It lives as long as one of its operations.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const HttpServer::Handler& handler,
             std::size_t& open)
      : stream_(std::move(socket)), handler_(handler), open_(open) {
    ++open_;
  }
  ~Connection() { --open_; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kMostHeader);
    stream_.expires_after(kReadTime);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error,
                                                 std::size_t /*bytes*/) {
                       self->on_read(error);
                     });
  }

 private:
  void on_read(beast::error_code error) {
    static const beast::error_code http_error = http::error::bad_method;
    // Gone, or silent for too long: nobody listens.
    if (error && error.category() != http_error.category()) return;
    if (error == http::error::end_of_stream ||
        error == http::error::partial_message)
      return;
    const auto method = parser_->get().method();
    const bool known = method == http::verb::get || method == http::verb::head;
    const bool parsed = parser_->is_header_done();
    if (parsed && !known)
      return refuse(405, "Only GET and HEAD are understood here.\n");
    if (error == http::error::header_limit ||
        error == http::error::buffer_overflow)
      return refuse(431, "The header is too long.\n");
    if (error == http::error::unexpected_body ||
        error == http::error::body_limit)
      return refuse(413, "A request has no body here.\n");
    if (error) return refuse(400, "That is no HTTP request.\n");
    send(answer_of(handler_, request_of(parser_->get())),
         method == http::verb::head, parser_->get().keep_alive());
  }

  void refuse(unsigned status, const char* text) {
    send(text_response(status, text), false, false);
  }

  void send(HttpResponse response, bool headers_only, bool keep_alive) {
    const auto status = static_cast<http::status>(response.status);
    const bool no_body = response.status == 204 || response.status == 304;
    if (headers_only || no_body) {
      http::response<http::empty_body> message(status, 11);
      set_headers(message, response);
      if (!no_body) message.content_length(response.body.size());
      write(std::move(message), keep_alive);
    } else {
      http::response<http::string_body> message(status, 11);
      set_headers(message, response);
      message.body() = std::move(response.body);
      message.content_length(message.body().size());
      write(std::move(message), keep_alive);
    }
  }

  template <typename Message>
  void write(Message message, bool keep_alive) {
    message.keep_alive(keep_alive);
    const auto kept = std::make_shared<Message>(std::move(message));
    stream_.expires_after(kWriteTime);
    http::async_write(stream_, *kept,
                      [self = shared_from_this(), kept, keep_alive](
                          beast::error_code error, std::size_t /*bytes*/) {
                        if (error) return;
                        if (keep_alive) return self->read();
                        self->hang_up();
                      });
  }

  // A close with unread bytes would reset the connection, and the other side
  // lose the answer: what it still sends is read, for a while.
  void hang_up() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(1s);
    drain();
  }
  void drain() {
    stream_.async_read_some(asio::buffer(waste_),
                            [self = shared_from_this()](beast::error_code error,
                                                        std::size_t bytes) {
                              self->drained_ += bytes;
                              if (!error && self->drained_ < kMostDrained)
                                self->drain();
                            });
  }

  static constexpr std::size_t kMostDrained = 1 << 20;

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{std::size_t{2} * kMostHeader};
  std::optional<http::request_parser<http::empty_body>> parser_;
  const HttpServer::Handler& handler_;
  std::size_t& open_;
  std::array<char, 4096> waste_{};
  std::size_t drained_ = 0;
};

}  // namespace

class HttpServer::Impl {
 public:
  explicit Impl(Handler handler) : handler_(std::move(handler)) {}
  ~Impl() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void> start(const Endpoint& address) {
    const auto cannot = [&](const std::string& why) {
      return Error{"cannot serve the page at " + address.host + ":" +
                       address.port + ": " + why +
                       "; give another address or port with --http",
                   ExitCode::kUnreachable};
    };
    const auto found = resolve_to_bind(address);
    if (!found) return cannot(found.error().message);
    std::string host =
        found->front().host == "*" ? "0.0.0.0" : found->front().host;
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    beast::error_code error;
    const auto ip = asio::ip::make_address(host, error);
    if (error) return cannot(error.message());
    const auto port = address.port == "*" ? 0UL : std::stoul(address.port);
    const tcp::endpoint endpoint(ip, static_cast<std::uint16_t>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error)
      acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error)
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return cannot(error.message());
    url_ = "http://" + (address.host == "*" ? "0.0.0.0" : address.host) + ":" +
           std::to_string(acceptor_.local_endpoint().port()) + "/";
    accept();
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& e) {
      return cannot(e.what());
    }
    return {};
  }
  const std::string& url() const { return url_; }

 private:
  // Training goes on whatever happens here.
  void run() {
    (void)::setpriority(PRIO_PROCESS, 0, 10);  // the thread's, on Linux
    for (;;) {
      try {
        context_.run();
        return;  // it was stopped
      } catch (const std::exception& e) {
        spdlog::warn("the page: {}", e.what());
      }
    }
  }

  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      try {
        if (!error && open_ < kMostConnections)
          std::make_shared<Connection>(std::move(socket), handler_, open_)
              ->read();
      } catch (const std::exception&) {  // no memory: this one is dropped
        error = {};
      }
      if (!error) return accept();
      // No descriptor is free, say: asked at once it would be so again.
      pause_.expires_after(100ms);
      pause_.async_wait([this](beast::error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  Handler handler_;
  std::size_t open_ = 0;  // outlives the connections, which context_ owns
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer pause_{context_};
  std::string url_;
  std::thread thread_;
};

Result<HttpServer> HttpServer::start(const Endpoint& address, Handler handler) {
  auto impl = std::make_unique<Impl>(std::move(handler));
  if (const auto started = impl->start(address); !started)
    return started.error();
  return HttpServer(std::move(impl));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::HttpServer(HttpServer&&) noexcept = default;
HttpServer::~HttpServer() = default;
std::string HttpServer::url() const { return impl_->url(); }

}  // namespace mdgan
