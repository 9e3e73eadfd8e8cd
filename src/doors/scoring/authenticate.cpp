#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "doors/scoring/scoring.hpp"
#include "wire/aws/sigv4.hpp"

namespace strata::doors::scoring {

using http::Request;
using kernel::Caller;
using kernel::Identity;

namespace {

constexpr std::chrono::minutes kMaxSkew{15};
constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Result<Instant> signed_at(const Request& request) {
  auto at = parse_basic_iso8601(request.headers.get("x-amz-date"));
  if (!at)
    return invalid("x-amz-date", "x-amz-date: a signed request needs it as YYYYMMDDTHHMMSSZ");
  const auto apart = *at > request.time ? *at - request.time : request.time - *at;
  if (apart <= kMaxSkew) return at;
  return Error(Code::kClockSkew, fmt::format("the request was signed at {}, here it is {}; set the "
                                             "clock of one of the two, they may differ by "
                                             "15 minutes",
                                             to_rfc3339(*at), to_rfc3339(request.time)));
}

// The signature covers the SHA-256 of the body, which is therefore read before anything else is
// believed. It is then at hand for the operation. Spec: AWS Signature Version 4, for services other
// than S3.
Task<Result<Caller>> by_signature(Request& request, const Identity& identity,
                                  std::string_view header) {
  const auto sent = wire::aws::parse_authorization(header);
  if (!sent) co_return sent.error();
  const auto at = signed_at(request);
  if (!at) co_return at.error();
  const auto time_text = request.headers.get("x-amz-date");
  if (sent->credential.service != "sagemaker" || !time_text.starts_with(sent->credential.date)) {
    co_return invalid(
        "Authorization",
        fmt::format("Authorization: the credential scope '{}' must have the date of {} and the "
                    "service sagemaker",
                    printable(sent->credential.text()), printable(time_text)));
  }
  auto access = identity.access_key(sent->credential.access_key_id);
  if (!access) co_return std::move(access).error();
  std::string body;
  if (request.body != nullptr) {
    auto all = co_await read_whole(request, kMaxBody);
    if (!all) co_return std::move(all).error();
    body = *std::move(all);
  }
  const wire::aws::SignedRequest parts{
      http::method_name(request.method),
      std::string_view(request.target).substr(0, request.target.find('?')), request.raw_query,
      request.headers.all()};
  const auto canonical =
      wire::aws::canonical_request(parts, sent->signed_headers, to_hex(sha256(body)));
  const auto text = wire::aws::string_to_sign(time_text, sent->credential, canonical);
  const auto key = wire::aws::signing_key(access->secret, sent->credential);
  if (!equal_constant_time(wire::aws::sign(key, text), sent->signature)) {
    co_return Error(Code::kSignatureMismatch,
                    "the signature does not fit the request: the secret key is another one, or "
                    "something was changed on the way");
  }
  request.decoded_body = std::make_shared<TextSource>(std::move(body));
  request.body = request.decoded_body.get();
  co_return std::move(access->caller);
}

}  // namespace

Task<Result<Caller>> ScoringDoor::authenticate(Request& request, const Identity& identity) {
  const auto field = request.headers.find("Authorization");
  if (!field || !field->starts_with(kAlgorithm))
    co_return co_await Door::authenticate(request, identity);
  const std::string header(*field);
  co_return co_await by_signature(request, identity, header);
}

}  // namespace strata::doors::scoring
