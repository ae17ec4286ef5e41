#include "server/view/http_access.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>

#include "common/files/hash.h"
#include "common/net/address.h"

namespace mdgan {
namespace {

Sha256 hash_of(std::string_view text) {
  return sha256(std::as_bytes(std::span(text.data(), text.size())));
}

// The time that this takes tells nothing of where texts differ.
bool equal(std::string_view a, std::string_view b) {
  return hash_of(a) == hash_of(b);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return result;
}

std::string machine_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return lower(name.data());
}

}  // namespace

std::optional<std::string> host_in_header(std::string_view header) {
  const auto is_digits = [](std::string_view text) {
    return text.size() <= 5 && std::ranges::all_of(text, [](char c) {
             return c >= '0' && c <= '9';
           });
  };
  std::string_view host = header;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == host.npos) return std::nullopt;
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_digits(rest.substr(1))))
      return std::nullopt;
    host = host.substr(0, end + 1);
  } else if (const std::size_t colon = host.find(':'); colon != host.npos) {
    if (!is_digits(host.substr(colon + 1))) return std::nullopt;
    host = host.substr(0, colon);
  }
  const bool is_host = !host.empty() && host.size() <= 255 &&
                       std::ranges::all_of(host, [](unsigned char c) {
                         return std::isalnum(c) != 0 || c == '.' || c == '-' ||
                                c == '_' || c == ':' || c == '[' || c == ']';
                       });
  if (!is_host) return std::nullopt;
  return lower(host);
}

HttpAccess::HttpAccess(Endpoint address, std::string token)
    : address_(std::move(address)),
      machine_(machine_name()),
      token_(std::move(token)),
      // Cookies are a host's, whatever the port: two pages on one need two.
      cookie_("mdgan-" +
              to_hex(hash_of("mdgan cookie " + token_)).substr(0, 12) + "=" +
              to_hex(hash_of("mdgan page " + token_))) {}

bool HttpAccess::is_own_name(const std::string& host) const {
  const Endpoint asked{host, "80"};
  if (host == "localhost" || is_loopback_address(asked)) return true;
  if (host == lower(address_.host)) return true;
  // An address was pointed nowhere by anybody. On loopback no other is ours.
  return !token_.empty() && (is_address(host) || host == machine_);
}

bool HttpAccess::bears_token(const HttpRequest& request) const {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view header = request.authorization;
  return !token_.empty() && header.size() > kScheme.size() &&
         lower(header.substr(0, kScheme.size())) == kScheme &&
         equal(header.substr(kScheme.size()), token_);
}

bool HttpAccess::bears_cookie(const HttpRequest& request) const {
  std::string_view rest = request.cookie;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const std::size_t begin = std::min(one.find_first_not_of(' '), one.size());
    const std::string_view value = one.substr(begin);
    // The length is no secret, and comparing takes a while.
    if (value.size() == cookie_.size() && equal(value, cookie_)) return true;
  }
  return false;
}

std::optional<HttpResponse> HttpAccess::refuse(const HttpRequest& request,
                                               bool needs_token) const {
  // No browser adds this header for a foreign page.
  if (bears_token(request)) return std::nullopt;
  const auto host = host_in_header(request.host);
  if (!host || !is_own_name(*host))
    return text_response(
        421,
        "This page is not served under that name: ask for it by the address "
        "that --http has, or by localhost.\n");
  if (!needs_token || token_.empty() || bears_cookie(request))
    return std::nullopt;
  return text_response(401, "The token of --http-token is needed.\n");
}

HttpResponse HttpAccess::login(const HttpRequest& request) const {
  if (token_.empty()) return {204};
  if (!bears_token(request))
    return text_response(401, "That is not the token.\n");
  HttpResponse response{204};
  response.set_cookie = cookie_ + "; HttpOnly; SameSite=Strict; Path=/";
  return response;
}

}  // namespace mdgan
