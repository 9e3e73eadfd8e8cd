#include <fmt/format.h>

#include "doors/s3/answer.hpp"
#include "doors/s3/operations.hpp"
#include "doors/s3/request.hpp"

namespace strata::doors::s3 {

using http::Authorized;
using http::Response;

namespace {
constexpr std::uint64_t kMaxBody = 2 << 20;
constexpr std::size_t kMaxKeys = 1000;
}  // namespace

Answer delete_object(const Authorized& request, Lake& lake) {
  const auto name = object_of(request);
  if (!name) co_return name.error();
  const auto removed =
      co_await lake.remove(request.caller(), *name, conditions_of(request.request()));
  if (!removed) co_return removed.error();
  co_return Response::empty(204);
}

Answer delete_objects(const Authorized& request, Lake& lake) {
  const auto body = co_await read_xml(request, "Delete", kMaxBody);
  if (!body) co_return body.error();
  std::vector<std::string> keys;
  for (const auto& child : body->children) {
    if (child.name != "Object") continue;
    const auto* key = child.find("Key");
    if (key == nullptr)
      co_return s3_error(Code::kMalformed, "MalformedXML", "an <Object> has no <Key>");
    keys.push_back(key->text);
  }
  if (keys.empty() || keys.size() > kMaxKeys) {
    co_return s3_error(Code::kMalformed, "MalformedXML",
                       fmt::format("{} keys; one request removes 1 to {}", keys.size(), kMaxKeys));
  }
  const bool quiet = body->child_text("Quiet") == "true";
  const auto outcomes = co_await lake.remove_many(request.caller(), request.param("bucket"), keys);
  if (!outcomes) co_return outcomes.error();
  wire::XmlWriter writer("DeleteResult", kNamespace);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& outcome = (*outcomes)[i];
    if (!outcome) {
      const bool kept = outcome.error().code == Code::kConflict;
      writer.open("Error").element("Key", keys[i]);
      writer.element("Code", kept ? "AccessDenied" : "InvalidArgument");
      writer.element("Message", outcome.error().message).close();
    } else if (!quiet) {
      writer.open("Deleted").element("Key", keys[i]).close();
    }
  }
  co_return xml_answer(writer);
}

}  // namespace strata::doors::s3
