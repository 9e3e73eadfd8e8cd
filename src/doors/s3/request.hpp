#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "doors/http/http.hpp"
#include "storage/lake/lake.hpp"
#include "wire/xml.hpp"

// Reading the parts of S3 requests that several operations share. Private to the door.
namespace strata::doors::s3 {

using storage::lake::ObjectName;
using storage::lake::StoredChecksum;

// An error with a code of S3's own that no general one stands for; `code` also gives the HTTP
// status.
Error s3_error(Code code, std::string_view s3_code, std::string message);

// Refuses what the operation does not know: a sub-resource ("?renameObject") or an x-amz- header of
// a change, since ignoring it would do another thing than what was asked for. `parameters` names
// the query parameters and x-amz- headers that only this operation has, with spaces between them;
// "NAME*" is any that begins so.
// Errors: kUnsupported.
Status check_known(const http::Request& request, std::string_view parameters);

// Refuses settings in headers that the lake does not offer, each with its reason: access lists,
// encryption, locks, storage classes, redirects.
Status check_asked(const http::Request& request);
// x-amz-expected-bucket-owner and that of a copy's source. Errors: kPermissionDenied; as of
// Lake::bucket().
Task<Status> check_owner(const http::Authorized& request, storage::lake::Lake& lake);

// "null" is the version of each object. Errors: kNotFound (NoSuchVersion), kInvalidArgument.
Status check_version(std::string_view version);
// The object of the path, whose `versionId`, if there is one, was checked.
Result<ObjectName> object_of(const http::Authorized& request);
// The object in x-amz-copy-source.
Result<ObjectName> copy_source_of(const http::Authorized& request);

// A query parameter that counts something, at most `most`. Errors: kInvalidArgument.
Result<std::size_t> count_of(const http::Request& request, std::string_view name, std::size_t most);
std::string query_text(const http::Request& request, std::string_view name);

// Content headers and x-amz-meta-*. Errors: kTooLarge.
Result<storage::lake::ObjectFacts> facts_of(const http::Request& request);
// x-amz-tagging.
Result<storage::lake::Pairs> tags_of(const http::Request& request);
Status check_tags(const storage::lake::Pairs& tags);
// If-*, or x-amz-copy-source-if-* with that prefix.
storage::lake::Conditions conditions_of(const http::Request& request, std::string_view prefix = "");
// A date as headers or as listings write it.
std::optional<Instant> parse_date(std::string_view text);
// Content-MD5 and x-amz-checksum-*, also those announced as trailers. Keeps a reference to
// `request`.
Result<storage::lake::Expected> expected_of(const http::Request& request);
// x-amz-checksum-algorithm, if there is one. Errors: kInvalidArgument.
Result<std::optional<storage::lake::ChecksumKind>> checksum_algorithm_of(
    const http::Request& request);
// A checksum of the whole object on completion.
Result<std::optional<StoredChecksum>> object_checksum_of(const http::Request& request);

// The body as XML with `root` as its root element, after Content-MD5 and checksums were verified.
Task<Result<wire::XmlElement>> read_xml(const http::Authorized& request, std::string_view root,
                                        std::uint64_t limit);

}  // namespace strata::doors::s3
