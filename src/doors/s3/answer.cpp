#include "doors/s3/answer.hpp"

#include <fmt/format.h>

namespace strata::doors::s3 {

http::Response xml_answer(wire::XmlWriter& writer, int status) {
  return http::Response::text(status, writer.finish(), "application/xml");
}

std::string quoted(std::string_view etag) {
  return fmt::format("\"{}\"", etag);
}

std::string checksum_element(storage::lake::ChecksumKind kind) {
  return fmt::format("Checksum{}", wire::aws::checksum_name(kind));
}

void describe(http::Response& response, const storage::lake::ObjectInfo& info) {
  auto& headers = response.headers;
  headers.set("Content-Type",
              info.facts.content_type.empty() ? "binary/octet-stream" : info.facts.content_type);
  headers.set("ETag", quoted(info.etag));
  headers.set("Last-Modified", to_http_date(info.modified));
  headers.set("Accept-Ranges", "bytes");
  for (const auto& [name, value] : info.facts.headers)
    headers.set(name, value);
  for (const auto& [name, value] : info.facts.metadata)
    headers.set("x-amz-meta-" + name, value);
  if (!info.tags.empty()) headers.set("x-amz-tagging-count", fmt::to_string(info.tags.size()));
}

void add_checksum(http::Response& response, const storage::lake::StoredChecksum& checksum) {
  response.headers.set(wire::aws::checksum_header(checksum.kind), checksum.value);
  response.headers.set("x-amz-checksum-type", checksum.full_object ? "FULL_OBJECT" : "COMPOSITE");
}

void add_checksum(wire::XmlWriter& writer, const storage::lake::StoredChecksum& checksum) {
  writer.element(checksum_element(checksum.kind), checksum.value);
}

void add_owner(wire::XmlWriter& writer, std::string_view element, std::string_view name) {
  writer.open(element).element("ID", name).element("DisplayName", name).close();
}

}  // namespace strata::doors::s3
