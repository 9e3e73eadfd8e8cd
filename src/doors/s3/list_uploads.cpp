#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"
#include "wire/uri.hpp"

namespace strata::doors::s3 {

using http::Authorized;

namespace {
constexpr std::size_t kMaxEntries = 1000;
}

Answer list_parts(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto limit = count_of(request.request(), "max-parts", kMaxEntries);
  if (!limit) co_return limit.error();
  const auto after = count_of(request.request(), "part-number-marker", Lake::kMaxParts);
  if (!after) co_return after.error();
  const bool marked = !query_text(request.request(), "part-number-marker").empty();
  const int marker = marked ? static_cast<int>(*after) : 0;
  const auto id = query_text(request.request(), "uploadId");
  const auto found = co_await lake.parts(request.caller(), *name, id, marker, *limit);
  if (!found) co_return found.error();
  wire::XmlWriter writer("ListPartsResult", kNamespace);
  writer.element("Bucket", name->bucket()).element("Key", name->key()).element("UploadId", id);
  add_owner(writer, "Initiator", found->upload.owner);
  add_owner(writer, "Owner", found->upload.owner);
  writer.element("StorageClass", "STANDARD")
      .element("PartNumberMarker", static_cast<std::uint64_t>(marker));
  writer.element("MaxParts", *limit).element("IsTruncated", found->truncated);
  if (found->truncated && !found->parts.empty()) {
    writer.element("NextPartNumberMarker", static_cast<std::uint64_t>(found->parts.back().number));
  }
  if (found->upload.checksum_named) {
    writer.element("ChecksumAlgorithm", wire::aws::checksum_name(found->upload.checksum));
    writer.element("ChecksumType", found->upload.full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  for (const auto& part : found->parts) {
    writer.open("Part").element("PartNumber", static_cast<std::uint64_t>(part.number));
    writer.element("LastModified", to_rfc3339(part.modified)).element("ETag", quoted(part.etag));
    if (found->upload.checksum_named) add_checksum(writer, part.checksum);
    writer.element("Size", part.size).close();
  }
  co_return xml_answer(writer);
}

Answer list_multipart_uploads(const Authorized& request, Lake& lake) {
  const auto& head = request.request();
  const auto limit = count_of(head, "max-uploads", kMaxEntries);
  if (!limit) co_return limit.error();
  const bool url = query_text(head, "encoding-type") == "url";
  const auto show = [&](std::string_view text) {
    return url ? wire::percent_encode(text, true) : std::string(text);
  };
  storage::lake::ListOptions options;
  options.prefix = query_text(head, "prefix");
  options.delimiter = query_text(head, "delimiter");
  options.after = query_text(head, "key-marker");
  options.limit = *limit;
  const auto after_id = query_text(head, "upload-id-marker");
  const auto bucket = request.param("bucket");
  const auto found = co_await lake.uploads(request.caller(), bucket, options, after_id);
  if (!found) co_return found.error();
  wire::XmlWriter writer("ListMultipartUploadsResult", kNamespace);
  writer.element("Bucket", bucket)
      .element("KeyMarker", show(options.after))
      .element("UploadIdMarker", after_id);
  if (found->truncated) {
    writer.element("NextKeyMarker", show(found->next_key))
        .element("NextUploadIdMarker", found->next_id);
  }
  writer.element("Prefix", show(options.prefix));
  if (!options.delimiter.empty()) writer.element("Delimiter", show(options.delimiter));
  if (url) writer.element("EncodingType", "url");
  writer.element("MaxUploads", *limit).element("IsTruncated", found->truncated);
  for (const auto& upload : found->uploads) {
    writer.open("Upload").element("Key", show(upload.key)).element("UploadId", upload.id);
    add_owner(writer, "Initiator", upload.owner);
    add_owner(writer, "Owner", upload.owner);
    writer.element("StorageClass", "STANDARD")
        .element("Initiated", to_rfc3339(upload.created))
        .close();
  }
  for (const auto& prefix : found->prefixes)
    writer.open("CommonPrefixes").element("Prefix", show(prefix)).close();
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
