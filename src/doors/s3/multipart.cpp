#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;
using storage::lake::CompleteOptions;
using storage::lake::PartReference;
using storage::lake::UploadOptions;

namespace {

constexpr std::uint64_t kMaxBody = 4 << 20;  // 10,000 parts with a checksum each

Result<PartReference> part_reference(const wire::XmlElement& element) {
  const auto number = to_int(element.child_text("PartNumber"));
  if (!number || *number < 1 || *number > Lake::kMaxParts) {
    return s3_error(Code::kMalformed, "MalformedXML",
                    fmt::format("<PartNumber> must be 1 to {}", Lake::kMaxParts));
  }
  PartReference part{static_cast<int>(*number), element.child_text("ETag"), {}};
  for (const auto kind : wire::aws::kChecksumKinds) {
    if (const auto* checksum = element.find(checksum_element(kind))) {
      part.checksum = StoredChecksum{kind, checksum->text, true};
    }
  }
  return part;
}

}  // namespace

Answer create_multipart_upload(const Authorized& request, Lake& lake) {
  const auto& headers = request.request().headers;
  const auto name = object_of(request);
  if (!name) co_return name.error();
  auto facts = facts_of(request.request());
  if (!facts) co_return std::move(facts).error();
  auto tags = tags_of(request.request());
  if (!tags) co_return std::move(tags).error();
  UploadOptions options;
  options.facts = *std::move(facts);
  options.tags = *std::move(tags);
  const auto algorithm = checksum_algorithm_of(request.request());
  if (!algorithm) co_return algorithm.error();
  options.checksum = *algorithm;
  options.full_object = equal_ignoring_case(headers.get("x-amz-checksum-type"), "FULL_OBJECT");
  const auto upload = co_await lake.create_upload(request.caller(), *name, std::move(options));
  if (!upload) co_return upload.error();
  wire::XmlWriter writer("InitiateMultipartUploadResult", kNamespace);
  writer.element("Bucket", name->bucket())
      .element("Key", name->key())
      .element("UploadId", upload->id);
  Response response = xml_answer(writer);
  if (upload->checksum_named) {
    response.headers.set("x-amz-checksum-algorithm",
                         std::string(wire::aws::checksum_name(upload->checksum)));
    response.headers.set("x-amz-checksum-type", upload->full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  co_return response;
}

Answer upload_part(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto number = to_int(query_text(request.request(), "partNumber"));
  if (!number || *number < 1 || *number > Lake::kMaxParts) {
    co_return invalid("partNumber", fmt::format("partNumber: must be 1 to {}", Lake::kMaxParts));
  }
  auto expected = expected_of(request.request());
  if (!expected) co_return std::move(expected).error();
  const auto part =
      co_await lake.put_part(request.caller(), *name, query_text(request.request(), "uploadId"),
                             static_cast<int>(*number), request.body(), *std::move(expected));
  if (!part) co_return part.error();
  Response response = Response::empty(200);
  response.headers.set("ETag", quoted(part->etag));
  response.headers.set(wire::aws::checksum_header(part->checksum.kind), part->checksum.value);
  co_return response;
}

Answer complete_multipart_upload(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  auto text = co_await request.read_body_as_sent(kMaxBody);
  if (!text) co_return std::move(text).error();
  const auto body = wire::parse_xml(*text, {.depth = 8, .elements = 100'000});
  if (!body || body->name != "CompleteMultipartUpload") {
    co_return s3_error(
        Code::kMalformed, "MalformedXML",
        body ? "the root element must be <CompleteMultipartUpload>" : body.error().message);
  }
  CompleteOptions options;
  for (const auto& child : body->children) {
    if (child.name != "Part") continue;
    auto part = part_reference(child);
    if (!part) co_return std::move(part).error();
    options.parts.push_back(*std::move(part));
  }
  if (options.parts.empty())
    co_return s3_error(Code::kMalformed, "MalformedXML", "the list of parts is empty");
  options.when = conditions_of(request.request());
  auto checksum = object_checksum_of(request.request());
  if (!checksum) co_return std::move(checksum).error();
  options.checksum = *std::move(checksum);
  if (const auto size = to_int(request.request().headers.get("x-amz-mp-object-size"))) {
    options.size = static_cast<std::uint64_t>(*size);
  }
  const auto object = co_await lake.complete_upload(
      request.caller(), *name, query_text(request.request(), "uploadId"), std::move(options));
  if (!object) co_return object.error();
  wire::XmlWriter writer("CompleteMultipartUploadResult", kNamespace);
  writer.element("Location", "/" + name->to_string());
  writer.element("Bucket", name->bucket())
      .element("Key", name->key())
      .element("ETag", quoted(object->etag));
  if (object->checksum) {
    add_checksum(writer, *object->checksum);
    writer.element("ChecksumType", object->checksum->full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  co_return xml_answer(writer);
}

Answer abort_multipart_upload(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  STRATA_CO_TRY(co_await lake.abort_upload(request.caller(), *name,
                                           query_text(request.request(), "uploadId")));
  co_return Response::empty(204);
}

}  // namespace strata::doors::s3
