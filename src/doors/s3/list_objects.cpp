#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"
#include "wire/uri.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Request;
using http::Response;
using storage::lake::Listing;
using storage::lake::ListOptions;
using storage::lake::ObjectInfo;

namespace {

constexpr std::size_t kMaxKeys = 1000;

// What the three listings share: prefix, delimiter, max-keys and encoding-type.
struct Query {
  ListOptions options;
  bool url = false;

  std::string show(std::string_view name) const {
    return url ? wire::percent_encode(name, true) : std::string(name);
  }
};

Result<Query> query_of(const Request& request) {
  Query query;
  query.options.prefix = query_text(request, "prefix");
  query.options.delimiter = query_text(request, "delimiter");
  const auto limit = count_of(request, "max-keys", kMaxKeys);
  if (!limit) return limit.error();
  query.options.limit = *limit;
  const auto encoding = query_text(request, "encoding-type");
  if (!encoding.empty() && encoding != "url") {
    return invalid("encoding-type",
                   fmt::format("encoding-type: '{}' must be url", printable(encoding)));
  }
  query.url = encoding == "url";
  return query;
}

void add_head(wire::XmlWriter& writer, const std::string& bucket, const Query& query,
              const Listing& listing) {
  writer.element("Name", bucket).element("Prefix", query.show(query.options.prefix));
  writer.element("MaxKeys", static_cast<std::uint64_t>(query.options.limit));
  if (!query.options.delimiter.empty())
    writer.element("Delimiter", query.show(query.options.delimiter));
  writer.element("IsTruncated", listing.truncated);
  if (query.url) writer.element("EncodingType", "url");
}

void add_object(wire::XmlWriter& writer, const Query& query, const ObjectInfo& object, bool owner) {
  writer.element("Key", query.show(object.key));
  writer.element("LastModified", to_rfc3339(object.modified));
  writer.element("ETag", quoted(object.etag));
  if (object.checksum) {
    writer.element("ChecksumAlgorithm", wire::aws::checksum_name(object.checksum->kind));
    writer.element("ChecksumType", object.checksum->full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  writer.element("Size", object.size).element("StorageClass", "STANDARD");
  if (owner) add_owner(writer, "Owner", object.owner);
}

void add_entries(wire::XmlWriter& writer, const Query& query, const Listing& listing, bool owner) {
  for (const auto& object : listing.objects) {
    writer.open("Contents");
    add_object(writer, query, object, owner);
    writer.close();
  }
  for (const auto& prefix : listing.prefixes) {
    writer.open("CommonPrefixes").element("Prefix", query.show(prefix)).close();
  }
}

constexpr std::size_t kSeal = 8;

// What a position is bound to. One that was damaged, or of another listing, would skip what lies
// before it, and its client would believe that the listing was complete.
std::string seal_of(std::string_view bucket, std::string_view prefix, std::string_view after) {
  // Lengths first, so that no two triples read the same.
  return sha256(fmt::format("list-objects-v2 {} {} {}{}{}", bucket.size(), prefix.size(), bucket,
                            prefix, after))
      .substr(0, kSeal);
}

std::string make_token(std::string_view bucket, const ListOptions& options,
                       const std::string& next) {
  return to_base64url(seal_of(bucket, options.prefix, next) + next);
}

// The position in a token of make_token().
Result<std::string> read_token(std::string_view bucket, const ListOptions& options,
                               std::string_view token) {
  const auto bytes = from_base64(token);
  if (bytes && bytes->size() > kSeal) {
    std::string after = bytes->substr(kSeal);
    if (bytes->starts_with(seal_of(bucket, options.prefix, after))) return after;
  }
  return invalid("continuation-token",
                 fmt::format("continuation-token: '{}' is none that a listing of this bucket and "
                             "prefix gave. Start again without a token",
                             printable(token)));
}

}  // namespace

Answer list_objects(const Authorized& request, Lake& lake) {
  auto query = query_of(request.request());
  if (!query) co_return std::move(query).error();
  const auto marker = query_text(request.request(), "marker");
  query->options.after = marker;
  const auto bucket = request.param("bucket");
  const auto listing = co_await lake.list(request.caller(), bucket, query->options);
  if (!listing) co_return listing.error();
  wire::XmlWriter writer("ListBucketResult", kNamespace);
  add_head(writer, bucket, *query, *listing);
  writer.element("Marker", query->show(marker));
  if (listing->truncated) writer.element("NextMarker", query->show(listing->next));
  add_entries(writer, *query, *listing, true);
  co_return xml_answer(writer);
}

Answer list_objects_v2(const Authorized& request, Lake& lake) {
  auto query = query_of(request.request());
  if (!query) co_return std::move(query).error();
  if (query_text(request.request(), "list-type") != "2") {
    co_return invalid("list-type", "list-type: must be 2");
  }
  const auto start_after = query_text(request.request(), "start-after");
  const auto token = request.request().query_value("continuation-token");
  const auto bucket = request.param("bucket");
  query->options.after = start_after;
  if (token) {
    auto after = read_token(bucket, query->options, *token);
    if (!after) co_return std::move(after).error();
    query->options.after = *std::move(after);
  }
  const auto listing = co_await lake.list(request.caller(), bucket, query->options);
  if (!listing) co_return listing.error();
  wire::XmlWriter writer("ListBucketResult", kNamespace);
  add_head(writer, bucket, *query, *listing);
  writer.element("KeyCount",
                 static_cast<std::uint64_t>(listing->objects.size() + listing->prefixes.size()));
  if (token) writer.element("ContinuationToken", *token);
  if (listing->truncated) {
    writer.element("NextContinuationToken", make_token(bucket, query->options, listing->next));
  }
  if (!start_after.empty()) writer.element("StartAfter", query->show(start_after));
  add_entries(writer, *query, *listing, query_text(request.request(), "fetch-owner") == "true");
  co_return xml_answer(writer);
}

// A bucket without versions: each object has the one version "null".
Answer list_object_versions(const Authorized& request, Lake& lake) {
  auto query = query_of(request.request());
  if (!query) co_return std::move(query).error();
  const auto marker = query_text(request.request(), "key-marker");
  query->options.after = marker;
  const auto bucket = request.param("bucket");
  const auto listing = co_await lake.list(request.caller(), bucket, query->options);
  if (!listing) co_return listing.error();
  wire::XmlWriter writer("ListVersionsResult", kNamespace);
  add_head(writer, bucket, *query, *listing);
  writer.element("KeyMarker", query->show(marker)).element("VersionIdMarker", "");
  if (listing->truncated) {
    writer.element("NextKeyMarker", query->show(listing->next))
        .element("NextVersionIdMarker", "null");
  }
  for (const auto& object : listing->objects) {
    writer.open("Version").element("VersionId", "null").element("IsLatest", true);
    add_object(writer, *query, object, true);
    writer.close();
  }
  for (const auto& prefix : listing->prefixes) {
    writer.open("CommonPrefixes").element("Prefix", query->show(prefix)).close();
  }
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
