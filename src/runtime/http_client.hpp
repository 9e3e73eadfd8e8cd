#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://, with path and query already encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Instead of `body`: pieces of one of `body_length` bytes in all, until an empty one.
  std::uint64_t body_length = 0;
  std::function<Result<std::string_view>()> next_piece = nullptr;
  std::chrono::milliseconds timeout{60'000};  // for each step without progress
  // For the whole exchange, whatever progress there is; zero: no limit. Looking up a name counts,
  // but is not cut short.
  std::chrono::milliseconds total{0};
  std::stop_token stop{};  // ends the wait soon after it was asked for, with kUnavailable
};

struct ClientAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
};

// One HTTP/1.1 exchange on a connection of its own, for the command line and worker processes. The
// body's pieces go to `on_body` as they arrive; returning false ends the exchange. HTTPS verifies
// the server against the system's certificates. Blocks, through signals too. Errors:
// kInvalidArgument for the URL, kUnavailable when the server cannot be reached or breaks off,
// kDeadlineExceeded.
Result<ClientAnswer> http_exchange(
    const ClientRequest& request,
    const std::function<bool(const ClientAnswer&, std::string_view)>& on_body);

}  // namespace strata
