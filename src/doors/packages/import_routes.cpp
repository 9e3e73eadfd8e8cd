#include "doors/packages/import_routes.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::doors::packages {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::models::Models;

namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 40U;
constexpr std::uint64_t kMaxClaim = 8U << 20U;
constexpr std::chrono::hours kTransfer{6};

constexpr std::string_view kFinishSchema = R"json({"type":"object",
  "required":["package_digest","files"],"additionalProperties":false,"properties":{
  "package_digest":{"type":"string","minLength":71,"maxLength":71},
  "description":{"type":"string","maxLength":100000},
  "files":{"type":"array","minItems":1,"maxItems":10000,"items":{"type":"object",
    "required":["path","sha256"],"additionalProperties":false,"properties":{
    "path":{"type":"string","minLength":1,"maxLength":1000},
    "size":{"type":"integer","minimum":0},
    "sha256":{"type":"string","minLength":64,"maxLength":64}}}}}})json";

Result<std::int64_t> import_of(const Authorized& call) {
  if (const auto number = to_int(call.param("import"))) return *number;
  return invalid("import", fmt::format("import: '{}' is no number of an import",
                                       printable(call.param("import"))));
}

Task<Result<Response>> get_file(const Authorized& call, Models& models) {
  const auto number = version_of(call);
  if (!number) co_return number.error();
  const std::string name = call.param("name"), path = call.param("path");
  const auto version = co_await models.version(call.caller(), name, *number);
  if (!version) co_return version.error();
  const auto resolved =
      co_await models.resolve(call.caller(), fmt::format("models:/{}/{}", name, *number));
  if (!resolved) co_return resolved.error();
  const auto file = std::ranges::find(resolved->files, path, &platform::models::ModelFile::path);
  if (file == resolved->files.end()) {
    co_return not_found(
        fmt::format("version {} of '{}' has no file '{}'", *number, name, printable(path)));
  }
  auto opened = co_await models.open(call.caller(), *resolved, *file);
  if (!opened) co_return std::move(opened).error();
  Response response = Response::stream(std::move(opened->body), "application/octet-stream");
  response.headers.set("content-disposition", "attachment");
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("etag", fmt::format("\"{}\"", file->sha256));
  co_return response;
}

Task<Result<Response>> begin(const Authorized& call, Models& models) {
  const auto number = co_await models.begin_import(call.caller(), call.param("name"));
  if (!number) co_return number.error();
  co_return Response::json(Json::object({{"import", *number}}), 201);
}

Task<Result<Response>> put_file(const Authorized& call, Models& models) {
  const auto import = import_of(call);
  if (!import) co_return import.error();
  STRATA_CO_TRY(call.check_plain());
  const auto stored = co_await models.put_import(call.caller(), call.param("name"), *import,
                                                 call.param("path"), call.body());
  if (!stored) co_return stored.error();
  co_return Response::json(Json::object(
      {{"path", call.param("path")}, {"size", stored->size}, {"sha256", stored->sha256}}));
}

Task<Result<Response>> finish(const Authorized& call, Models& models) {
  const auto import = import_of(call);
  if (!import) co_return import.error();
  const auto body = co_await call.read_json();
  if (!body) co_return body.error();
  platform::models::ImportClaim claim;
  claim.package_digest = body->text("package_digest");
  claim.description = body->text("description");
  for (const auto& file : (*body)["files"].as_array())
    claim.files.push_back({file.text("path"), 0, file.text("sha256")});
  const auto version =
      co_await models.finish_import(call.caller(), call.param("name"), *import, std::move(claim));
  if (!version) co_return version.error();
  co_return Response::json(Json::object({{"name", version->name},
                                         {"version", version->version},
                                         {"digest", version->digest},
                                         {"package_digest", version->package_digest}}),
                           201);
}

Task<Result<Response>> abort(const Authorized& call, Models& models) {
  const auto import = import_of(call);
  if (!import) co_return import.error();
  STRATA_CO_TRY(co_await models.abort_import(call.caller(), call.param("name"), *import));
  co_return Response::json(Json::object());
}

}  // namespace

std::vector<http::Route> import_routes(Models& models, http::ErrorForm error_form) {
  using Call = Task<Result<Response>> (*)(const Authorized&, Models&);
  std::vector<http::Route> routes;
  const auto add = [&](Method method, std::string pattern, Permission permission, Limits limits,
                       Call call, http::Doc doc) {
    routes.emplace_back(
        method, "/api/v1/models/{name}" + pattern, permission, limits,
        [&models, error_form, call](const Authorized& request) -> Task<Response> {
          auto answer = co_await call(request, models);
          if (!answer) co_return error_form(answer.error(), request.request());
          co_return *std::move(answer);
        },
        doc);
  };
  const Limits transfer{.body = kMaxFile, .deadline = kTransfer};
  const Limits claim{.body = kMaxClaim};
  add(Method::kGet, "/versions/{version}/files/{path+}", Permission::kModelRead, transfer, get_file,
      http::Doc{"getModelFile", "One file of a version, checked as it is sent", "models", "", "",
                "", "application/octet-stream"});
  add(Method::kPost, "/imports", Permission::kModelWrite, {}, begin,
      http::Doc{"beginModelImport", "A place for the files of a package from elsewhere", "models",
                "", "", ""});
  add(Method::kPut, "/imports/{import}/files/{path+}", Permission::kModelWrite, transfer, put_file,
      http::Doc{"putImportedFile", "One file of a package from elsewhere", "models", "", "", ""});
  add(Method::kPost, "/imports/{import}/finish", Permission::kModelWrite, claim, finish,
      http::Doc{"finishModelImport", "Make a version of exactly the files that are claimed",
                "models", kFinishSchema, "", ""});
  add(Method::kDelete, "/imports/{import}", Permission::kModelWrite, {}, abort,
      http::Doc{"abortModelImport", "Take the files of an unfinished import away", "models", "", "",
                ""});
  return routes;
}

}  // namespace strata::doors::packages
