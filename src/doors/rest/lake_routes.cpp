#include "doors/rest/lake_routes.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/rest/rest.hpp"
#include "wire/uri.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using storage::lake::BucketInfo;
using storage::lake::Lake;
using storage::lake::ObjectInfo;
using storage::lake::ObjectName;

namespace {

constexpr std::uint64_t kMaxUpload = 5ULL << 30;
constexpr std::int64_t kMaxPage = 1000;

Json bucket_json(const BucketInfo& bucket) {
  return Json::object({{"name", bucket.name},
                       {"created", to_rfc3339(bucket.created)},
                       {"objects", bucket.objects},
                       {"bytes", bucket.bytes},
                       {"owner", bucket.owner}});
}

Json object_json(const ObjectInfo& object) {
  return Json::object({{"key", object.key},
                       {"size", object.size},
                       {"etag", object.etag},
                       {"digest", object.digest},
                       {"modified", to_rfc3339(object.modified)},
                       {"content_type", object.facts.content_type},
                       {"owner", object.owner}});
}

Task<Result<Json>> buckets_json(const Authorized& request, Lake& lake) {
  const auto buckets = co_await lake.buckets(request.caller());
  if (!buckets) co_return buckets.error();
  Json list = Json::array();
  for (const auto& bucket : *buckets)
    list.push(bucket_json(bucket));
  co_return Json::object({{"buckets", std::move(list)}});
}

Task<Result<Json>> create_bucket(const Authorized& request, Lake& lake) {
  const auto body = co_await request.read_json();
  if (!body) co_return body.error();
  const auto bucket = co_await lake.create_bucket(request.caller(), body->text("name"));
  if (!bucket) co_return bucket.error();
  co_return bucket_json(*bucket);
}

Task<Result<Json>> list_objects(const Authorized& request, Lake& lake) {
  const auto& head = request.request();
  const auto limit = query_integer(head, "limit", 100, 1, kMaxPage);
  if (!limit) co_return limit.error();
  storage::lake::ListOptions options;
  options.prefix = std::string(head.query_value("prefix").value_or(""));
  options.delimiter = std::string(head.query_value("delimiter").value_or(""));
  options.limit = static_cast<std::size_t>(*limit);
  if (const auto cursor = head.query_value("cursor"); cursor && !cursor->empty()) {
    auto after = from_base64(*cursor);
    if (!after) co_return invalid("cursor", "cursor: must be one that a former page gave");
    options.after = *std::move(after);
  }
  const auto listing =
      co_await lake.list(request.caller(), request.param("bucket"), std::move(options));
  if (!listing) co_return listing.error();
  Json prefixes = Json::array();
  for (const auto& prefix : listing->prefixes)
    prefixes.push(prefix);
  Json objects = Json::array();
  for (const auto& object : listing->objects)
    objects.push(object_json(object));
  Json page = Json::object({{"prefixes", std::move(prefixes)}, {"objects", std::move(objects)}});
  page.set("cursor", listing->truncated ? Json(to_base64url(listing->next)) : Json());
  co_return page;
}

Result<ObjectName> name_of(const Authorized& request) {
  return ObjectName::make(request.param("bucket"), request.param("key"));
}

// A file name for the browser's download folder: the key's last part, in the form of RFC 6266.
std::string disposition(const std::string& key) {
  const auto last = key.substr(key.find_last_of('/') + 1);
  return fmt::format("attachment; filename*=UTF-8''{}",
                     wire::percent_encode(last.empty() ? "object" : last));
}

Task<Result<Response>> download(const Authorized& request, Lake& lake) {
  const auto name = name_of(request);
  if (!name) co_return name.error();
  storage::lake::GetOptions options;
  if (const auto range = request.request().headers.find("Range"))
    options.range = storage::lake::parse_range(*range);
  if (const auto same = request.request().headers.find("If-Range"))
    options.if_range = std::string(*same);
  auto object = co_await lake.get(request.caller(), *name, std::move(options));
  if (!object) co_return std::move(object).error();
  Response response = Response::empty(object->partial ? 206 : 200);
  auto& headers = response.headers;
  const auto& info = object->info;
  headers.set("Content-Type", info.facts.content_type.empty() ? "application/octet-stream"
                                                              : info.facts.content_type);
  // What users stored must never run as a page of this server.
  headers.set("Content-Disposition", disposition(info.key));
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Content-Security-Policy", "sandbox");
  headers.set("ETag", fmt::format("\"{}\"", info.etag));
  headers.set("Last-Modified", to_http_date(info.modified));
  headers.set("Accept-Ranges", "bytes");
  if (object->partial) {
    headers.set("Content-Range", fmt::format("bytes {}-{}/{}", object->offset,
                                             object->offset + object->length - 1, info.size));
  }
  if (object->slices.empty()) {
    response.body = std::move(object->bytes);
  } else {
    response.body = lake.read(*std::move(object));
  }
  co_return response;
}

Task<Result<Json>> upload(const Authorized& request, Lake& lake) {
  STRATA_CO_TRY(request.check_plain());
  const auto name = name_of(request);
  if (!name) co_return name.error();
  storage::lake::PutOptions options;
  options.facts.content_type = request.request().headers.get("Content-Type");
  options.when.if_match = request.request().headers.find("If-Match");
  options.when.if_none_match = request.request().headers.find("If-None-Match");
  const auto stored =
      co_await lake.put(request.caller(), *name, request.body(), std::move(options));
  if (!stored) co_return stored.error();
  co_return object_json(*stored);
}

Task<Response> remove_object(const Authorized& request, Lake& lake) {
  const auto name = name_of(request);
  if (!name) co_return error_response(name.error(), request.request());
  const auto removed = co_await lake.remove(request.caller(), *name, {});
  if (!removed) co_return error_response(removed.error(), request.request());
  if (!*removed) co_return error_response(not_found("there is no such object"), request.request());
  co_return Response::empty(204);
}

Task<Response> remove_bucket(const Authorized& request, Lake& lake) {
  const auto removed = co_await lake.delete_bucket(request.caller(), request.param("bucket"));
  if (!removed) co_return error_response(removed.error(), request.request());
  co_return Response::empty(204);
}

using JsonOperation = Task<Result<Json>> (*)(const Authorized&, Lake&);

Task<Response> answer(JsonOperation operation, const Authorized& request, Lake& lake, int status) {
  co_return reply(co_await operation(request, lake), request.request(), status);
}

Task<Response> answer_download(const Authorized& request, Lake& lake) {
  auto response = co_await download(request, lake);
  if (!response) co_return error_response(response.error(), request.request());
  co_return *std::move(response);
}

constexpr std::string_view kBucketSchema = R"({"type":"object","properties":{
"name":{"type":"string"},"created":{"type":"string"},"objects":{"type":"integer"},
"bytes":{"type":"integer"},"owner":{"type":"string"}}})";
constexpr std::string_view kBucketsSchema =
    R"({"type":"object","properties":{"buckets":{"type":"array"}}})";
constexpr std::string_view kCreateSchema = R"({"type":"object","properties":{
"name":{"type":"string"}},"required":["name"],"additionalProperties":false})";
constexpr std::string_view kListSchema = R"({"type":"object","properties":{
"prefixes":{"type":"array"},"objects":{"type":"array"},"cursor":{"type":["string","null"]}}})";
constexpr std::string_view kObjectSchema = R"({"type":"object","properties":{
"key":{"type":"string"},"size":{"type":"integer"},"etag":{"type":"string"},
"digest":{"type":"string"},"modified":{"type":"string"},"content_type":{"type":"string"},
"owner":{"type":"string"}}})";
constexpr std::string_view kListQuery =
    "prefix:string:only keys that begin so;delimiter:string:roll keys up at this "
    "text;cursor:string:of the former "
    "page;limit:integer:entries of a page, 1 to 1000";

}  // namespace

std::vector<Route> lake_routes(Lake& lake) {
  const http::Limits small;
  const http::Limits large{.body = kMaxUpload, .deadline = std::chrono::hours(1)};
  const auto json = [&lake](JsonOperation operation, int status = 200) {
    return [&lake, operation, status](const Authorized& request) {
      return answer(operation, request, lake, status);
    };
  };
  const std::string buckets = "/api/v1/lake/buckets";
  const std::string object = buckets + "/{bucket}/objects/{key+}";
  std::vector<Route> out;
  out.emplace_back(
      Method::kGet, buckets, Permission::kLakeRead, small, json(&buckets_json),
      http::Doc{"listBuckets", "Buckets of the caller's project", "lake", "", kBucketsSchema, ""});
  out.emplace_back(
      Method::kPost, buckets, Permission::kLakeWrite, small, json(&create_bucket, 201),
      http::Doc{"createBucket", "Make a bucket", "lake", kCreateSchema, kBucketSchema, ""});
  out.emplace_back(
      Method::kDelete, buckets + "/{bucket}", Permission::kLakeWrite, small,
      [&lake](const Authorized& request) { return remove_bucket(request, lake); },
      http::Doc{"deleteBucket", "Remove an empty bucket", "lake", "", "", ""});
  out.emplace_back(Method::kGet, buckets + "/{bucket}/objects", Permission::kLakeRead, small,
                   json(&list_objects),
                   http::Doc{"listObjects", "A page of a bucket's objects", "lake", "", kListSchema,
                             kListQuery});
  out.emplace_back(
      Method::kGet, object, Permission::kLakeRead, large,
      [&lake](const Authorized& request) { return answer_download(request, lake); },
      http::Doc{"downloadObject", "An object's bytes; Range is served", "lake", "", "", ""});
  out.emplace_back(
      Method::kPut, object, Permission::kLakeWrite, large, json(&upload),
      http::Doc{"uploadObject", "Store an object; If-Match and If-None-Match are served", "lake",
                "", kObjectSchema, ""});
  out.emplace_back(
      Method::kDelete, object, Permission::kLakeWrite, small,
      [&lake](const Authorized& request) { return remove_object(request, lake); },
      http::Doc{"deleteObject", "Remove an object", "lake", "", "", ""});
  return out;
}

}  // namespace strata::doors::rest
