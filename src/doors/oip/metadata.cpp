#include <fmt/format.h>

#include "base/bytes.hpp"
#include "doors/oip/describe.hpp"
#include "doors/oip/oip.hpp"

namespace strata::doors::oip {

using http::Authorized;
using http::Response;
using platform::deployment::EndpointInfo;
using platform::deployment::Endpoints;
using platform::deployment::LiveModel;

namespace {

Json shape_json(const std::vector<std::int64_t>& shape) {
  Json out = Json::array();
  for (const auto dimension : shape)
    out.push(dimension);
  return out;
}

Json metadata_json(const std::vector<Port>& ports) {
  Json out = Json::array();
  for (const auto& port : ports) {
    out.push(Json::object({{"name", port.name},
                           {"datatype", wire::element_name(port.type)},
                           {"shape", shape_json(port.shape)}}));
  }
  return out;
}

Json config_json(const std::vector<Port>& ports) {
  Json out = Json::array();
  for (const auto& port : ports) {
    const bool text = port.type == wire::ElementType::kText;
    const std::string type = "TYPE_" + std::string(text ? "STRING" : wire::element_name(port.type));
    out.push(
        Json::object({{"name", port.name}, {"data_type", type}, {"dims", shape_json(port.shape)}}));
  }
  return out;
}

Json statistics_json(const LiveModel& model) {
  const auto& meters = *model.meters;
  const Json counts = Json::object(
      {{"success", Json::object({{"count", meters.answered.value()}})},
       {"fail", Json::object({{"count", meters.failed.value() + meters.refused.value()}})}});
  return Json::object({{"name", model.identity->endpoint},
                       {"version", model.identity->version},
                       {"inference_count", meters.answered.value()},
                       {"execution_count", meters.answered.value() + meters.failed.value()},
                       {"inference_stats", counts}});
}

Result<std::shared_ptr<const LiveModel>> model_of(const Authorized& call,
                                                  const Endpoints& endpoints) {
  return endpoints.find(call.caller().project, call.param("name"), call.param("version"));
}

}  // namespace

std::string platform_of(const LiveModel& model) {
  return model.flavor == "onnx" ? "onnxruntime_onnx" : model.flavor;
}

std::vector<Port> inputs_of(const LiveModel& model) {
  std::vector<Port> ports;
  const auto& contract = model.binding->contract();
  ports.reserve(contract.columns.size() + contract.tensors.size());
  for (const auto& column : contract.columns)
    ports.push_back({column.name, column.element, {-1, 1}});
  for (const auto& tensor : contract.tensors)
    ports.push_back({tensor.name, tensor.type, tensor.shape});
  return ports;
}

std::vector<Port> outputs_of(const LiveModel& model) {
  std::vector<Port> ports;
  for (const auto& tensor : model.binding->contract().outputs)
    ports.push_back({tensor.name, tensor.type, tensor.shape});
  return ports;
}

IndexEntry index_entry(const EndpointInfo& endpoint) {
  const bool live = endpoint.live != nullptr;
  return {endpoint.name, live ? endpoint.live->identity->version : endpoint.wanted_version,
          live ? "READY" : "UNAVAILABLE", endpoint.error};
}

// What a client of a repository asks for is done by moving the alias.
Error not_moved(std::string_view name) {
  return {Code::kUnsupported,
          fmt::format("models are not loaded or unloaded by hand: endpoint '{0}' follows the "
                      "reference that it was created with; move that alias in the model registry "
                      "to change what answers, or delete the endpoint with strata endpoint delete "
                      "{0}",
                      printable(name))};
}

Task<Response> server_metadata(const Authorized&) {
  Json extensions = Json::array();
  for (const auto name : kExtensions)
    extensions.push(name);
  co_return Response::json(
      Json::object({{"name", "strata"}, {"version", STRATA_VERSION}, {"extensions", extensions}}));
}

Task<Response> list_models(const Authorized& call, Endpoints& endpoints) {
  Json names = Json::array();
  for (const auto& endpoint : endpoints.list(call.caller()))
    names.push(endpoint.name);
  co_return Response::json(Json::object({{"models", names}}));
}

Task<Response> repository_index(const Authorized& call, Endpoints& endpoints) {
  Json index = Json::array();
  for (const auto& endpoint : endpoints.list(call.caller())) {
    const auto entry = index_entry(endpoint);
    index.push(Json::object({{"name", entry.name},
                             {"version", entry.version},
                             {"state", entry.state},
                             {"reason", entry.reason}}));
  }
  co_return Response::json(index);
}

Task<Response> refuse_to_move(const Authorized& call, Endpoints&) {
  co_return error_response(not_moved(call.param("name")));
}

Task<Response> model_metadata(const Authorized& call, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints);
  if (!model) co_return error_response(model.error());
  const auto& identity = *(*model)->identity;
  const Json parameters = Json::object({{"model", identity.model},
                                        {"digest", identity.digest},
                                        {"deployment", identity.deployment}});
  co_return Response::json(Json::object({{"name", identity.endpoint},
                                         {"versions", Json(Json::Array{identity.version})},
                                         {"platform", platform_of(**model)},
                                         {"inputs", metadata_json(inputs_of(**model))},
                                         {"outputs", metadata_json(outputs_of(**model))},
                                         {"parameters", parameters}}));
}

Task<Response> model_ready(const Authorized& call, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints);
  if (!model) co_return error_response(model.error());
  co_return Response::json(Json::object({{"name", (*model)->identity->endpoint}, {"ready", true}}));
}

Task<Response> model_config(const Authorized& call, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints);
  if (!model) co_return error_response(model.error());
  const Json latest = Json::object({{"latest", Json::object({{"num_versions", 1}})}});
  co_return Response::json(Json::object({{"name", (*model)->identity->endpoint},
                                         {"platform", platform_of(**model)},
                                         {"backend", (*model)->flavor},
                                         {"version_policy", latest},
                                         {"max_batch_size", 0},
                                         {"input", config_json(inputs_of(**model))},
                                         {"output", config_json(outputs_of(**model))}}));
}

Task<Response> model_statistics(const Authorized& call, Endpoints& endpoints) {
  const auto model = model_of(call, endpoints);
  if (!model) co_return error_response(model.error());
  co_return Response::json(
      Json::object({{"model_stats", Json(Json::Array{statistics_json(**model)})}}));
}

Task<Response> all_statistics(const Authorized& call, Endpoints& endpoints) {
  Json all = Json::array();
  for (const auto& endpoint : endpoints.list(call.caller())) {
    if (endpoint.live) all.push(statistics_json(*endpoint.live));
  }
  co_return Response::json(Json::object({{"model_stats", all}}));
}

}  // namespace strata::doors::oip
