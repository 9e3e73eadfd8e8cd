#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace strata::wire::aws {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The parts of a request that a signature covers, exactly as they were sent.
struct SignedRequest {
  std::string_view method;
  std::string_view path;       // still encoded, without the query
  std::string_view raw_query;  // still encoded
  std::span<const std::pair<std::string, std::string>> headers;
};

// "AKID/20260101/us-east-1/s3/aws4_request".
struct CredentialScope {
  std::string access_key_id;
  std::string date;
  std::string region;
  std::string service;
  // The scope without the key id, as it stands in a string to sign.
  std::string text() const;
};

// A signature as sent, in the Authorization header or in the query. Spec: AWS Signature Version 4.
struct Authorization {
  CredentialScope credential;
  std::vector<std::string> signed_headers;  // lower case, in their order
  std::string signature;                    // 64 hex digits
};

// Errors: kMalformed naming the part that is missing or wrong; kUnsupported for another algorithm.
Result<Authorization> parse_authorization(std::string_view header);

struct Presigned {
  Authorization authorization;
  std::string time_text;
  Instant signed_at;
  std::chrono::seconds lifetime;
};
// The signature in the decoded query of a presigned URL. Errors: kMalformed with the parameter as
// `field`.
Result<Presigned> parse_presigned(const Pairs& query);

// The canonical request. The path is encoded once and never normalised, as S3 wants it;
// X-Amz-Signature is left out of the query. A signed header that is absent counts as empty.
std::string canonical_request(const SignedRequest& request,
                              const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash);
std::string string_to_sign(std::string_view time_text, const CredentialScope& scope,
                           std::string_view canonical);
// The key that signs everything of one day, region and service; raw bytes.
std::string signing_key(std::string_view secret, const CredentialScope& scope);
// Lower-case hexadecimal signature.
std::string sign(std::string_view key, std::string_view text);

// Signature Version 2 in the query (?AWSAccessKeyId&Expires&Signature): what is signed. `resource`
// is the encoded path beginning with the bucket's name; `query` is decoded. Amazon headers may
// stand in the query instead.
std::string v2_query_string_to_sign(const SignedRequest& request, std::string_view resource,
                                    const Pairs& query);
// Base64 of HMAC-SHA1.
std::string v2_sign(std::string_view secret, std::string_view text);

}  // namespace strata::wire::aws
