#include "doors/rest/lineage_routes.hpp"

#include "doors/rest/rest.hpp"

namespace strata::doors::rest {

using http::Authorized;
using http::Method;
using http::Response;
using http::Route;
using kernel::Direction;
using kernel::Lineage;
using kernel::LineageGraph;
using kernel::NodeRef;
using kernel::Permission;

namespace {

Json node_json(const kernel::LineageNode& node) {
  return Json::object({{"ref", node.ref.to_string()},
                       {"kind", node.ref.kind},
                       {"name", node.ref.name},
                       {"version", node.ref.version},
                       {"digest", node.digest},
                       {"owner", node.owner},
                       {"time", to_rfc3339(node.time)},
                       {"facts", node.facts}});
}

Json graph_json(const LineageGraph& graph) {
  Json nodes = Json::array();
  for (const auto& node : graph.nodes)
    nodes.push(node_json(node));
  Json edges = Json::array();
  for (const auto& edge : graph.edges) {
    edges.push(Json::object({{"from", edge.from.to_string()},
                             {"to", edge.to.to_string()},
                             {"relation", edge.relation},
                             {"time", to_rfc3339(edge.time)}}));
  }
  return Json::object({{"nodes", nodes}, {"edges", edges}, {"truncated", graph.truncated}});
}

// A prediction stands in the log, not in the graph: it becomes the first node, led to by its
// deployment.
Task<Result<LineageGraph>> why_prediction(Lineage& lineage, const kernel::Caller& caller,
                                          std::string id, const FindPrediction& find) {
  auto origin = co_await find(caller, std::move(id));
  if (!origin) co_return std::move(origin).error();
  auto graph = co_await lineage.walk(caller.project, origin->endpoint, Direction::kUpstream);
  if (!graph) co_return std::move(graph).error();
  graph->edges.insert(graph->edges.begin(),
                      {origin->endpoint, origin->node.ref, "answered", origin->node.time});
  graph->nodes.insert(graph->nodes.begin(), std::move(origin->node));
  co_return graph;
}

// What was typed: kind:name[@version], or the bare id or name of one thing.
Task<Result<NodeRef>> thing(Lineage& lineage, const kernel::Caller& caller, std::string text) {
  if (text.contains(':')) co_return NodeRef::parse(text);
  co_return co_await lineage.named(caller.project, text);
}

Task<Response> why(const Authorized& call, Lineage& lineage, const FindPrediction& find) {
  const std::string id = call.param("id");
  const bool bare = !id.contains(':');
  if (bare || id.starts_with("prediction:")) {
    auto prediction = bare ? id : id.substr(id.find(':') + 1);
    const auto graph = co_await why_prediction(lineage, call.caller(), std::move(prediction), find);
    if (graph) co_return Response::json(graph_json(*graph));
    if (!bare || graph.error().code != Code::kNotFound)
      co_return error_response(graph.error(), call.request());
  }
  const auto ref = co_await thing(lineage, call.caller(), id);
  if (!ref) co_return error_response(ref.error(), call.request());
  const auto graph = co_await lineage.walk(call.caller().project, *ref, Direction::kUpstream);
  if (!graph) co_return error_response(graph.error(), call.request());
  co_return Response::json(graph_json(*graph));
}

Task<Response> impact(const Authorized& call, Lineage& lineage) {
  const auto text = call.request().query_value("ref");
  if (!text)
    co_return error_response(invalid("ref", "ref: is required, for example table:raw.flights"),
                             call.request());
  const auto ref = co_await thing(lineage, call.caller(), std::string(*text));
  if (!ref) co_return error_response(ref.error(), call.request());
  const auto graph = co_await lineage.walk(call.caller().project, *ref, Direction::kDownstream);
  if (!graph) co_return error_response(graph.error(), call.request());
  co_return Response::json(graph_json(*graph));
}

}  // namespace

std::vector<Route> lineage_routes(Lineage& lineage, FindPrediction find_prediction) {
  Lineage* const graph = &lineage;
  return {
      {Method::kGet,
       "/api/v1/why/{id+}",
       Permission::kLineageRead,
       {},
       [graph, find = std::move(find_prediction)](const Authorized& call) {
         return why(call, *graph, find);
       },
       {"why",
        "All that led to a prediction, to kind:name[@version], or to the one thing of a bare name",
        "lineage"}},
      {Method::kGet,
       "/api/v1/impact",
       Permission::kLineageRead,
       {},
       [graph](const Authorized& call) { return impact(call, *graph); },
       {"impact", "All that follows from kind:name[@version]", "lineage", "", "",
        "ref:string:kind and name of the thing"}},
  };
}

}  // namespace strata::doors::rest
