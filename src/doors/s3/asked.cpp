#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

// Settings that come as headers of requests which do something else: none may be passed over.
namespace strata::doors::s3 {

using http::Authorized;
using http::Method;
using http::Request;

namespace {

struct Refusal {
  std::string_view prefix;   // of the headers
  std::string_view allowed;  // their values that change nothing here, with spaces between them
  Code code;
  std::string_view s3_code;
  std::string_view reason;
};

constexpr std::string_view kRoles =
    "objects and buckets have no access lists; who may do what is governed by the roles and token "
    "scopes of Strata's users";
constexpr std::string_view kNoKeys =
    "the server keeps no keys for objects; encrypt the file system that holds the data directory";

// The first row that fits counts.
constexpr std::array<Refusal, 9> kRefusals = {{
    {"x-amz-acl", "private bucket-owner-full-control", Code::kInvalidArgument,
     "AccessControlListNotSupported", kRoles},
    {"x-amz-grant-", "", Code::kInvalidArgument, "AccessControlListNotSupported", kRoles},
    {"x-amz-object-ownership", "BucketOwnerEnforced", Code::kUnsupported, "NotImplemented", kRoles},
    {"x-amz-storage-class", "STANDARD", Code::kInvalidArgument, "InvalidStorageClass",
     "all objects are of the class STANDARD"},
    {"x-amz-server-side-encryption", "", Code::kUnsupported, "NotImplemented", kNoKeys},
    {"x-amz-copy-source-server-side-encryption", "", Code::kUnsupported, "NotImplemented", kNoKeys},
    {"x-amz-bucket-object-lock-enabled", "false", Code::kUnsupported, "NotImplemented",
     "objects cannot be locked"},
    {"x-amz-object-lock-", "", Code::kUnsupported, "NotImplemented", "objects cannot be locked"},
    {"x-amz-website-redirect-location", "", Code::kUnsupported, "NotImplemented",
     "buckets are not served as web sites"},
}};

bool allowed(std::string_view list, std::string_view value) {
  for (const auto& item : split(list, ' ')) {
    if (!item.empty() && equal_ignoring_case(item, value)) return true;
  }
  return false;
}

Status check_header(std::string_view name, std::string_view value, bool read) {
  for (const auto& row : kRefusals) {
    if (!name.starts_with(row.prefix)) continue;
    if (allowed(row.allowed, trim(value))) return {};
    // Of a read, S3 says that the object was not stored so.
    if (read && row.reason == kNoKeys) {
      return s3_error(Code::kInvalidArgument, "InvalidRequest",
                      fmt::format("{}: the encryption parameters are not applicable to this "
                                  "object; {}",
                                  name, kNoKeys));
    }
    return s3_error(row.code, row.s3_code,
                    fmt::format("{}: '{}' is not supported; {}", name,
                                name.contains("-key") ? "..." : printable(value), row.reason));
  }
  return {};
}

// A bucket's owner is who made it; ListBuckets names the caller as owner of all that it lists.
Task<Status> check_owner_of(const Authorized& request, Lake& lake, std::string bucket,
                            std::string_view header) {
  const auto expected = request.request().headers.find(header);
  if (!expected || bucket.empty() || *expected == request.caller().user_name) co_return Status();
  const std::string wanted(*expected);
  const auto found = co_await lake.bucket(request.caller(), bucket);
  if (!found) co_return found.error();
  if (found->owner == wanted) co_return Status();
  co_return Error(Code::kPermissionDenied, fmt::format("{}: '{}' is not the owner of '{}'", header,
                                                       printable(wanted), bucket));
}

}  // namespace

Status check_asked(const Request& request) {
  const bool read = request.method == Method::kGet || request.method == Method::kHead;
  for (const auto& [field, value] : request.headers.all()) {
    STRATA_TRY(check_header(to_lower(field), value, read));
  }
  // As a parameter it counts only in a presigned URL, but whoever sends it means it.
  for (const auto& [name, value] : request.query) {
    STRATA_TRY(check_header(to_lower(name), value, read));
  }
  return {};
}

Task<Status> check_owner(const Authorized& request, Lake& lake) {
  STRATA_CO_TRY(co_await check_owner_of(request, lake, request.param("bucket"),
                                        "x-amz-expected-bucket-owner"));
  constexpr std::string_view kSource = "x-amz-source-expected-bucket-owner";
  if (!request.request().headers.find(kSource)) co_return Status();
  const auto source = copy_source_of(request);
  if (!source) co_return source.error();
  co_return co_await check_owner_of(request, lake, source->bucket(), kSource);
}

}  // namespace strata::doors::s3
