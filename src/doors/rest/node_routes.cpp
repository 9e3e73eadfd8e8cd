#include "doors/rest/node_routes.hpp"

#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

namespace {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using storage::compute::Compute;
using storage::compute::NodeInfo;

Response reply_node(const Result<NodeInfo>& node, const http::Request& request) {
  if (!node) return error_response(node.error(), request);
  return Response::json(storage::compute::to_json(*node));
}

Task<Response> list_nodes(const Authorized&, Compute& compute) {
  Json nodes = Json::array();
  for (const auto& node : compute.nodes())
    nodes.push(storage::compute::to_json(node));
  co_return Response::json(Json::object({{"nodes", std::move(nodes)}}));
}

Task<Response> set_price(const Authorized& call, Compute& compute) {
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  const storage::compute::Price price{body->number("per_hour"), body->text("currency")};
  co_return reply_node(co_await compute.set_price(call.caller(), call.param("name"), price),
                       call.request());
}

Task<Response> measure_node(const Authorized& call, Compute& compute) {
  co_return reply_node(co_await compute.measure(call.caller(), call.param("name")), call.request());
}

constexpr std::string_view kPriceSchema = R"({"type":"object","required":["per_hour","currency"],
"additionalProperties":false,
"properties":{"per_hour":{"type":"number"},"currency":{"type":"string"}}})";

}  // namespace

std::vector<Route> node_routes(Compute& compute) {
  const auto bind = [&compute](Task<Response> (*handler)(const Authorized&, Compute&)) {
    return [&compute, handler](const Authorized& call) {
      return handler(call, compute);
    };
  };
  std::vector<Route> routes;
  routes.emplace_back(Method::kGet, "/api/v1/nodes", Permission::kNodeRead, Limits{},
                      bind(list_nodes),
                      http::Doc{"listNodes", "What the nodes are, how fast, and what they cost",
                                "nodes", "", "", ""});
  routes.emplace_back(Method::kPut, "/api/v1/nodes/{name}/price", Permission::kAdmin, Limits{},
                      bind(set_price),
                      http::Doc{"setNodePrice", "Sets what an hour of the node costs", "nodes",
                                kPriceSchema, "", ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/nodes/{name}/measure", Permission::kAdmin, Limits{},
      bind(measure_node),
      http::Doc{"measureNode", "Measures the node's speed again", "nodes", "", "", ""});
  return routes;
}

}  // namespace strata::doors::rest
