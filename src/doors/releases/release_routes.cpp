#include "doors/releases/release_routes.hpp"

#include <cmath>

#include "base/text.hpp"
#include "base/time.hpp"

namespace strata::doors::releases {

using http::Authorized;
using http::Doc;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::release::Draft;
using platform::release::Edge;
using platform::release::EventKind;
using platform::release::Plan;
using platform::release::ReleaseInfo;
using platform::release::Releases;
using platform::release::Step;

namespace {

constexpr std::int64_t kMostListed = 200;
constexpr std::int64_t kMostWait = 20;
constexpr std::string_view kDraftSchema = R"({
  "type": "object", "required": ["endpoint", "model"], "additionalProperties": false,
  "properties": {
    "endpoint": {"type": "string", "minLength": 1, "maxLength": 63},
    "model": {"type": "string", "description": "models:/NAME@ALIAS or models:/NAME/VERSION"},
    "shadow_sample": {"type": "integer", "minimum": 0, "maximum": 10000000,
      "description": "answers of the shadow before the canary; 0: no shadow"},
    "steps": {"type": "array", "minItems": 1, "maxItems": 20, "items": {
      "type": "object", "required": ["percent", "sample"], "additionalProperties": false,
      "properties": {"percent": {"type": "number"},
        "sample": {"type": "integer", "minimum": 1, "maximum": 1000000000}}}},
    "drain_seconds": {"type": "integer", "minimum": 0, "maximum": 86400},
    "golden": {"type": ["object", "null"], "required": ["input", "label"],
      "additionalProperties": false,
      "description": "rows with known answers; absent: those of the endpoint's last release",
      "properties": {
        "input": {"type": "string", "description": "a table, or s3://bucket/key"},
        "label": {"type": "string", "description": "its column with the true values"},
        "slices": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
        "metric": {"type": "string"}, "margin": {"type": "number"}}},
    "limits": {"type": "object", "additionalProperties": {"type": "number"},
      "description":
        "by name; what stands in none of them keeps its default: GET of a release shows all"}
  }})";
constexpr std::string_view kReasonSchema = R"({
  "type": "object", "additionalProperties": false,
  "properties": {"reason": {"type": "string", "maxLength": 1000}}})";

Json plan_json(const Plan& plan) {
  Json json = plan.to_json();
  Json steps = Json::array();
  for (const auto& step : plan.steps)
    steps.push(Json::object({{"percent", step.share / 100.0}, {"sample", step.sample}}));
  json.set("steps", std::move(steps));
  return json;
}

Json edge_json(const Edge& edge) {
  return Json::object({{"number", edge.number},
                       {"time", to_rfc3339(edge.time)},
                       {"actor", edge.actor},
                       {"event", edge.event},
                       {"from", stage_name(edge.from.stage)},
                       {"to", stage_name(edge.to.stage)},
                       {"percent", edge.share / 100.0},
                       {"reason", edge.reason},
                       {"evidence", edge.evidence}});
}

Json release_json(const ReleaseInfo& info) {
  Json edges = Json::array();
  for (const auto& edge : info.edges)
    edges.push(edge_json(edge));
  const auto share = wanted(info.plan, info.state).share;
  return Json::object({{"id", info.id},
                       {"endpoint", info.plan.endpoint},
                       {"model", info.plan.model},
                       {"version", info.plan.version},
                       {"live", info.plan.live},
                       {"stage", stage_name(info.state.stage)},
                       {"percent", share / 100.0},
                       {"paused", info.state.paused},
                       {"held", info.state.held.empty() ? Json() : Json(info.state.held)},
                       {"actor", info.actor},
                       {"created", to_rfc3339(info.created)},
                       {"updated", to_rfc3339(info.updated)},
                       {"plan", plan_json(info.plan)},
                       {"gates", info.gates.is_array() ? info.gates : Json::array()},
                       {"findings", info.findings.is_array() ? info.findings : Json::array()},
                       {"shadows_dropped", info.shadows_dropped},
                       {"edges", edges}});
}

Result<Draft> read_draft(const Json& body) {
  Draft draft;
  draft.endpoint = body.text("endpoint");
  draft.model = body.text("model");
  auto limits = platform::release::Limits::from_json(body["limits"]);
  if (!limits) return std::move(limits).error();
  draft.limits = *limits;
  draft.without_golden = body.find("golden") != nullptr && body["golden"].is_null();
  if (body["golden"].is_object()) {
    auto golden = platform::release::Golden::from_json(body["golden"]);
    if (!golden) return std::move(golden).error();
    draft.golden = *std::move(golden);
  }
  if (body["shadow_sample"].is_int())
    draft.shadow_sample = static_cast<std::uint64_t>(body.integer("shadow_sample"));
  if (body["drain_seconds"].is_int()) draft.drain_seconds = body.integer("drain_seconds");
  if (!body["steps"].is_array()) return draft;
  std::vector<Step> steps;
  for (const auto& step : body["steps"].as_array()) {
    const double share = step.number("percent") * 100;
    if (!(share >= 1 && share <= 10'000)) {
      return invalid("steps",
                     fmt::format("steps: {} % of the traffic; a share is from 0.01 % to 50 %, as "
                                 "the control is as large as the canary",
                                 step.number("percent")));
    }
    steps.push_back({static_cast<std::uint32_t>(std::lround(share)),
                     static_cast<std::uint64_t>(step.integer("sample"))});
  }
  draft.steps = std::move(steps);
  return draft;
}

Task<Response> start_release(const Authorized& call, Releases& releases,
                             const http::ErrorForm& failed) {
  const auto body = co_await call.read_json();
  if (!body) co_return failed(body.error(), call.request());
  auto draft = read_draft(*body);
  if (!draft) co_return failed(draft.error(), call.request());
  const auto begun = co_await releases.begin(call.caller(), *std::move(draft));
  if (!begun) co_return failed(begun.error(), call.request());
  co_return Response::json(release_json(*begun), 201);
}

Task<Response> plan_release(const Authorized& call, Releases& releases,
                            const http::ErrorForm& failed) {
  const auto body = co_await call.read_json();
  if (!body) co_return failed(body.error(), call.request());
  auto draft = read_draft(*body);
  if (!draft) co_return failed(draft.error(), call.request());
  const auto planned = co_await releases.plan(call.caller(), *std::move(draft));
  if (!planned) co_return failed(planned.error(), call.request());
  co_return Response::json(
      Json::object({{"plan", plan_json(planned->first)}, {"gates", planned->second}}));
}

Task<Response> list_releases(const Authorized& call, Releases& releases,
                             const http::ErrorForm& failed) {
  const auto& request = call.request();
  const auto limit = query_integer(request, "limit", 20, 1, kMostListed);
  if (!limit) co_return failed(limit.error(), request);
  const auto page = co_await releases.list(
      call.caller(), std::string(request.query_value("endpoint").value_or("")),
      static_cast<std::size_t>(*limit),
      std::string(request.query_value("page_token").value_or("")));
  if (!page) co_return failed(page.error(), request);
  Json list = Json::array();
  for (const auto& info : page->releases)
    list.push(release_json(info));
  co_return Response::json(Json::object(
      {{"releases", list}, {"next_page_token", page->next.empty() ? Json() : Json(page->next)}}));
}

Task<Response> get_release(const Authorized& call, Releases& releases,
                           const http::ErrorForm& failed) {
  const auto wait = query_integer(call.request(), "wait", 0, 0, kMostWait);
  if (!wait) co_return failed(wait.error(), call.request());
  const auto info =
      co_await releases.settled(call.caller(), call.param("id"), std::chrono::seconds(*wait));
  if (!info) co_return failed(info.error(), call.request());
  co_return Response::json(release_json(*info));
}

Task<Response> ask(const Authorized& call, Releases& releases, const http::ErrorForm& failed,
                   EventKind wish) {
  const auto body = co_await call.read_json();
  if (!body) co_return failed(body.error(), call.request());
  const auto info =
      co_await releases.ask(call.caller(), call.param("id"), wish, body->text("reason"));
  if (!info) co_return failed(info.error(), call.request());
  co_return Response::json(release_json(*info));
}

struct Wish {
  EventKind kind;
  const char *path, *operation, *summary;
};
constexpr Wish kWishes[] = {
    {EventKind::kPause, "/api/v1/releases/{id}/pause", "pauseRelease",
     "Leave its share as it is; a broken limit still rolls it back"},
    {EventKind::kResume, "/api/v1/releases/{id}/resume", "resumeRelease",
     "Go on with what was paused or held"},
    {EventKind::kPromote, "/api/v1/releases/{id}/promote", "promoteRelease",
     "Go one step on without the evidence, for a reason that stays"},
    {EventKind::kOverride, "/api/v1/releases/{id}/override", "overrideReleaseGates",
     "Let the failed gates pass, for a reason that stays"},
    {EventKind::kRollback, "/api/v1/releases/{id}/rollback", "rollBackRelease",
     "Let the version before answer everything again"},
};

}  // namespace

std::vector<http::Route> release_routes(Releases& releases, http::ErrorForm error_form) {
  std::vector<http::Route> routes;
  const auto with = [&](auto operation) {
    return [&releases, error_form, operation](const Authorized& call) {
      return operation(call, releases, error_form);
    };
  };
  routes.emplace_back(
      Method::kPost, "/api/v1/releases", Permission::kEndpointWrite, Limits{}, with(&start_release),
      Doc{"startRelease", "Bring a version to an endpoint, guarded by gates and statistics",
          "releases", kDraftSchema, "", ""});
  routes.emplace_back(Method::kPost, "/api/v1/releases/plan", Permission::kEndpointWrite, Limits{},
                      with(&plan_release),
                      Doc{"planRelease", "What a release would do, and what its gates say now",
                          "releases", kDraftSchema, "", ""});
  routes.emplace_back(Method::kGet, "/api/v1/releases", Permission::kEndpointRead, Limits{},
                      with(&list_releases),
                      Doc{"listReleases", "Releases, newest first", "releases", "", "",
                          "endpoint:string:only those of this endpoint;limit:integer:at most so "
                          "many;page_token:string:where the page before ended"});
  routes.emplace_back(Method::kGet, "/api/v1/releases/{id}", Permission::kEndpointRead, Limits{},
                      with(&get_release),
                      Doc{"getRelease", "One release with its gates, its evidence and its history",
                          "releases", "", "",
                          "wait:integer:answer when its stage changes or it waits for a person, "
                          "after so many seconds at the latest"});
  for (const auto& wish : kWishes) {
    routes.emplace_back(
        Method::kPost, wish.path, Permission::kEndpointWrite, Limits{},
        [&releases, error_form, kind = wish.kind](const Authorized& call) {
          return ask(call, releases, error_form, kind);
        },
        Doc{wish.operation, wish.summary, "releases", kReasonSchema, "", ""});
  }
  return routes;
}

}  // namespace strata::doors::releases
