#include "doors/s3/s3.hpp"

#include <array>

#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Method;
using http::Request;
using http::Response;
using http::Route;
using kernel::Permission;

namespace {

constexpr std::uint64_t kMaxPut = 5ULL << 30;  // S3's largest single put
constexpr http::Limits kLimits{.body = kMaxPut, .deadline = std::chrono::hours(1)};

struct S3Code {
  Code code;
  std::string_view field;  // empty for any
  std::string_view name;
  int status;
};

// Most special first: the first row that fits counts.
constexpr std::array<S3Code, 44> kCodes = {{
    {Code::kNotFound, "bucket", "NoSuchBucket", 404},
    {Code::kNotFound, "upload_id", "NoSuchUpload", 404},
    {Code::kNotFound, "", "NoSuchKey", 404},
    {Code::kAlreadyExists, "owner", "BucketAlreadyExists", 409},
    {Code::kAlreadyExists, "", "BucketAlreadyOwnedByYou", 409},
    {Code::kConflict, "bucket", "BucketNotEmpty", 409},
    {Code::kConflict, "path", "AccessDenied", 403},  // as for an object under S3's object lock
    {Code::kConflict, "", "OperationAborted", 409},
    {Code::kInvalidArgument, "bucket", "InvalidBucketName", 400},
    {Code::kInvalidArgument, "key", "KeyTooLongError", 400},
    {Code::kInvalidArgument, "parts", "InvalidPart", 400},
    {Code::kInvalidArgument, "parts.order", "InvalidPartOrder", 400},
    {Code::kInvalidArgument, "parts.size", "EntityTooSmall", 400},
    {Code::kInvalidArgument, "tagging", "InvalidTag", 400},
    {Code::kInvalidArgument, "x-amz-checksum-algorithm", "InvalidRequest", 400},
    {Code::kInvalidArgument, "x-amz-checksum-type", "InvalidRequest", 400},
    {Code::kInvalidArgument, "", "InvalidArgument", 400},
    {Code::kMalformed, "Authorization", "AuthorizationHeaderMalformed", 400},
    {Code::kMalformed, "body", "IncompleteBody", 400},
    {Code::kMalformed, "Expires", "AccessDenied", 403},
    {Code::kMalformed, "", "InvalidRequest", 400},
    {Code::kUnauthenticated, "", "AccessDenied", 403},
    {Code::kExpired, "", "ExpiredToken", 400},
    {Code::kPermissionDenied, "", "AccessDenied", 403},
    {Code::kSignatureMismatch, "", "SignatureDoesNotMatch", 403},
    {Code::kClockSkew, "", "RequestTimeTooSkewed", 403},
    {Code::kPreconditionFailed, "", "PreconditionFailed", 412},
    {Code::kNotModified, "", "NotModified", 304},
    {Code::kChecksumMismatch, "x-amz-content-sha256", "XAmzContentSHA256Mismatch", 400},
    {Code::kChecksumMismatch, "", "BadDigest", 400},
    {Code::kTooLarge, "", "EntityTooLarge", 400},
    {Code::kMethodNotAllowed, "", "MethodNotAllowed", 405},
    {Code::kOutOfRange, "part", "InvalidPartNumber", 416},
    {Code::kOutOfRange, "", "InvalidRange", 416},
    {Code::kQuotaExceeded, "", "QuotaExceeded", 403},
    {Code::kResourceExhausted, "", "SlowDown", 503},
    {Code::kNoSpace, "", "InsufficientStorage", 507},
    {Code::kDeadlineExceeded, "", "RequestTimeout", 400},
    {Code::kCancelled, "", "RequestTimeout", 400},
    {Code::kUnavailable, "", "ServiceUnavailable", 503},
    {Code::kUnsupported, "", "NotImplemented", 501},
    {Code::kUnsupportedMediaType, "", "InvalidRequest", 415},
    {Code::kDataLoss, "", "InternalError", 500},
    {Code::kInternal, "", "InternalError", 500},
}};

S3Code s3_code_of(const Error& error) {
  constexpr std::string_view kOwn = "s3:";
  for (const auto& row : kCodes) {
    if (row.code != error.code || (!row.field.empty() && row.field != error.field)) continue;
    S3Code found = row;
    if (error.field.starts_with(kOwn)) {
      found.name = std::string_view(error.field).substr(kOwn.size());
      found.status = http::status_of(error.code);
      if (found.name == "MetadataTooLarge") found.status = 400;
    } else if (error.code == Code::kMalformed && error.field.starts_with("X-Amz-")) {
      found.name = "AuthorizationQueryParametersError";
    }
    return found;
  }
  return {error.code, "", "InternalError", 500};
}

}  // namespace

std::string s3_code(const Error& error) {
  return std::string(s3_code_of(error).name);
}

Response S3Door::error(const Error& error, const Request& request) const {
  const auto code = s3_code_of(error);
  const bool no_body = request.method == Method::kHead || code.status == 304;
  Response response = Response::empty(code.status);
  if (!no_body) {
    wire::XmlWriter writer("Error");
    writer.element("Code", code.name)
        .element("Message", error.message)
        .element("Resource", request.path);
    if (error.code == Code::kSignatureMismatch && error.cause) {
      writer.element("StringToSign", error.cause->message);
      if (error.cause->cause) writer.element("CanonicalRequest", error.cause->cause->message);
    }
    writer.element("RequestId", request.request_id);
    response = xml_answer(writer, code.status);
  }
  response.headers.set("x-amz-request-id", request.request_id);
  if (error.retry) response.headers.set("Retry-After", "1");
  return response;
}

bool is_signed_for_s3(const Request& request) {
  constexpr std::string_view kScheme = "AWS4-HMAC-SHA256";
  constexpr std::string_view kScope = "/s3/aws4_request";
  const auto header = request.headers.find("Authorization");
  if (header && header->starts_with(kScheme)) return header->contains(kScope);
  return request.query_value("X-Amz-Algorithm") == kScheme &&
         request.query_value("X-Amz-Credential").value_or("").contains(kScope);
}

Task<Response> S3Door::call(Operation operation, std::string_view parameters,
                            const http::Authorized& request) {
  auto fit = check_asked(request.request());
  if (fit.ok()) fit = check_known(request.request(), parameters);
  if (fit.ok()) fit = co_await check_owner(request, lake_);
  if (!fit.ok()) co_return error(fit.error(), request.request());
  auto answer = co_await operation(request, lake_);
  if (!answer) co_return error(answer.error(), request.request());
  answer->headers.set("x-amz-request-id", request.request().request_id);
  co_return *std::move(answer);
}

Route S3Door::row(Method method, std::string pattern, Permission permission, Operation operation,
                  std::string_view parameters) {
  return Route(method, std::move(pattern), permission, kLimits,
               [this, operation, parameters](const http::Authorized& request) {
                 return call(operation, parameters, request);
               });
}

std::vector<Route> S3Door::routes() {
  constexpr auto kRead = Permission::kLakeRead;
  constexpr auto kWrite = Permission::kLakeWrite;
  std::vector<Route> out;
  out.push_back(row(Method::kGet, "/", kRead, &list_buckets,
                    "max-buckets continuation-token prefix bucket-region"));
  for (const std::string bucket : {"/{bucket}", "/{bucket}/"}) {
    out.push_back(row(Method::kPut, bucket, kWrite, &create_bucket, ""));
    out.push_back(row(Method::kHead, bucket, kRead, &head_bucket, ""));
    out.push_back(row(Method::kDelete, bucket, kWrite, &delete_bucket, ""));
    out.push_back(row(Method::kGet, bucket, kRead, &list_objects,
                      "delimiter encoding-type marker max-keys prefix"));
    out.push_back(row(Method::kGet, bucket, kRead, &list_objects_v2,
                      "list-type delimiter encoding-type max-keys prefix continuation-token "
                      "fetch-owner start-after")
                      .on_query("list-type"));
    out.push_back(
        row(Method::kGet, bucket, kRead, &list_object_versions,
            "versions delimiter encoding-type max-keys prefix key-marker version-id-marker")
            .on_query("versions"));
    out.push_back(
        row(Method::kGet, bucket, kRead, &get_bucket_location, "location").on_query("location"));
    out.push_back(
        row(Method::kGet, bucket, kRead, &list_multipart_uploads,
            "uploads delimiter encoding-type max-uploads prefix key-marker upload-id-marker")
            .on_query("uploads"));
    out.push_back(row(Method::kPost, bucket, kWrite, &delete_objects, "delete").on_query("delete"));
    for (const auto& setting : bucket_settings()) {
      out.push_back(row(Method::kGet, bucket, kRead, &get_bucket_setting, "*").on_query(setting));
      out.push_back(row(Method::kPut, bucket, kWrite, &change_setting, "*").on_query(setting));
      out.push_back(row(Method::kDelete, bucket, kWrite, &change_setting, "*").on_query(setting));
    }
  }
  const std::string object = "/{bucket}/{key+}";
  out.push_back(row(Method::kPut, object, kWrite, &put_object, ""));
  out.push_back(row(Method::kPut, object, kWrite, &copy_object, "").on_header("x-amz-copy-source"));
  out.push_back(row(Method::kGet, object, kRead, &get_object, "versionId partNumber response-*"));
  out.push_back(row(Method::kHead, object, kRead, &head_object, "versionId partNumber response-*"));
  out.push_back(row(Method::kDelete, object, kWrite, &delete_object,
                    "versionId x-amz-if-match-size x-amz-if-match-last-modified-time"));
  out.push_back(row(Method::kGet, object, kRead, &get_object_attributes, "attributes versionId")
                    .on_query("attributes"));
  out.push_back(row(Method::kGet, object, kRead, &get_object_tagging, "tagging versionId")
                    .on_query("tagging"));
  out.push_back(row(Method::kPut, object, kWrite, &put_object_tagging, "tagging versionId")
                    .on_query("tagging"));
  out.push_back(row(Method::kDelete, object, kWrite, &delete_object_tagging, "tagging versionId")
                    .on_query("tagging"));
  out.push_back(
      row(Method::kPost, object, kWrite, &create_multipart_upload, "uploads").on_query("uploads"));
  out.push_back(
      row(Method::kPut, object, kWrite, &upload_part, "uploadId partNumber").on_query("uploadId"));
  out.push_back(row(Method::kPut, object, kWrite, &upload_part_copy, "uploadId partNumber")
                    .on_query("uploadId")
                    .on_header("x-amz-copy-source"));
  out.push_back(row(Method::kPost, object, kWrite, &complete_multipart_upload, "uploadId")
                    .on_query("uploadId"));
  out.push_back(row(Method::kDelete, object, kWrite, &abort_multipart_upload, "uploadId")
                    .on_query("uploadId"));
  out.push_back(row(Method::kGet, object, kRead, &list_parts,
                    "uploadId max-parts part-number-marker encoding-type")
                    .on_query("uploadId"));
  for (const auto& setting : object_settings()) {
    out.push_back(row(Method::kGet, object, kRead, &get_object_setting, "*").on_query(setting));
    out.push_back(row(Method::kPut, object, kWrite, &change_setting, "*").on_query(setting));
    out.push_back(row(Method::kPost, object, kWrite, &change_setting, "*").on_query(setting));
    out.push_back(row(Method::kDelete, object, kWrite, &change_setting, "*").on_query(setting));
  }
  return out;
}

void S3Door::rewrite(Request& request) const {
  constexpr std::string_view kDomain = ".localhost";
  auto host = to_lower(request.headers.get("Host"));
  host.resize(std::min(host.rfind(':'), host.size()));
  if (!host.ends_with(kDomain)) return;
  host.resize(host.size() - kDomain.size());
  if (host.ends_with(".s3")) host.resize(host.size() - 3);
  if (host == "s3" || host.empty()) return;
  request.path = fmt::format("/{}{}", host, request.path);
}

}  // namespace strata::doors::s3
