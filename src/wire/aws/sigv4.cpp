#include "wire/aws/sigv4.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "wire/uri.hpp"

namespace strata::wire::aws {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Error malformed(std::string field, std::string message) {
  return Error(Code::kMalformed, std::move(message), std::move(field));
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Every byte in its one canonical spelling: what was sent encoded stays encoded (a %2F is no
// slash), what must be encoded is. A '+' of a query is a space there.
std::string canonical_encoding(std::string_view text, bool in_query) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && is_hex_digit(text[i + 1]) &&
        is_hex_digit(text[i + 2])) {
      const auto byte = from_hex(text.substr(i + 1, 2));
      out += percent_encode(*byte);
      i += 2;
    } else if (in_query && text[i] == '+') {
      out += "%20";
    } else {
      out += percent_encode(text.substr(i, 1), !in_query);
    }
  }
  return out;
}

std::string canonical_query(std::string_view raw) {
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& item : split(raw, '&')) {
    if (item.empty()) continue;
    const std::size_t at = std::min(item.find('='), item.size());
    auto name = canonical_encoding(std::string_view(item).substr(0, at), true);
    if (name == "X-Amz-Signature") continue;
    const auto value =
        at == item.size() ? std::string_view() : std::string_view(item).substr(at + 1);
    items.emplace_back(std::move(name), canonical_encoding(value, true));
  }
  std::sort(items.begin(), items.end());
  std::string out;
  for (const auto& [name, value] : items) {
    if (!out.empty()) out += '&';
    out += name + "=" + value;
  }
  return out;
}

// Trimmed, with runs of inner spaces made one.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : trim(value)) {
    if (c == ' ' && !out.empty() && out.back() == ' ') continue;
    out += c;
  }
  return out;
}

Result<CredentialScope> parse_credential(std::string_view text, std::string_view field) {
  auto parts = split(text, '/');
  // A key id may hold slashes; the last four parts may not.
  if (parts.size() < 5 || parts.back() != "aws4_request") {
    return malformed(std::string(field),
                     fmt::format("{}: the credential '{}' must read KEYID/YYYYMMDD/REGION/SERVICE/"
                                 "aws4_request",
                                 field, printable(text)));
  }
  CredentialScope scope;
  const std::size_t n = parts.size();
  scope.service = parts[n - 2];
  scope.region = parts[n - 3];
  scope.date = parts[n - 4];
  parts.resize(n - 4);
  scope.access_key_id = join(parts, "/");
  if (scope.date.size() != 8 || !to_int(scope.date) || scope.access_key_id.empty()) {
    return malformed(std::string(field),
                     fmt::format("{}: the credential '{}' has no date of the form "
                                 "YYYYMMDD, or no key id",
                                 field, printable(text)));
  }
  return scope;
}

Result<std::vector<std::string>> parse_signed_headers(std::string_view text,
                                                      std::string_view field) {
  std::vector<std::string> names;
  for (auto& name : split(text, ';')) {
    if (!name.empty()) names.push_back(to_lower(name));
  }
  if (std::find(names.begin(), names.end(), "host") == names.end()) {
    return malformed(
        std::string(field),
        fmt::format("{}: the signed headers '{}' must include host", field, printable(text)));
  }
  return names;
}

std::optional<std::string_view> find_pair(const Pairs& pairs, std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string CredentialScope::text() const {
  return fmt::format("{}/{}/{}/aws4_request", date, region, service);
}

Result<Authorization> parse_authorization(std::string_view header) {
  constexpr std::string_view kField = "Authorization";
  const std::size_t space = std::min(header.find(' '), header.size());
  if (header.substr(0, space) != kAlgorithm) {
    return Error(Code::kUnsupported,
                 fmt::format("Authorization: '{}' is not supported; sign with {}",
                             printable(header.substr(0, space)), kAlgorithm),
                 std::string(kField));
  }
  Pairs parts;
  for (const auto& item : split(header.substr(space), ',')) {
    const auto text = trim(item);
    const std::size_t at = std::min(text.find('='), text.size());
    parts.emplace_back(text.substr(0, at), text.substr(std::min(at + 1, text.size())));
  }
  const auto credential = find_pair(parts, "Credential");
  const auto signed_headers = find_pair(parts, "SignedHeaders");
  const auto signature = find_pair(parts, "Signature");
  if (!credential || !signed_headers || !signature) {
    return malformed(
        std::string(kField),
        "Authorization: needs Credential=, SignedHeaders= and Signature=, parted by commas");
  }
  auto scope = parse_credential(*credential, kField);
  if (!scope) return std::move(scope).error();
  auto names = parse_signed_headers(*signed_headers, kField);
  if (!names) return std::move(names).error();
  return Authorization{*std::move(scope), *std::move(names), std::string(*signature)};
}

Result<Presigned> parse_presigned(const Pairs& query) {
  const auto need = [&](std::string_view name) -> Result<std::string> {
    const auto value = find_pair(query, name);
    if (value && !value->empty()) return std::string(*value);
    return malformed(std::string(name), fmt::format("the query of a presigned URL needs {}", name));
  };
  std::array<std::string, 6> got;
  constexpr std::array<std::string_view, 6> kNames = {"X-Amz-Algorithm", "X-Amz-Credential",
                                                      "X-Amz-Date",      "X-Amz-SignedHeaders",
                                                      "X-Amz-Expires",   "X-Amz-Signature"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    auto value = need(kNames[i]);
    if (!value) return std::move(value).error();
    got[i] = *std::move(value);
  }
  if (got[0] != kAlgorithm) {
    return malformed("X-Amz-Algorithm",
                     fmt::format("X-Amz-Algorithm: '{}' is not supported; use {}",
                                 printable(got[0]), kAlgorithm));
  }
  auto scope = parse_credential(got[1], kNames[1]);
  if (!scope) return std::move(scope).error();
  auto signed_at = parse_basic_iso8601(got[2]);
  if (!signed_at) {
    return malformed("X-Amz-Date",
                     fmt::format("X-Amz-Date: '{}' must read YYYYMMDDTHHMMSSZ", printable(got[2])));
  }
  auto names = parse_signed_headers(got[3], kNames[3]);
  if (!names) return std::move(names).error();
  const auto lifetime = to_int(got[4]);
  if (!lifetime || *lifetime < 1 || *lifetime > 604'800) {
    return malformed("X-Amz-Expires", fmt::format("X-Amz-Expires: '{}' must be 1 to 604800 seconds",
                                                  printable(got[4])));
  }
  return Presigned{{*std::move(scope), *std::move(names), got[5]},
                   got[2],
                   *signed_at,
                   std::chrono::seconds(*lifetime)};
}

std::string canonical_request(const SignedRequest& request,
                              const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash) {
  std::string out =
      fmt::format("{}\n{}\n{}\n", request.method, canonical_encoding(request.path, false),
                  canonical_query(request.raw_query));
  for (const auto& name : signed_headers) {
    std::string joined;
    bool any = false;
    for (const auto& [field, value] : request.headers) {
      if (!equal_ignoring_case(field, name)) continue;
      if (any) joined += ',';
      joined += canonical_value(value);
      any = true;
    }
    out += name + ":" + joined + "\n";
  }
  out += "\n" + join(signed_headers, ";") + "\n";
  out += payload_hash;
  return out;
}

std::string string_to_sign(std::string_view time_text, const CredentialScope& scope,
                           std::string_view canonical) {
  return fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time_text, scope.text(),
                     to_hex(sha256(canonical)));
}

std::string signing_key(std::string_view secret, const CredentialScope& scope) {
  const auto day = hmac_sha256(fmt::format("AWS4{}", secret), scope.date);
  return hmac_sha256(hmac_sha256(hmac_sha256(day, scope.region), scope.service), "aws4_request");
}

std::string sign(std::string_view key, std::string_view text) {
  return to_hex(hmac_sha256(key, text));
}

std::string v2_query_string_to_sign(const SignedRequest& request, std::string_view resource,
                                    const Pairs& query) {
  constexpr std::array<std::string_view, 28> kSubresources = {"acl",
                                                              "cors",
                                                              "defaultObjectAcl",
                                                              "delete",
                                                              "lifecycle",
                                                              "location",
                                                              "logging",
                                                              "notification",
                                                              "partNumber",
                                                              "policy",
                                                              "requestPayment",
                                                              "response-cache-control",
                                                              "response-content-disposition",
                                                              "response-content-encoding",
                                                              "response-content-language",
                                                              "response-content-type",
                                                              "response-expires",
                                                              "restore",
                                                              "storageClass",
                                                              "tagging",
                                                              "torrent",
                                                              "uploadId",
                                                              "uploads",
                                                              "versionId",
                                                              "versioning",
                                                              "versions",
                                                              "website",
                                                              "accelerate"};
  std::string md5;
  std::string type;
  std::string expires;
  std::map<std::string, std::string> amazon;
  std::vector<std::string> resources;
  for (const auto& [name, value] : query) {
    const auto lower = to_lower(name);
    if (lower == "content-md5") md5 = value;
    if (lower == "content-type") type = value;
    if (name == "Expires") expires = value;
    if (lower.starts_with("x-amz-")) amazon[lower] = std::string(trim(value));
    if (std::find(kSubresources.begin(), kSubresources.end(), name) != kSubresources.end()) {
      resources.push_back(value.empty() ? name : name + "=" + value);
    }
  }
  std::map<std::string, std::string> sent;
  for (const auto& [name, value] : request.headers) {
    const auto lower = to_lower(name);
    if (lower == "content-md5") md5 = value;
    if (lower == "content-type") type = value;
    if (!lower.starts_with("x-amz-")) continue;
    auto& joined = sent[lower];
    joined += (joined.empty() ? "" : ",") + std::string(trim(value));
  }
  for (auto& [name, value] : sent)
    amazon[name] = std::move(value);
  std::sort(resources.begin(), resources.end());
  std::string out = fmt::format("{}\n{}\n{}\n{}\n", request.method, md5, type, expires);
  for (const auto& [name, value] : amazon)
    out += name + ":" + value + "\n";
  out += resource;
  if (!resources.empty()) out += "?" + join(resources, "&");
  return out;
}

std::string v2_sign(std::string_view secret, std::string_view text) {
  return to_base64(hmac_sha1(secret, text));
}

}  // namespace strata::wire::aws
