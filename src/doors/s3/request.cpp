#include "doors/s3/request.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "wire/uri.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Request;
using storage::lake::ChecksumKind;
using storage::lake::Conditions;
using storage::lake::Expected;
using storage::lake::ObjectFacts;
using storage::lake::Pairs;

namespace {

constexpr std::array<std::string_view, 5> kKeptHeaders = {
    "Content-Encoding", "Cache-Control", "Content-Disposition", "Content-Language", "Expires"};
// Parameters of every request: of signatures, and what SDKs and users add to be found in logs.
constexpr std::string_view kCommonParameters = "x-* AWSAccessKeyId Signature Expires";
// The headers that a URL presigned with Signature Version 2 carries beside those of Amazon.
constexpr std::string_view kV2Parameters = "content-type content-md5";
// The x-amz- headers of changes that mean something here, or nothing that could go wrong.
constexpr std::string_view kKnownHeaders =
    "x-amz-content-sha256 x-amz-date x-amz-security-token x-amz-decoded-content-length "
    "x-amz-trailer x-amz-checksum-* x-amz-sdk-checksum-algorithm x-amz-mp-object-size "
    "x-amz-meta-* x-amz-metadata-directive x-amz-tagging x-amz-tagging-directive "
    "x-amz-copy-source x-amz-copy-source-range x-amz-copy-source-if-* "
    "x-amz-acl x-amz-storage-class x-amz-request-payer x-amz-expected-bucket-owner "
    "x-amz-source-expected-bucket-owner x-amz-user-agent x-amz-api-version x-amz-te "
    "x-amz-object-ownership "
    "x-amz-bucket-object-lock-enabled x-amz-bypass-governance-retention x-amz-mfa";

// Whether `name` is in a list with spaces between its items; "NAME*" fits all that begin so.
// Letters compare without case, as in header fields; no two parameters of S3 differ by case alone.
bool listed(std::string_view list, std::string_view name) {
  for (const auto& item : split(list, ' ')) {
    const bool open = item.ends_with('*');
    const auto text = std::string_view(item).substr(0, item.size() - (open ? 1 : 0));
    if (open ? equal_ignoring_case(name.substr(0, text.size()), text)
             : equal_ignoring_case(name, text)) {
      return true;
    }
  }
  return false;
}

constexpr std::size_t kMaxMetadata = 2048;

std::size_t code_points(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// aws-chunked describes the way here, not the object.
std::string without_aws_chunked(std::string_view coding) {
  std::vector<std::string> kept;
  for (const auto& item : split(coding, ',')) {
    const auto name = trim(item);
    if (!name.empty() && !equal_ignoring_case(name, "aws-chunked")) kept.emplace_back(name);
  }
  return join(kept, ",");
}

// The kind that the sender names for a checksum which comes later, as a trailer, or which it leaves
// to us.
std::optional<ChecksumKind> announced_kind(const Request& request) {
  for (const auto& name : split(request.headers.get("x-amz-trailer"), ',')) {
    if (const auto kind = wire::aws::checksum_by_header(trim(name))) return kind;
  }
  for (const auto* header : {"x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"}) {
    if (const auto kind = wire::aws::checksum_by_name(request.headers.get(header))) return kind;
  }
  return std::nullopt;
}

}  // namespace

Error s3_error(Code code, std::string_view s3_code, std::string message) {
  return Error(code, std::move(message), fmt::format("s3:{}", s3_code));
}

Status check_known(const Request& request, std::string_view parameters) {
  const bool v2 = request.has_query("Signature") && request.has_query("AWSAccessKeyId");
  for (const auto& [name, value] : request.query) {
    if (listed(kCommonParameters, name) || listed(parameters, name)) continue;
    if (v2 && listed(kV2Parameters, name)) continue;
    return Error(Code::kUnsupported,
                 fmt::format("'?{}' is not supported with {} here", printable(name),
                             http::method_name(request.method)));
  }
  if (request.method == http::Method::kGet || request.method == http::Method::kHead) return {};
  for (const auto& [name, value] : request.headers.all()) {
    constexpr std::string_view kPrefix = "x-amz-";
    if (!equal_ignoring_case(std::string_view(name).substr(0, kPrefix.size()), kPrefix)) continue;
    if (listed(kKnownHeaders, name) || listed(parameters, name)) continue;
    return Error(Code::kUnsupported,
                 fmt::format("{} is not supported; send the request without it", to_lower(name)));
  }
  return {};
}

Status check_version(std::string_view version) {
  if (version == "null") return {};
  if (version.empty()) return invalid("versionId", "versionId: it names no version");
  return s3_error(Code::kNotFound, "NoSuchVersion",
                  fmt::format("there is no version '{}': this bucket keeps one version, 'null'",
                              printable(version)));
}

Result<ObjectName> object_of(const Authorized& request) {
  if (const auto version = request.request().query_value("versionId")) {
    STRATA_TRY(check_version(*version));
  }
  return ObjectName::make(request.param("bucket"), request.param("key"));
}

Result<ObjectName> copy_source_of(const Authorized& request) {
  constexpr std::string_view kHeader = "x-amz-copy-source";
  std::string text = request.request().headers.get(kHeader);
  const std::size_t query = text.find("?versionId=");
  if (query != std::string::npos) {
    STRATA_TRY(check_version(std::string_view(text).substr(query + 11)));
    text.resize(query);
  }
  auto decoded = wire::percent_decode(text);
  if (!decoded)
    return invalid(std::string(kHeader), "x-amz-copy-source: " + decoded.error().message);
  std::string_view path = *decoded;
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == path.size()) {
    return invalid(std::string(kHeader),
                   fmt::format("x-amz-copy-source: '{}' must read BUCKET/KEY, percent-encoded",
                               printable(text)));
  }
  return ObjectName::make(std::string(path.substr(0, slash)), std::string(path.substr(slash + 1)));
}

Result<std::size_t> count_of(const Request& request, std::string_view name, std::size_t most) {
  const auto text = request.query_value(name);
  if (!text || text->empty()) return most;
  const auto number = to_int(*text);
  if (!number || *number < 0 || *number > 2'147'483'647) {
    return invalid(std::string(name),
                   fmt::format("{}: '{}' must be 0 to 2147483647", name, printable(*text)));
  }
  return std::min(static_cast<std::size_t>(*number), most);
}

std::string query_text(const Request& request, std::string_view name) {
  return std::string(request.query_value(name).value_or(""));
}

Result<ObjectFacts> facts_of(const Request& request) {
  ObjectFacts facts;
  facts.content_type = request.headers.get("Content-Type");
  for (const auto header : kKeptHeaders) {
    auto value = request.headers.get(header);
    if (header == "Content-Encoding") value = without_aws_chunked(value);
    if (!value.empty()) facts.headers.emplace_back(to_lower(header), std::move(value));
  }
  constexpr std::string_view kPrefix = "x-amz-meta-";
  std::size_t bytes = 0;
  for (const auto& [field, value] : request.headers.all()) {
    auto name = to_lower(field);
    if (!name.starts_with(kPrefix)) continue;
    name.erase(0, kPrefix.size());
    bytes += name.size() + value.size();
    const auto same = std::find_if(facts.metadata.begin(), facts.metadata.end(),
                                   [&](const auto& pair) { return pair.first == name; });
    if (same != facts.metadata.end()) {
      same->second += "," + value;
    } else {
      facts.metadata.emplace_back(std::move(name), value);
    }
  }
  if (bytes > kMaxMetadata) {
    return s3_error(
        Code::kTooLarge, "MetadataTooLarge",
        fmt::format("the x-amz-meta- headers have {} bytes; the most is {}", bytes, kMaxMetadata));
  }
  return facts;
}

Status check_tags(const Pairs& tags) {
  std::set<std::string> seen;
  if (tags.size() > 10)
    return invalid("tagging", fmt::format("{} tags; an object may have 10", tags.size()));
  for (const auto& [name, value] : tags) {
    if (name.empty() || code_points(name) > 128 || code_points(value) > 256) {
      return invalid(
          "tagging",
          fmt::format("the tag '{}' needs a key of 1 to 128 and a value of 0 to 256 characters",
                      printable(name)));
    }
    if (!seen.insert(name).second) {
      return invalid("tagging", fmt::format("the tag '{}' stands twice", printable(name)));
    }
  }
  return {};
}

Result<Pairs> tags_of(const Request& request) {
  auto tags = wire::parse_query(request.headers.get("x-amz-tagging"));
  if (!tags) return invalid("tagging", "x-amz-tagging: " + tags.error().message);
  STRATA_TRY(check_tags(*tags));
  return tags;
}

Conditions conditions_of(const Request& request, std::string_view prefix) {
  const auto text = [&](std::string_view name) -> std::optional<std::string> {
    const auto value = request.headers.find(fmt::format("{}{}", prefix, name));
    if (!value) return std::nullopt;
    return std::string(*value);
  };
  // A date that cannot be read is as if it were not there (RFC 9110, 13.1.3).
  const auto date = [&](std::string_view name) -> std::optional<Instant> {
    const auto value = text(name);
    return value ? parse_date(*value) : std::nullopt;
  };
  Conditions when;
  when.if_match = text("if-match");
  when.if_none_match = text("if-none-match");
  when.if_modified_since = date("if-modified-since");
  when.if_unmodified_since = date("if-unmodified-since");
  return when;
}

std::optional<Instant> parse_date(std::string_view text) {
  const auto http_date = parse_http_date(text);
  if (http_date) return *http_date;
  const auto iso = parse_rfc3339(text);
  return iso ? std::optional<Instant>(*iso) : std::nullopt;
}

Result<Expected> expected_of(const Request& request) {
  Expected expected;
  if (const auto sent = request.headers.find("Content-MD5")) {
    auto raw = from_base64(*sent);
    if (!raw || raw->size() != 16) {
      return s3_error(
          Code::kInvalidArgument, "InvalidDigest",
          fmt::format("Content-MD5: '{}' is not the base64 form of 16 bytes", printable(*sent)));
    }
    expected.md5 = *std::move(raw);
  }
  for (const auto kind : wire::aws::kChecksumKinds) {
    const auto header = wire::aws::checksum_header(kind);
    const auto sent = request.headers.find(header);
    if (!sent) continue;
    if (expected.checksum) {
      return s3_error(Code::kInvalidArgument, "InvalidRequest",
                      "send one x-amz-checksum- header, not several");
    }
    auto raw = wire::aws::parse_checksum(kind, *sent, header);
    if (!raw) return s3_error(Code::kInvalidArgument, "InvalidRequest", raw.error().message);
    expected.checksum = kind;
  }
  if (!expected.checksum) expected.checksum = announced_kind(request);
  if (!expected.checksum) return expected;
  // Trailers join the headers when the body has ended.
  expected.checksum_value = [&request,
                             kind = *expected.checksum]() -> Result<std::optional<std::string>> {
    const auto header = wire::aws::checksum_header(kind);
    const auto sent = request.headers.find(header);
    if (!sent) {
      if (request.headers.find("x-amz-trailer")) {
        return s3_error(Code::kMalformed, "MalformedTrailerError",
                        fmt::format("the announced trailer {} did not come", header));
      }
      return std::optional<std::string>();
    }
    auto raw = wire::aws::parse_checksum(kind, *sent, header);
    if (!raw) return std::move(raw).error();
    return std::optional<std::string>(*std::move(raw));
  };
  return expected;
}

Result<std::optional<ChecksumKind>> checksum_algorithm_of(const Request& request) {
  const auto name = request.headers.find("x-amz-checksum-algorithm");
  if (!name) return std::optional<ChecksumKind>();
  const auto kind = wire::aws::checksum_by_name(*name);
  if (kind) return kind;
  return s3_error(
      Code::kInvalidArgument, "InvalidRequest",
      fmt::format("x-amz-checksum-algorithm: '{}' must be CRC32, CRC32C, CRC64NVME, SHA1 or SHA256",
                  printable(*name)));
}

Result<std::optional<StoredChecksum>> object_checksum_of(const Request& request) {
  for (const auto kind : wire::aws::kChecksumKinds) {
    const auto sent = request.headers.find(wire::aws::checksum_header(kind));
    if (sent) {
      const bool composite = sent->find('-') != std::string_view::npos;
      return std::optional<StoredChecksum>(StoredChecksum{kind, std::string(*sent), !composite});
    }
  }
  return std::optional<StoredChecksum>();
}

Task<Result<wire::XmlElement>> read_xml(const Authorized& request, std::string_view root,
                                        std::uint64_t limit) {
  const auto expected = expected_of(request.request());
  if (!expected) co_return expected.error();
  auto text = co_await request.read_body_as_sent(limit);
  if (!text && text.error().code == Code::kTooLarge) {
    co_return s3_error(Code::kMalformed, "MalformedXML", text.error().message);
  }
  if (!text) co_return std::move(text).error();
  if (expected->md5 && *expected->md5 != md5(*text)) {
    co_return Error(Code::kChecksumMismatch, "Content-MD5: the body that arrived has another MD5",
                    "Content-MD5");
  }
  if (expected->checksum && expected->checksum_value) {
    const auto sent = expected->checksum_value();
    if (!sent) co_return sent.error();
    if (*sent && **sent != wire::aws::checksum_of(*expected->checksum, *text)) {
      const std::string header(wire::aws::checksum_header(*expected->checksum));
      co_return Error(Code::kChecksumMismatch,
                      header + ": the body that arrived has another checksum", header);
    }
  }
  auto element = wire::parse_xml(*text);
  if (!element) co_return s3_error(Code::kMalformed, "MalformedXML", element.error().message);
  if (element->name != root) {
    co_return s3_error(
        Code::kMalformed, "MalformedXML",
        fmt::format("the root element is <{}>; it must be <{}>", element->name, root));
  }
  co_return element;
}

}  // namespace strata::doors::s3
