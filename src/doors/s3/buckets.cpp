#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;

namespace {
constexpr std::uint64_t kMaxConfiguration = 64 * 1024;
constexpr std::size_t kMaxBuckets = 10'000;
}  // namespace

Answer list_buckets(const Authorized& request, Lake& lake) {
  const auto limit = count_of(request.request(), "max-buckets", kMaxBuckets);
  if (!limit) co_return limit.error();
  const auto after = query_text(request.request(), "continuation-token");
  const auto prefix = query_text(request.request(), "prefix");
  const auto buckets = co_await lake.buckets(request.caller());
  if (!buckets) co_return buckets.error();
  wire::XmlWriter writer("ListAllMyBucketsResult", kNamespace);
  add_owner(writer, "Owner", request.caller().user_name);
  writer.open("Buckets");
  std::string last;
  std::size_t count = 0;
  bool truncated = false;
  for (const auto& bucket : *buckets) {
    if (bucket.name <= after || !bucket.name.starts_with(prefix)) continue;
    if (count == *limit) {
      truncated = true;
      break;
    }
    writer.open("Bucket")
        .element("Name", bucket.name)
        .element("CreationDate", to_rfc3339(bucket.created))
        .close();
    last = bucket.name;
    ++count;
  }
  writer.close();
  if (!prefix.empty()) writer.element("Prefix", prefix);
  if (truncated) writer.element("ContinuationToken", last);
  co_return xml_answer(writer);
}

Answer create_bucket(const Authorized& request, Lake& lake) {
  const auto text = co_await request.read_body_as_sent(kMaxConfiguration);
  if (!text) co_return text.error();
  if (!trim(*text).empty()) {
    const auto configuration = wire::parse_xml(*text);
    if (!configuration || configuration->name != "CreateBucketConfiguration") {
      co_return s3_error(Code::kMalformed, "MalformedXML",
                         configuration ? "the root element must be <CreateBucketConfiguration>"
                                       : configuration.error().message);
    }
    // Buckets lie where the server is, whichever region the client believes itself in.
    for (const auto& child : configuration->children) {
      if (child.name == "LocationConstraint") continue;
      co_return Error(Code::kUnsupported,
                      fmt::format("<{}> is not supported; create the bucket without it",
                                  printable(child.name)));
    }
  }
  const auto bucket = co_await lake.create_bucket(request.caller(), request.param("bucket"));
  if (!bucket) co_return bucket.error();
  Response response = Response::empty(200);
  response.headers.set("Location", "/" + bucket->name);
  co_return response;
}

Answer head_bucket(const Authorized& request, Lake& lake) {
  const auto bucket = co_await lake.bucket(request.caller(), request.param("bucket"));
  if (!bucket) co_return bucket.error();
  Response response = Response::empty(200);
  response.headers.set("x-amz-bucket-region", "us-east-1");
  co_return response;
}

Answer delete_bucket(const Authorized& request, Lake& lake) {
  const auto removed = co_await lake.delete_bucket(request.caller(), request.param("bucket"));
  if (!removed) co_return removed.error();
  co_return Response::empty(204);
}

Answer get_bucket_location(const Authorized& request, Lake& lake) {
  const auto bucket = co_await lake.bucket(request.caller(), request.param("bucket"));
  if (!bucket) co_return bucket.error();
  wire::XmlWriter writer("LocationConstraint", kNamespace);  // empty stands for us-east-1
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
