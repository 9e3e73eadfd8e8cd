#include <array>

#include <fmt/format.h>

#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;

namespace {

// What S3 answers for a setting that was never made: an element without content, or an error of its
// own.
struct Setting {
  std::string_view query;
  std::string_view element;  // of the empty document, or
  std::string_view missing;  // the error's code
};

constexpr std::array<Setting, 16> kBucketSettings = {{
    {"acl", "", ""},
    {"versioning", "VersioningConfiguration", ""},
    {"notification", "NotificationConfiguration", ""},
    {"logging", "BucketLoggingStatus", ""},
    {"accelerate", "AccelerateConfiguration", ""},
    {"requestPayment", "", ""},
    {"policyStatus", "", "NoSuchBucketPolicy"},
    {"policy", "", "NoSuchBucketPolicy"},
    {"cors", "", "NoSuchCORSConfiguration"},
    {"lifecycle", "", "NoSuchLifecycleConfiguration"},
    {"tagging", "", "NoSuchTagSet"},
    {"encryption", "", "ServerSideEncryptionConfigurationNotFoundError"},
    {"object-lock", "", "ObjectLockConfigurationNotFoundError"},
    {"website", "", "NoSuchWebsiteConfiguration"},
    {"replication", "", "ReplicationConfigurationNotFoundError"},
    {"publicAccessBlock", "", "NoSuchPublicAccessBlockConfiguration"},
}};

constexpr std::array<std::string_view, 7> kObjectSettings = {
    "acl", "retention", "legal-hold", "torrent", "restore", "select", "append"};

// The owner may do everything and nobody else anything: what a private bucket or object has.
Response owner_only(std::string_view owner) {
  wire::XmlWriter writer("AccessControlPolicy", kNamespace);
  add_owner(writer, "Owner", owner);
  writer.open("AccessControlList").open("Grant");
  writer.raw(
      "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
      "xsi:type=\"CanonicalUser\">");
  writer.element("ID", owner).element("DisplayName", owner).raw("</Grantee>");
  writer.element("Permission", "FULL_CONTROL");
  return xml_answer(writer);
}

}  // namespace

std::vector<std::string> bucket_settings() {
  std::vector<std::string> names;
  names.reserve(std::size(kBucketSettings));
  for (const auto& setting : kBucketSettings)
    names.emplace_back(setting.query);
  return names;
}

std::vector<std::string> object_settings() {
  return {kObjectSettings.begin(), kObjectSettings.end()};
}

Answer get_bucket_setting(const Authorized& request, Lake& lake) {
  const auto bucket = co_await lake.bucket(request.caller(), request.param("bucket"));
  if (!bucket) co_return bucket.error();
  for (const auto& setting : kBucketSettings) {
    if (!request.request().has_query(setting.query)) continue;
    if (setting.query == "acl") co_return owner_only(bucket->owner);
    if (!setting.missing.empty()) {
      co_return s3_error(
          Code::kNotFound, setting.missing,
          fmt::format("the bucket '{}' has no {} setting", bucket->name, setting.query));
    }
    wire::XmlWriter writer(
        setting.query == "requestPayment" ? "RequestPaymentConfiguration" : setting.element,
        kNamespace);
    if (setting.query == "requestPayment") writer.element("Payer", "BucketOwner");
    co_return xml_answer(writer);
  }
  co_return Error(Code::kUnsupported, "this setting is not supported");
}

Answer get_object_setting(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto object = co_await lake.head(request.caller(), *name, {});
  if (!object) co_return object.error();
  if (request.request().has_query("acl")) co_return owner_only(object->info.owner);
  if (request.request().has_query("retention") || request.request().has_query("legal-hold")) {
    co_return s3_error(Code::kNotFound, "NoSuchObjectLockConfiguration", "this object has no lock");
  }
  co_return co_await change_setting(request, lake);
}

namespace {

struct Reason {
  std::string_view setting;
  std::string_view text;
};

constexpr std::string_view kRoles =
    "access is governed by the roles and token scopes of Strata's users";
constexpr std::string_view kNoLocks = "objects cannot be locked";

// Why a setting cannot be made, and what is done instead.
constexpr std::array<Reason, 21> kReasons = {{
    {"acl", kRoles},
    {"policy", kRoles},
    {"publicAccessBlock", kRoles},
    {"versioning",
     "a bucket keeps one version of each object; write each version under a key of its own"},
    {"notification", "a pipeline's trigger runs on a new object"},
    {"encryption", "encrypt the file system that holds the data directory"},
    {"object-lock", kNoLocks},
    {"retention", kNoLocks},
    {"legal-hold", kNoLocks},
    {"select", "query the object with SQL: SELECT ... FROM 's3://BUCKET/KEY'"},
    {"restore", "no object is archived, so all can be read at once"},
    {"append", "an object is replaced as a whole; write the next piece under a key of its own"},
    {"torrent", "read the object with GET"},
    {"lifecycle", "objects stay until they are deleted"},
    {"replication", "copy the data directory with strata backup"},
    {"logging", "the server keeps an access log and an audit log of its own"},
    {"tagging", "objects have tags, buckets have none"},
    {"website", "buckets are not served as web sites"},
    {"cors", "pages of other origins cannot read the answers of this port"},
    {"accelerate", "there is one server, which is as near as it can be"},
    {"requestPayment", "nobody is billed for requests"},
}};

}  // namespace

Answer change_setting(const Authorized& request, Lake&) {
  for (const auto& reason : kReasons) {
    if (!request.request().has_query(reason.setting)) continue;
    co_return Error(Code::kUnsupported,
                    fmt::format("?{} is not supported; {}", reason.setting, reason.text));
  }
  co_return Error(Code::kUnsupported, "this sub-resource is not supported");
}

}  // namespace strata::doors::s3
