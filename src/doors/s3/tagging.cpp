#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;
using storage::lake::Pairs;

namespace {
constexpr std::uint64_t kMaxBody = 128 * 1024;
}

Answer get_object_tagging(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto tags = co_await lake.tags(request.caller(), *name);
  if (!tags) co_return tags.error();
  wire::XmlWriter writer("Tagging", kNamespace);
  writer.open("TagSet");
  for (const auto& [key, value] : *tags)
    writer.open("Tag").element("Key", key).element("Value", value).close();
  co_return xml_answer(writer);
}

Answer put_object_tagging(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto body = co_await read_xml(request, "Tagging", kMaxBody);
  if (!body) co_return body.error();
  const auto* set = body->find("TagSet");
  if (set == nullptr)
    co_return s3_error(Code::kMalformed, "MalformedXML", "<Tagging> has no <TagSet>");
  Pairs tags;
  for (const auto& tag : set->children) {
    if (tag.name == "Tag") tags.emplace_back(tag.child_text("Key"), tag.child_text("Value"));
  }
  STRATA_CO_TRY(check_tags(tags));
  STRATA_CO_TRY(co_await lake.set_tags(request.caller(), *name, std::move(tags)));
  co_return Response::empty(200);
}

Answer delete_object_tagging(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  Pairs none;
  STRATA_CO_TRY(co_await lake.set_tags(request.caller(), *name, std::move(none)));
  co_return Response::empty(204);
}

}  // namespace strata::doors::s3
