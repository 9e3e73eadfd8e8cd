#include "doors/http/openapi.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::http {

namespace {

constexpr std::string_view kError = R"({"type":"object","required":["error"],"properties":{"error":{
  "type":"object","required":["code","message","request_id"],"properties":{"code":{"type":"string"},
  "message":{"type":"string"},"field":{"type":"string"},"retry":{"type":"boolean"},
  "request_id":{"type":"string"}}}}})";

Json schema_of(std::string_view text) {
  if (text.empty()) return Json::object();
  auto schema = parse_json(text);
  return schema ? *std::move(schema) : Json::object();
}

Json content_of(std::string_view type, Json schema) {
  return Json::object({{std::string(type), Json::object({{"schema", std::move(schema)}})}});
}

Json json_content(Json schema) {
  return content_of("application/json", std::move(schema));
}

// "{key+}" is our own spelling; the document says {key}.
std::string document_path(const BoundRoute& bound, Json& parameters) {
  std::string path;
  for (const auto& segment : bound.segments) {
    std::string name = segment;
    if (name.starts_with('{')) {
      name = name.substr(1, name.size() - 2);
      if (name.ends_with('+')) name.pop_back();
      parameters.push(Json::object({{"name", name},
                                    {"in", "path"},
                                    {"required", true},
                                    {"schema", Json::object({{"type", "string"}})}}));
      name = "{" + name + "}";
    }
    path += "/" + name;
  }
  return path;
}

void add_query_parameters(std::string_view text, Json& parameters) {
  if (text.empty()) return;
  for (const auto& entry : split(text, ';')) {
    const auto parts = split(entry, ':');
    if (parts.size() < 2) continue;
    Json parameter = Json::object({{"name", parts[0]},
                                   {"in", "query"},
                                   {"required", false},
                                   {"schema", Json::object({{"type", parts[1]}})}});
    if (parts.size() > 2) parameter.set("description", parts[2]);
    parameters.push(std::move(parameter));
  }
}

Json responses_of(const Route& route) {
  const Doc& doc = route.doc;
  Json responses = Json::object();
  Json good = Json::object({{"description", "Success"}});
  if (!doc.response_schema.empty())
    good.set("content", json_content(schema_of(doc.response_schema)));
  if (!doc.response_type.empty())
    good.set("content", content_of(doc.response_type, Json::object()));
  responses.set("2XX", std::move(good));
  const Json failed = Json::object(
      {{"description", "What was wrong, with which value, and how to mend it"},
       {"content", json_content(Json::object({{"$ref", "#/components/schemas/Error"}}))}});
  responses.set("4XX", failed);
  responses.set("5XX", failed);
  return responses;
}

// "postApi20MlflowRunsCreate".
std::string derived_operation(const BoundRoute& bound) {
  std::string name = to_lower(method_name(bound.route.method));
  bool begins = true;
  for (const char c : bound.route.pattern) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter || (c >= '0' && c <= '9'))
      name += begins && c >= 'a' ? static_cast<char>(c - 32) : c;
    begins = !letter;
  }
  return name;
}

// A route that another specification describes.
Json derived(const BoundRoute& bound) {
  const auto protocol = bound.door->protocol();
  Json operation =
      Json::object({{"operationId", derived_operation(bound)},
                    {"summary", fmt::format("As the specification of {} says", protocol)},
                    {"x-specification", protocol}});
  operation.set("tags", Json(Json::Array{Json(protocol)}));
  if (bound.route.method == Method::kPost || bound.route.method == Method::kPatch) {
    operation.set("requestBody",
                  Json::object({{"required", false},
                                {"content", json_content(Json::object({{"type", "object"}}))}}));
  }
  return operation;
}

Json described(const Doc& doc) {
  Json operation = Json::object({{"operationId", doc.operation}, {"summary", doc.summary}});
  operation.set("tags", Json(Json::Array{Json(doc.tag)}));
  return operation;
}

Json operation_of(const BoundRoute& bound, Json parameters) {
  const Doc& doc = bound.route.doc;
  Json operation = doc.operation.empty() ? derived(bound) : described(doc);
  if (parameters.size() > 0) operation.set("parameters", std::move(parameters));
  if (!doc.request_schema.empty()) {
    operation.set("requestBody",
                  Json::object({{"required", true},
                                {"content", json_content(schema_of(doc.request_schema))}}));
  }
  operation.set("responses", responses_of(bound.route));
  operation.set("x-permission", kernel::permission_name(bound.route.permission));
  if (bound.route.permission == kernel::Permission::kPublic)
    operation.set("security", Json::array());
  return operation;
}

}  // namespace

Json openapi_document(const Router& router, Json types) {
  types.set("Error", schema_of(kError));
  Json paths = Json::object();
  for (const auto& bound : router.routes()) {
    Json parameters = Json::array();
    const std::string path = document_path(*bound, parameters);
    add_query_parameters(bound->route.doc.query_parameters, parameters);
    Json item = paths[path].is_object() ? paths[path] : Json::object();
    const std::string method = to_lower(method_name(bound->route.method));
    if (item.find(method) == nullptr) item.set(method, operation_of(*bound, std::move(parameters)));
    paths.set(path, std::move(item));
  }
  const Json schemes =
      Json::object({{"bearer", Json::object({{"type", "http"}, {"scheme", "bearer"}})},
                    {"basic", Json::object({{"type", "http"}, {"scheme", "basic"}})}});
  return Json::object(
      {{"openapi", "3.1.0"},
       {"info", Json::object({{"title", "Strata"}, {"version", STRATA_VERSION}})},
       {"paths", std::move(paths)},
       {"components", Json::object({{"schemas", std::move(types)}, {"securitySchemes", schemes}})},
       {"security", Json(Json::Array{Json::object({{"bearer", Json::array()}}),
                                     Json::object({{"basic", Json::array()}})})}});
}

}  // namespace strata::http
