#include "doors/rest/sql_routes.hpp"

#include <array>
#include <stop_token>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "doors/rest/rest.hpp"
#include "wire/accept.hpp"

namespace strata::doors::rest {

namespace {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using http::Route;
using kernel::Permission;
using storage::warehouse::Format;
using storage::warehouse::QueryInfo;
using storage::warehouse::QueryRequest;
using storage::warehouse::TableInfo;
using storage::warehouse::Warehouse;

// JSON answers are for people and pages; who wants all rows asks for Arrow, CSV or Parquet, or for
// a limit of 0.
constexpr std::int64_t kJsonRows = 10'000;
constexpr std::int64_t kMaxTimeoutMs = 3'600'000;

// The answer's forms, and their names in the same order.
constexpr std::array<Format, 4> kFormats = {Format::kJson, Format::kCsv, Format::kArrow,
                                            Format::kParquet};
constexpr std::array<std::string_view, 4> kTypes = {"application/json", "text/csv",
                                                    "application/vnd.apache.arrow.stream",
                                                    "application/vnd.apache.parquet"};

Response not_acceptable(const Authorized& call) {
  const Error error(
      Code::kUnsupportedMediaType,
      fmt::format("Accept: '{}' allows none of {}", printable(call.request().headers.get("accept")),
                  fmt::join(kTypes, ", ")),
      "Accept");
  Response response = error_response(error, call.request());
  response.status = 406;
  return response;
}

Json to_json(const QueryInfo& info) {
  Json out = Json::object({{"id", info.id},
                           {"user", info.user},
                           {"sql", info.sql},
                           {"statement", info.statement},
                           {"state", info.state},
                           {"started", to_rfc3339(info.started)},
                           {"elapsed_ms", static_cast<double>(info.elapsed_us) / 1000.0},
                           {"rows", info.rows},
                           {"bytes", info.bytes},
                           {"cpu_ms", info.cpu_ms},
                           {"cost", info.cost}});
  if (info.progress >= 0) out.set("progress", info.progress);
  if (!info.error.empty()) {
    out.set("error", Json::object({{"code", info.error_code}, {"message", info.error}}));
  }
  return out;
}

Json to_json(const TableInfo& table) {
  return Json::object(
      {{"schema", table.schema},
       {"name", table.name},
       {"kind", table.kind},
       {"rows", table.rows < 0 ? Json() : Json(table.rows)},
       {"columns", wire::sql_engine::to_json(table.columns)},
       {"version", table.version},
       {"updated", table.updated.micros == 0 ? Json() : Json(to_rfc3339(table.updated))},
       {"owner", table.owner}});
}

template <class T>
Json list_of(std::string_view name, const std::vector<T>& items) {
  Json list = Json::array();
  for (const auto& item : items)
    list.push(to_json(item));
  return Json::object({{std::string(name), std::move(list)}});
}

Result<QueryRequest> read_request(const Json& body, Format format) {
  QueryRequest request;
  request.sql = body.text("sql");
  if (trim(request.sql).empty())
    return invalid("sql", "sql is missing: send {\"sql\": \"SELECT ...\"}");
  request.params = body["params"];
  request.format = format;
  const std::int64_t limit = body.integer("limit", format == Format::kJson ? kJsonRows : 0);
  if (limit < 0) return invalid("limit", "limit must not be negative; 0 asks for all rows");
  request.limit = static_cast<std::uint64_t>(limit);
  const std::int64_t timeout = body.integer("timeout_ms", request.timeout.count());
  if (timeout < 1 || timeout > kMaxTimeoutMs) {
    return invalid("timeout_ms", fmt::format("timeout_ms must be from 1 to {}", kMaxTimeoutMs));
  }
  request.timeout = std::chrono::milliseconds(timeout);
  request.id = body.text("query_id");
  return request;
}

Task<Response> run_query(const Authorized& call, Warehouse& warehouse) {
  const auto media = wire::choose_media(call.request().headers.get("accept"), kTypes);
  if (!media) co_return not_acceptable(call);
  const auto body = co_await call.read_json();
  if (!body) co_return error_response(body.error(), call.request());
  auto request = read_request(*body, kFormats.at(*media));
  if (!request) co_return error_response(request.error(), call.request());
  std::stop_source given_up;
  request->given_up = given_up.get_token();
  call.when_peer_goes([given_up]() mutable { given_up.request_stop(); });
  auto stream = co_await warehouse.query(call.caller(), std::move(*request));
  if (!stream) co_return error_response(stream.error(), call.request());
  const std::string id = (*stream)->id();
  Response response = Response::stream(std::move(*stream), kTypes.at(*media));
  response.headers.set("Strata-Query-Id", id);
  co_return response;
}

Task<Response> list_tables(const Authorized& call, Warehouse& warehouse) {
  const auto tables = co_await warehouse.tables(call.caller());
  if (!tables) co_return error_response(tables.error(), call.request());
  co_return Response::json(list_of("tables", *tables));
}

Task<Response> list_queries(const Authorized& call, Warehouse& warehouse) {
  const auto limit = query_integer(call.request(), "limit", 100, 1, 1000);
  if (!limit) co_return error_response(limit.error(), call.request());
  const auto queries = co_await warehouse.history(call.caller(), static_cast<int>(*limit));
  if (!queries) co_return error_response(queries.error(), call.request());
  co_return Response::json(list_of("queries", *queries));
}

Task<Response> get_query(const Authorized& call, Warehouse& warehouse) {
  const auto query = co_await warehouse.find(call.caller(), call.param("id"));
  if (!query) co_return error_response(query.error(), call.request());
  co_return Response::json(to_json(*query));
}

Task<Response> cancel_query(const Authorized& call, Warehouse& warehouse) {
  const auto done = co_await warehouse.cancel(call.caller(), call.param("id"));
  if (!done.ok()) co_return error_response(done.error(), call.request());
  co_return Response::empty(204);
}

Task<Response> in_project(const Authorized& call, FindWarehouse find,
                          Task<Response> (*handler)(const Authorized&, Warehouse&)) {
  const auto warehouse = co_await find(call.caller());
  if (!warehouse) co_return error_response(warehouse.error(), call.request());
  co_return co_await handler(call, **warehouse);
}

Task<Response> release_engines(const Authorized& call, BlockingPool& pool,
                               std::function<Status()> release) {
  const auto done = co_await pool.run(release);
  if (!done) co_return error_response(done.error(), call.request());
  co_return Response::empty(204);
}

constexpr std::string_view kQuerySchema =
    R"({"type":"object","required":["sql"],
"additionalProperties":false,"properties":{
"sql":{"type":"string"},
"params":{"type":["array","object","null"]},"limit":{"type":"integer"},
"timeout_ms":{"type":"integer"},"query_id":{"type":"string"}}})";
constexpr std::string_view kAnswerSchema =
    R"({"type":"object","required":["columns","rows","row_count","truncated",
"statement","elapsed_ms","query_id"],
"properties":{"columns":{"type":"array","items":{"type":"object",
"required":["name","type"],"properties":{"name":{"type":"string"},"type":{"type":"string"}}}},
"rows":{"type":"array","items":{"type":"array"}},"row_count":{"type":"integer"},
"truncated":{"type":"boolean"},
"statement":{"type":"string"},"elapsed_ms":{"type":"number"},"query_id":{"type":"string"}}})";

}  // namespace

std::vector<Route> sql_routes(const FindWarehouse& find, BlockingPool& pool,
                              std::function<Status()> release) {
  const auto bind = [&find](Task<Response> (*handler)(const Authorized&, Warehouse&)) {
    return [find, handler](const Authorized& call) {
      return in_project(call, find, handler);
    };
  };
  // The engine's own timeout ends a statement before the route's deadline does.
  const Limits query_limits{.body = 4U << 20U,
                            .deadline = std::chrono::milliseconds(kMaxTimeoutMs + 60'000)};
  std::vector<Route> routes;
  routes.emplace_back(Method::kPost, "/api/v1/sql", Permission::kSqlQuery, query_limits,
                      bind(run_query),
                      http::Doc{"runSql", "Runs a SQL script and answers its last result", "sql",
                                kQuerySchema, kAnswerSchema, ""});
  routes.emplace_back(
      Method::kGet, "/api/v1/sql/tables", Permission::kSqlQuery, Limits{}, bind(list_tables),
      http::Doc{"listTables", "Tables and views of the warehouse", "sql", "", "", ""});
  routes.emplace_back(Method::kGet, "/api/v1/sql/queries", Permission::kSqlQuery, Limits{},
                      bind(list_queries),
                      http::Doc{"listQueries", "Running and past queries, newest first", "sql", "",
                                "", "limit:integer:At most so many, 1 to 1000"});
  routes.emplace_back(
      Method::kGet, "/api/v1/sql/queries/{id}", Permission::kSqlQuery, Limits{}, bind(get_query),
      http::Doc{"getQuery", "One query, with its progress while it runs", "sql", "", "", ""});
  routes.emplace_back(Method::kDelete, "/api/v1/sql/queries/{id}", Permission::kSqlQuery, Limits{},
                      bind(cancel_query),
                      http::Doc{"cancelQuery", "Stops a running query", "sql", "", "", ""});
  routes.emplace_back(
      Method::kPost, "/api/v1/sql/release", Permission::kAdmin,
      Limits{.deadline = std::chrono::minutes(2)},
      [&pool, release = std::move(release)](const Authorized& call) {
        return release_engines(call, pool, release);
      },
      http::Doc{"releaseSql", "Lets the SQL engines write out and end, before a backup", "sql", "",
                "", ""});
  return routes;
}

}  // namespace strata::doors::rest
