#include "doors/rest/rest.hpp"

#include "base/text.hpp"
#include "doors/rest/answers.hpp"

namespace strata::doors::rest {

http::Response error_response(const Error& error, const http::Request& request) {
  Json body = Json::object({{"code", code_name(error.code)}, {"message", error.to_string()}});
  if (!error.field.empty() && error.code != Code::kMethodNotAllowed) body.set("field", error.field);
  if (error.retry) body.set("retry", true);
  body.set("request_id", request.request_id);
  http::Response response =
      http::Response::json(Json::object({{"error", body}}), http::status_of(error.code));
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"strata\"");
  return response;
}

http::Response reply(const Result<Json>& result, const http::Request& request, int status) {
  return result ? http::Response::json(*result, status) : error_response(result.error(), request);
}

Json entries_json(const std::vector<kernel::AuditEntry>& entries) {
  Json list = Json::array();
  for (const auto& entry : entries) {
    list.push(Json::object({{"sequence", entry.sequence},
                            {"time", to_rfc3339(entry.time)},
                            {"project", entry.project},
                            {"actor", entry.actor},
                            {"action", entry.action},
                            {"target", entry.target},
                            {"detail", entry.detail},
                            {"hash", entry.hash}}));
  }
  return list;
}

void RestDoor::add(std::vector<http::Route> routes) {
  for (auto& route : routes) {
    const auto answer = answer_of(route.doc.operation);
    if (!answer.empty()) route.doc.response_schema = answer;
    routes_.push_back(std::move(route));
  }
}

bool is_for_api(const http::Request& request) {
  return request.path.starts_with("/api/v1/") &&
         request.headers.get("Authorization").starts_with("Bearer ");
}

http::Response RestDoor::error(const Error& error, const http::Request& request) const {
  return error_response(error, request);
}

}  // namespace strata::doors::rest
