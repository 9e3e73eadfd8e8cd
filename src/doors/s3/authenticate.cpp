#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/s3/body.hpp"
#include "doors/s3/request.hpp"
#include "doors/s3/s3.hpp"
#include "wire/aws/sigv4.hpp"

namespace strata::doors::s3 {

using http::Request;
using kernel::Caller;
using kernel::Identity;
using wire::aws::Authorization;
using wire::aws::ChunkSigning;
using wire::aws::SignedRequest;

namespace {

constexpr std::chrono::minutes kMaxSkew{15};
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::string_view kContentHash = "x-amz-content-sha256";

// The caller, and how signed chunks of the body go on from the request's signature.
struct Proof {
  Caller caller;
  std::optional<ChunkSigning> chunks;
};

std::string_view sent_path(const Request& request) {
  return std::string_view(request.target).substr(0, request.target.find('?'));
}

SignedRequest as_signed(const Request& request) {
  return {http::method_name(request.method), sent_path(request), request.raw_query,
          request.headers.all()};
}

Status check_skew(Instant signed_at, Instant now) {
  const auto apart = signed_at > now ? signed_at - now : now - signed_at;
  if (apart <= kMaxSkew) return {};
  return Error(
      Code::kClockSkew,
      fmt::format("the request was signed at {}, here it is {}; set the clock of one of the "
                  "two, they may differ by 15 minutes",
                  to_rfc3339(signed_at), to_rfc3339(now)));
}

// Both texts are in the answer, so that the sender can lay them beside its own.
Error mismatch(std::string_view string_to_sign, std::string_view canonical) {
  Error error(Code::kSignatureMismatch,
              "the signature does not fit the request: the secret key is another one, or the two "
              "sides signed "
              "different texts; compare yours with the ones below");
  auto inner = std::make_shared<Error>(Code::kSignatureMismatch, std::string(string_to_sign));
  if (!canonical.empty()) {
    inner->cause = std::make_shared<const Error>(Code::kSignatureMismatch, std::string(canonical));
  }
  error.cause = std::move(inner);
  return error;
}

// An x-amz- header that is not signed could have been added by anyone on the way.
Status check_all_signed(const Request& request, const std::vector<std::string>& signed_headers) {
  for (const auto& [field, value] : request.headers.all()) {
    const auto name = to_lower(field);
    if (!name.starts_with("x-amz-")) continue;
    if (std::find(signed_headers.begin(), signed_headers.end(), name) != signed_headers.end())
      continue;
    return Error(Code::kPermissionDenied,
                 fmt::format("the header {} came with the request but is not signed", name));
  }
  return {};
}

Result<Caller> check_signature(const Request& request, const Identity& identity,
                               const Authorization& sent, std::string_view time_text,
                               std::string_view payload_hash, std::string* key_out) {
  if (sent.credential.service != "s3" || !time_text.starts_with(sent.credential.date)) {
    return Error(
        Code::kMalformed,
        fmt::format("the credential scope '{}' must have the date of {} and the service s3",
                    printable(sent.credential.text()), printable(time_text)),
        "Authorization");
  }
  auto access = identity.access_key(sent.credential.access_key_id);
  if (!access) {
    if (access.error().code != Code::kUnauthenticated) return std::move(access).error();
    return s3_error(
        Code::kPermissionDenied, "InvalidAccessKeyId",
        fmt::format("there is no access key '{}'", printable(sent.credential.access_key_id)));
  }
  const auto canonical =
      wire::aws::canonical_request(as_signed(request), sent.signed_headers, payload_hash);
  const auto text = wire::aws::string_to_sign(time_text, sent.credential, canonical);
  auto key = wire::aws::signing_key(access->secret, sent.credential);
  if (!equal_constant_time(wire::aws::sign(key, text), sent.signature))
    return mismatch(text, canonical);
  STRATA_TRY(check_all_signed(request, sent.signed_headers));
  if (key_out != nullptr) *key_out = std::move(key);
  return std::move(access->caller);
}

Result<Proof> by_header(const Request& request, const Identity& identity, std::string_view header) {
  const auto sent = wire::aws::parse_authorization(header);
  if (!sent) return sent.error();
  const auto hash = request.headers.find(kContentHash);
  if (!hash) {
    return s3_error(Code::kInvalidArgument, "InvalidRequest",
                    "the header x-amz-content-sha256 is missing; UNSIGNED-PAYLOAD is allowed");
  }
  auto time_text = request.headers.get("x-amz-date");
  auto signed_at = parse_basic_iso8601(time_text);
  if (time_text.empty()) {
    signed_at = parse_http_date(request.headers.get("Date"));
    if (signed_at) time_text = to_basic_iso8601(*signed_at);
  }
  if (!signed_at) {
    return s3_error(Code::kPermissionDenied, "AccessDenied",
                    "a signed request needs a valid x-amz-date (YYYYMMDDTHHMMSSZ) or Date header");
  }
  STRATA_TRY(check_skew(*signed_at, request.time));
  ChunkSigning chunks{"", sent->credential, time_text, sent->signature};
  auto caller = check_signature(request, identity, *sent, time_text, *hash, &chunks.key);
  if (!caller) return std::move(caller).error();
  return Proof{*std::move(caller), std::move(chunks)};
}

// x-amz- parameters of a presigned URL count as headers: that is how a signer binds what the sender
// must not choose. Signature Version 2 binds two more so.
void fold_into_headers(Request& request, bool v2) {
  const std::set<std::string> own = {"x-amz-algorithm", "x-amz-credential",    "x-amz-date",
                                     "x-amz-expires",   "x-amz-signedheaders", "x-amz-signature"};
  for (const auto& [name, value] : request.query) {
    const auto lower = to_lower(name);
    const bool header =
        lower.starts_with("x-amz-") || (v2 && (lower == "content-type" || lower == "content-md5"));
    if (header && !own.contains(lower) && !request.headers.find(lower)) {
      request.headers.set(lower, value);
    }
  }
}

Result<Proof> by_presigned(Request& request, const Identity& identity) {
  const auto sent = wire::aws::parse_presigned(request.query);
  if (!sent) return sent.error();
  const auto lifetime = std::chrono::microseconds(sent->lifetime);
  if (request.time > sent->signed_at + lifetime) {
    return s3_error(Code::kPermissionDenied, "AccessDenied",
                    fmt::format("Request has expired: the URL was good until {}",
                                to_rfc3339(sent->signed_at + lifetime)));
  }
  if (sent->signed_at > request.time) STRATA_TRY(check_skew(sent->signed_at, request.time));
  const auto hash = request.headers.get(kContentHash, kUnsigned);
  auto caller =
      check_signature(request, identity, sent->authorization, sent->time_text, hash, nullptr);
  if (!caller) return std::move(caller).error();
  fold_into_headers(request, false);
  return Proof{*std::move(caller), std::nullopt};
}

// Signature Version 2 in the query: what boto3 presigns with for an endpoint of one's own.
Result<Proof> by_v2_query(Request& request, const Identity& identity) {
  const std::string id(request.query_value("AWSAccessKeyId").value_or(""));
  const std::string signature(request.query_value("Signature").value_or(""));
  const auto expires = to_int(request.query_value("Expires").value_or(""));
  if (!expires) {
    return Error(Code::kMalformed, "Expires must be a time in seconds since 1970", "Expires");
  }
  if (request.time > Instant::from_seconds(*expires)) {
    return s3_error(Code::kPermissionDenied, "AccessDenied",
                    fmt::format("Request has expired: the URL was good until {}",
                                to_rfc3339(Instant::from_seconds(*expires))));
  }
  auto access = identity.access_key(id);
  if (!access) {
    if (access.error().code != Code::kUnauthenticated) return std::move(access).error();
    return s3_error(Code::kPermissionDenied, "InvalidAccessKeyId",
                    fmt::format("there is no access key '{}'", printable(id)));
  }
  const auto text =
      wire::aws::v2_query_string_to_sign(as_signed(request), request.path, request.query);
  if (!equal_constant_time(wire::aws::v2_sign(access->secret, text), signature))
    return mismatch(text, "");
  fold_into_headers(request, true);
  return Proof{std::move(access->caller), std::nullopt};
}

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && from_hex(text).ok();
}

// Puts a checking body in place of the plain one, as x-amz-content-sha256 says.
Status wrap_body(Request& request, std::optional<ChunkSigning> chunks) {
  const auto hash = request.headers.get(kContentHash);
  if (hash.empty() || hash == kUnsigned || request.body == nullptr) return {};
  if (is_sha256_hex(hash)) {
    request.decoded_body = std::make_shared<DigestedBody>(*request.body, to_lower(hash));
    request.body = request.decoded_body.get();
    return {};
  }
  const bool signed_chunks = hash.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  const bool trailer = hash.ends_with("-TRAILER");
  if (!signed_chunks && hash != "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    return invalid(
        std::string(kContentHash),
        fmt::format(
            "x-amz-content-sha256: '{}' is none of the forms served: a SHA-256, UNSIGNED-PAYLOAD, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER], STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            printable(hash)));
  }
  if (signed_chunks && !chunks) {
    return invalid(std::string(kContentHash),
                   "signed chunks need a signature in the Authorization header");
  }
  const auto length = to_int(request.headers.get("x-amz-decoded-content-length"));
  if (!length || *length < 0) {
    return s3_error(
        Code::kInvalidArgument, "MissingContentLength",
        "a body in chunks needs x-amz-decoded-content-length, the length of its payload");
  }
  wire::aws::ChunkFraming framing;
  if (signed_chunks) framing.signing = std::move(chunks);
  framing.trailer = trailer;
  framing.decoded_length = static_cast<std::uint64_t>(*length);
  request.decoded_body =
      std::make_shared<ChunkedBody>(*request.body, std::move(framing), request.headers);
  request.body = request.decoded_body.get();
  return {};
}

}  // namespace

Task<Result<Caller>> S3Door::authenticate(Request& request, const Identity& identity) {
  const auto header = request.headers.get("Authorization");
  const bool presigned =
      request.has_query("X-Amz-Signature") || request.has_query("X-Amz-Algorithm");
  const bool v2 = request.has_query("Signature") && request.has_query("AWSAccessKeyId");
  if (!header.empty() && (presigned || v2)) {
    co_return s3_error(Code::kInvalidArgument, "InvalidRequest",
                       "only one way to authenticate is allowed: drop the Authorization header or "
                       "the signed query");
  }
  Proof proof;
  if (presigned || v2 || header.starts_with("AWS4-")) {
    auto proved = presigned ? by_presigned(request, identity)
                  : v2      ? by_v2_query(request, identity)
                            : by_header(request, identity, header);
    if (!proved) co_return std::move(proved).error();
    proof = *std::move(proved);
  } else if (header.starts_with("AWS ")) {
    co_return s3_error(Code::kInvalidArgument, "InvalidRequest",
                       "Signature Version 2 headers are not supported; sign with AWS4-HMAC-SHA256");
  } else {
    auto caller = co_await http::Door::authenticate(request, identity);
    if (!caller) co_return std::move(caller).error();
    proof.caller = *std::move(caller);
  }
  STRATA_CO_TRY(wrap_body(request, std::move(proof.chunks)));
  co_return std::move(proof.caller);
}

}  // namespace strata::doors::s3
