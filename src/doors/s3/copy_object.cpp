#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Request;

namespace {

constexpr std::string_view kSourcePrefix = "x-amz-copy-source-";

// True for REPLACE, false for COPY or none.
Result<bool> replaces(const Request& request, std::string_view header) {
  const auto directive = request.headers.get(header, "COPY");
  if (equal_ignoring_case(directive, "REPLACE")) return true;
  if (equal_ignoring_case(directive, "COPY")) return false;
  return invalid(std::string(header), fmt::format("{}: must be COPY or REPLACE", header));
}

}  // namespace

Answer copy_object(const Authorized& request, Lake& lake) {
  const auto& head = request.request();
  const auto source = copy_source_of(request);
  if (!source) co_return source.error();
  const auto target = object_of(request);
  if (!target) co_return target.error();
  const auto new_facts = replaces(head, "x-amz-metadata-directive");
  if (!new_facts) co_return new_facts.error();
  const auto new_tags = replaces(head, "x-amz-tagging-directive");
  if (!new_tags) co_return new_tags.error();
  if (!*new_facts && !*new_tags && source->to_string() == target->to_string()) {
    co_return s3_error(Code::kInvalidArgument, "InvalidRequest",
                       "an object can be copied onto itself only with new metadata or tags: set "
                       "x-amz-metadata-directive: REPLACE");
  }
  auto facts = facts_of(head);
  if (!facts) co_return std::move(facts).error();
  auto tags = tags_of(head);
  if (!tags) co_return std::move(tags).error();
  const auto algorithm = checksum_algorithm_of(head);
  if (!algorithm) co_return algorithm.error();
  storage::lake::CopyOptions options;
  options.checksum = *algorithm;
  options.source_when = conditions_of(head, kSourcePrefix);
  options.when = conditions_of(head);
  if (*new_facts) options.facts = *std::move(facts);
  if (*new_tags) options.tags = *std::move(tags);
  const auto copied = co_await lake.copy(request.caller(), *source, *target, std::move(options));
  if (!copied) co_return copied.error();
  wire::XmlWriter writer("CopyObjectResult", kNamespace);
  writer.element("LastModified", to_rfc3339(copied->modified))
      .element("ETag", quoted(copied->etag));
  if (copied->checksum) {
    add_checksum(writer, *copied->checksum);
    writer.element("ChecksumType", copied->checksum->full_object ? "FULL_OBJECT" : "COMPOSITE");
  }
  co_return xml_answer(writer);
}

Answer upload_part_copy(const Authorized& request, Lake& lake) {
  const auto& head = request.request();
  const auto source = copy_source_of(request);
  if (!source) co_return source.error();
  const auto target = object_of(request);
  if (!target) co_return target.error();
  const auto number = to_int(query_text(head, "partNumber"));
  if (!number || *number < 1 || *number > Lake::kMaxParts) {
    co_return invalid("partNumber", fmt::format("partNumber: must be 1 to {}", Lake::kMaxParts));
  }
  storage::lake::GetOptions options;
  options.when = conditions_of(head, kSourcePrefix);
  if (const auto range = head.headers.find("x-amz-copy-source-range")) {
    options.range = storage::lake::parse_range(*range);
    if (!options.range || !options.range->first || !options.range->last) {
      co_return invalid("x-amz-copy-source-range",
                        "x-amz-copy-source-range: must read bytes=FIRST-LAST");
    }
  }
  const auto asked = options.range;
  auto object = co_await lake.get(request.caller(), *source, std::move(options));
  if (!object && object.error().code == Code::kNotModified) {
    co_return Error(Code::kPreconditionFailed, object.error().message);
  }
  if (!object) co_return std::move(object).error();
  if (asked && *asked->last >= object->info.size) {
    co_return invalid(
        "x-amz-copy-source-range",
        fmt::format("x-amz-copy-source-range: the source has {} bytes", object->info.size));
  }
  const auto bytes = lake.read(*std::move(object));
  const auto part = co_await lake.put_part(request.caller(), *target, query_text(head, "uploadId"),
                                           static_cast<int>(*number), *bytes, {});
  if (!part) co_return part.error();
  wire::XmlWriter writer("CopyPartResult", kNamespace);
  writer.element("LastModified", to_rfc3339(part->modified)).element("ETag", quoted(part->etag));
  add_checksum(writer, part->checksum);
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
