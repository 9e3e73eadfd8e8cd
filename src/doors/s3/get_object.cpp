#include <array>

#include <fmt/format.h>

#include "base/text.hpp"
#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::FileSlice;
using http::Request;
using http::Response;
using storage::lake::GetOptions;
using storage::lake::OpenObject;

namespace {

Result<GetOptions> options_of(const Request& request) {
  GetOptions options;
  options.when = conditions_of(request);
  if (const auto range = request.headers.find("Range"))
    options.range = storage::lake::parse_range(*range);
  if (const auto same = request.headers.find("If-Range")) options.if_range = std::string(*same);
  if (const auto part = request.query_value("partNumber")) {
    const auto number = to_int(*part);
    if (!number || *number < 1 || *number > Lake::kMaxParts) {
      return invalid("partNumber", fmt::format("partNumber: must be 1 to {}", Lake::kMaxParts));
    }
    if (options.range) {
      return s3_error(Code::kInvalidArgument, "InvalidRequest",
                      "Range and partNumber cannot be asked together");
    }
    options.part = static_cast<int>(*number);
  }
  return options;
}

// response-content-type and its kin.
void override_headers(Response& response, const Request& request) {
  constexpr std::array<std::string_view, 6> kNames = {"content-type",  "content-language",
                                                      "expires",       "content-disposition",
                                                      "cache-control", "content-encoding"};
  for (const auto name : kNames) {
    const auto value = request.query_value(fmt::format("response-{}", name));
    if (value) response.headers.set(name, std::string(*value));
  }
}

Response head_of(const OpenObject& object, const Request& request) {
  Response response = Response::empty(object.partial ? 206 : 200);
  describe(response, object.info);
  const bool whole = !object.partial || object.length == object.info.size;
  if (object.partial) {
    response.headers.set("Content-Range",
                         fmt::format("bytes {}-{}/{}", object.offset,
                                     object.offset + std::max<std::uint64_t>(object.length, 1) - 1,
                                     object.info.size));
  }
  if (request.has_query("partNumber") && !object.info.part_sizes.empty()) {
    response.headers.set("x-amz-mp-parts-count", fmt::to_string(object.info.part_sizes.size()));
  }
  // A checksum of the whole says nothing of a part.
  if (whole && object.info.checksum &&
      equal_ignoring_case(request.headers.get("x-amz-checksum-mode"), "ENABLED")) {
    add_checksum(response, *object.info.checksum);
  }
  override_headers(response, request);
  return response;
}

}  // namespace

Answer get_object(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  auto options = options_of(request.request());
  if (!options) co_return std::move(options).error();
  auto object = co_await lake.get(request.caller(), *name, *std::move(options));
  if (!object) co_return std::move(object).error();
  Response response = head_of(*object, request.request());
  if (object->slices.empty()) {
    response.body = std::move(object->bytes);
  } else if (object->slices.size() == 1) {
    auto& slice = object->slices.front();
    response.body = FileSlice{std::move(slice.file), slice.offset, slice.length};
  } else {
    response.body = lake.read(*std::move(object));
  }
  co_return response;
}

Answer head_object(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  auto options = options_of(request.request());
  if (!options) co_return std::move(options).error();
  const auto object = co_await lake.head(request.caller(), *name, *std::move(options));
  if (!object) co_return object.error();
  Response response = head_of(*object, request.request());
  response.headers.set("Content-Length", fmt::to_string(object->length));
  co_return response;
}

namespace {

constexpr std::size_t kMaxPartsPage = 1000;

// A page of the parts' sizes: those behind x-amz-part-number-marker, x-amz-max-parts of them.
Status add_parts(const Request& request, const std::vector<std::uint64_t>& sizes,
                 wire::XmlWriter& writer) {
  const auto number = [&](std::string_view header, std::int64_t otherwise) -> Result<std::size_t> {
    const auto text = request.headers.find(header);
    const auto value = text ? to_int(*text) : otherwise;
    if (value && *value >= 0) return static_cast<std::size_t>(*value);
    return invalid(std::string(header), fmt::format("{}: must be a number from 0", header));
  };
  const auto marker = number("x-amz-part-number-marker", 0);
  if (!marker) return marker.error();
  const auto asked = number("x-amz-max-parts", kMaxPartsPage);
  if (!asked) return asked.error();
  const auto limit = std::min(*asked, kMaxPartsPage);
  const auto first = std::min(*marker, sizes.size());
  const auto last = std::min(first + limit, sizes.size());
  writer.open("ObjectParts")
      .element("PartsCount", sizes.size())
      .element("PartNumberMarker", *marker)
      .element("NextPartNumberMarker", last)
      .element("MaxParts", limit)
      .element("IsTruncated", last < sizes.size());
  for (auto part = first; part < last; ++part) {
    writer.open("Part").element("PartNumber", part + 1).element("Size", sizes[part]).close();
  }
  writer.close();
  return {};
}

}  // namespace

Answer get_object_attributes(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto wanted = to_lower(request.request().headers.get("x-amz-object-attributes"));
  if (wanted.empty()) {
    co_return s3_error(Code::kInvalidArgument, "InvalidRequest",
                       "x-amz-object-attributes names no attribute");
  }
  const auto object = co_await lake.head(request.caller(), *name, {});
  if (!object) co_return object.error();
  const auto& info = object->info;
  const auto asked = [&](std::string_view attribute) {
    return wanted.find(attribute) != std::string::npos;
  };
  wire::XmlWriter writer("GetObjectAttributesResponse", kNamespace);
  if (asked("etag")) writer.element("ETag", info.etag);
  if (asked("checksum") && info.checksum) {
    writer.open("Checksum");
    add_checksum(writer, *info.checksum);
    writer.element("ChecksumType", info.checksum->full_object ? "FULL_OBJECT" : "COMPOSITE")
        .close();
  }
  if (asked("objectparts") && !info.part_sizes.empty()) {
    const auto status = add_parts(request.request(), info.part_sizes, writer);
    if (!status) co_return status.error();
  }
  if (asked("storageclass")) writer.element("StorageClass", "STANDARD");
  if (asked("objectsize")) writer.element("ObjectSize", info.size);
  Response response = xml_answer(writer);
  response.headers.set("Last-Modified", to_http_date(info.modified));
  co_return response;
}

}  // namespace strata::doors::s3
