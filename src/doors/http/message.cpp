#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/http/http.hpp"
#include "wire/accept.hpp"
#include "wire/json_schema.hpp"

namespace strata::http {

std::string_view method_name(Method method) {
  constexpr std::array<std::string_view, kMethods> kNames = {"GET",   "HEAD",   "POST",   "PUT",
                                                             "PATCH", "DELETE", "OPTIONS"};
  return kNames[static_cast<std::size_t>(method)];
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (equal_ignoring_case(field, name)) return value;
  }
  return std::nullopt;
}

std::string Headers::get(std::string_view name, std::string_view fallback) const {
  return std::string(find(name).value_or(fallback));
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return equal_ignoring_case(field.first, name); });
  add(name, std::move(value));
}

void Headers::add(std::string_view name, std::string value) {
  fields_.emplace_back(std::string(name), std::move(value));
}

std::string Request::param(std::string_view name) const {
  for (const auto& [param, value] : params) {
    if (param == name) return value;
  }
  return {};
}

std::optional<std::string_view> Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

Response Response::text(int status, std::string body, std::string_view type) {
  Response response;
  response.status = status;
  response.headers.set("Content-Type", std::string(type));
  response.body = std::move(body);
  return response;
}

Response Response::json(const Json& body, int status) {
  return text(status, body.dump(), "application/json");
}

Response Response::empty(int status) {
  Response response;
  response.status = status;
  return response;
}

Response Response::file(FileSlice slice, std::string_view type) {
  Response response;
  response.headers.set("Content-Type", std::string(type));
  response.body = std::move(slice);
  return response;
}

Response Response::stream(std::unique_ptr<ByteSource> source, std::string_view type) {
  Response response;
  response.headers.set("Content-Type", std::string(type));
  response.body = std::move(source);
  return response;
}

Task<Result<std::string>> read_whole(Request& request, std::uint64_t limit) {
  std::string all;
  while (true) {
    const auto piece = co_await request.body->next();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > limit) {
      co_return Error(Code::kTooLarge, fmt::format("the body is larger than {} bytes", limit));
    }
    STRATA_CO_TRY(request.held.grow(piece->size()));
    all += *piece;
  }
}

Status Authorized::check_plain() const {
  const auto coding = request_->headers.find("Content-Encoding");
  if (!coding || equal_ignoring_case(*coding, "identity")) return {};
  return Error(Code::kUnsupportedMediaType,
               fmt::format("Content-Encoding '{}' is not supported here; send the body as it is",
                           printable(*coding, 40)));
}

Task<Result<std::string>> Authorized::read_body() const {
  STRATA_CO_TRY(check_plain());
  co_return co_await read_whole(*request_, body_limit_);
}

Task<Result<std::string>> Authorized::read_body_as_sent(std::uint64_t limit) const {
  return read_whole(*request_, limit);
}

Task<Result<Json>> Authorized::read_json() const {
  auto text = co_await read_body();
  if (!text) co_return std::move(text).error();
  if (trim(*text).empty()) *text = "{}";
  auto value = parse_json(*text);
  if (!value) co_return std::move(value).error();
  if (schema_ != nullptr) STRATA_CO_TRY(wire::check_schema(*schema_, *value));
  co_return value;
}

bool wants_page(const Request& request) {
  constexpr std::array<std::string_view, 2> kForms = {"application/json", "text/html"};
  const bool reads = request.method == Method::kGet || request.method == Method::kHead;
  return reads && wire::choose_media(request.headers.get("Accept"), kForms) == 1U;
}

int status_of(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kMalformed:
    case Code::kChecksumMismatch:
      return 400;
    case Code::kUnauthenticated:
    case Code::kExpired:
      return 401;
    case Code::kPermissionDenied:
    case Code::kSignatureMismatch:
    case Code::kClockSkew:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kMethodNotAllowed:
      return 405;
    case Code::kAlreadyExists:
    case Code::kConflict:
      return 409;
    case Code::kPreconditionFailed:
      return 412;
    case Code::kNotModified:
      return 304;
    case Code::kTooLarge:
      return 413;
    case Code::kUnsupportedMediaType:
      return 415;
    case Code::kOutOfRange:
      return 416;
    case Code::kQuotaExceeded:
      return 429;
    case Code::kResourceExhausted:
    case Code::kUnavailable:
      return 503;
    case Code::kNoSpace:
      return 507;
    case Code::kDeadlineExceeded:
      return 408;
    case Code::kCancelled:
      return 499;
    case Code::kUnsupported:
      return 501;
    case Code::kDataLoss:
    case Code::kInternal:
      return 500;
  }
  return 500;
}

Result<std::int64_t> query_integer(const Request& request, std::string_view name,
                                   std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const auto text = request.query_value(name);
  if (!text) return fallback;
  const auto value = to_int(*text);
  if (value && *value >= low && *value <= high) return *value;
  return invalid(std::string(name), fmt::format("{}: '{}' is not an integer from {} to {}", name,
                                                text->substr(0, 40), low, high));
}

}  // namespace strata::http
