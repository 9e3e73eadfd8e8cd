#pragma once

#include <string>
#include <string_view>

#include "doors/http/http.hpp"
#include "storage/lake/lake.hpp"
#include "wire/xml.hpp"

// Writing the parts of S3 answers that several operations share. Private to the door.
namespace strata::doors::s3 {

inline constexpr std::string_view kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

http::Response xml_answer(wire::XmlWriter& writer, int status = 200);
// The protocol's own word for an error, such as NoSuchKey.
std::string s3_code(const Error& error);
std::string quoted(std::string_view etag);
// The API's name of a checksum's XML element, such as ChecksumCRC32.
std::string checksum_element(storage::lake::ChecksumKind kind);

// ETag, Last-Modified, the content headers and metadata of an object.
void describe(http::Response& response, const storage::lake::ObjectInfo& info);
// x-amz-checksum-* and its type.
void add_checksum(http::Response& response, const storage::lake::StoredChecksum& checksum);
void add_checksum(wire::XmlWriter& writer, const storage::lake::StoredChecksum& checksum);
void add_owner(wire::XmlWriter& writer, std::string_view element, std::string_view name);

}  // namespace strata::doors::s3
