#include "base/text.hpp"
#include "doors/mlflow/encode.hpp"
#include "doors/mlflow/fields.hpp"
#include "doors/mlflow/mlflow.hpp"

namespace strata::doors::mlflow {

using http::Authorized;
using http::Limits;
using http::Method;
using http::Response;
using kernel::Permission;
using platform::tracking::Artifact;
using platform::tracking::ArtifactInfo;
using platform::tracking::Tracking;

namespace {

constexpr std::uint64_t kMaxArtifact = std::uint64_t{1} << 40;
constexpr std::chrono::hours kTransfer{6};

std::string_view type_of(std::string_view path) {
  for (const auto& [ending, type] :
       {std::pair<std::string_view, std::string_view>{".json", "application/json"},
        {".txt", "text/plain"},
        {".yaml", "text/plain"},
        {".yml", "text/plain"},
        {".csv", "text/csv"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {"MLmodel", "text/plain"}}) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

// Always a download, never a page: an artifact must not run as a script of this server.
Response download(Artifact artifact) {
  std::string name = artifact.info.path.substr(artifact.info.path.rfind('/') + 1);
  std::erase_if(
      name, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x7F; });
  const std::string digest = artifact.info.sha256;
  Response response = Response::stream(std::move(artifact.body), type_of(artifact.info.path));
  response.headers.set("content-disposition", fmt::format("attachment; filename=\"{}\"", name));
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("etag", fmt::format("\"{}\"", digest));
  return response;
}

Task<Result<Response>> get_file(const Authorized& request, Services& services) {
  auto opened = co_await services.tracking.open_artifact(request.caller(), request.param("path"));
  if (!opened) co_return std::move(opened).error();
  co_return download(std::move(*opened));
}

Task<Result<Response>> put_file(const Authorized& request, Services& services) {
  STRATA_CO_TRY(request.check_plain());
  auto stored = co_await services.tracking.put_artifact(request.caller(), request.param("path"),
                                                        request.body());
  if (!stored) co_return std::move(stored).error();
  Response response = Response::json(Json::object());
  response.headers.set("etag", fmt::format("\"{}\"", stored->sha256));
  co_return response;
}

Task<Result<Response>> delete_files(const Authorized& request, Services& services) {
  STRATA_CO_TRY(
      co_await services.tracking.remove_artifacts(request.caller(), request.param("path")));
  co_return Response::json(Json::object());
}

// Names are relative to the directory that was asked for.
Task<Result<Response>> list_files(const Authorized& request, Services& services) {
  const std::string path(request.request().query_value("path").value_or(""));
  auto files = co_await services.tracking.list_artifacts(request.caller(), path);
  if (!files) co_return std::move(files).error();
  for (auto& file : *files)
    file.path = file.path.substr(file.path.rfind('/') + 1);
  co_return Response::json(Json::object({{"files", files_json(*files, 0)}}));
}

// Names are relative to the run's own directory.
Task<Result<Response>> list_run_files(const Authorized& request, Services& services) {
  auto in = co_await Fields::read(request);
  if (!in) co_return std::move(in).error();
  const auto run_id = in->run_id();
  const auto path = in->text("path");
  STRATA_CO_TRY(in->status());
  auto run = co_await services.tracking.run(request.caller(), run_id);
  if (!run) co_return std::move(run).error();
  auto root = Tracking::store_path(run->info.artifact_uri);
  if (!root) co_return std::move(root).error();
  auto files = co_await services.tracking.list_artifacts(request.caller(),
                                                         path.empty() ? *root : *root + "/" + path);
  if (!files) co_return std::move(files).error();
  co_return Response::json(Json::object({{"root_uri", Json(run->info.artifact_uri)},
                                         {"files", files_json(*files, root->size() + 1)}}));
}

Task<Result<Response>> get_below(const Authorized& request, Services& services,
                                 std::string artifact_uri, std::string_view query_name) {
  const auto path = request.request().query_value(query_name);
  if (!path || path->empty()) {
    co_return invalid(std::string(query_name),
                      fmt::format("Missing value for required parameter '{}'.", query_name));
  }
  auto root = Tracking::store_path(artifact_uri);
  if (!root) co_return std::move(root).error();
  auto opened = co_await services.tracking.open_artifact(request.caller(),
                                                         fmt::format("{}/{}", *root, *path));
  if (!opened) co_return std::move(opened).error();
  co_return download(std::move(*opened));
}

Task<Result<Response>> get_run_file(const Authorized& request, Services& services) {
  const auto id = request.request().query_value("run_id");
  const auto old = request.request().query_value("run_uuid");
  auto run =
      co_await services.tracking.run(request.caller(), std::string(id.value_or(old.value_or(""))));
  if (!run) co_return std::move(run).error();
  co_return co_await get_below(request, services, run->info.artifact_uri, "path");
}

Task<Result<Response>> get_version_file(const Authorized& request, Services& services) {
  const std::string name(request.request().query_value("name").value_or(""));
  const auto number = to_int(request.request().query_value("version").value_or(""));
  if (!number) co_return invalid("version", "Parameter 'version' must be an integer.");
  auto version = co_await services.models.version(request.caller(), name, *number);
  if (!version) co_return std::move(version).error();
  co_return co_await get_below(request, services, version->download_uri, "path");
}

Task<Result<Response>> get_logged_file(const Authorized& request, Services& services) {
  auto model = co_await services.tracking.logged_model(request.caller(), request.param("model_id"));
  if (!model) co_return std::move(model).error();
  co_return co_await get_below(request, services, model->artifact_uri, "artifact_file_path");
}

// Uploads in parts and direct links are an option that clients have; told so, they send the file in
// one piece.
Task<Result<Response>> refuse(const Authorized&, Services&) {
  co_return Error(
      Code::kUnsupported,
      "Multipart uploads and presigned links are not offered. Send the file in one PUT");
}

}  // namespace

void MlflowDoor::add_artifact_routes(std::vector<http::Route>& routes) {
  using FileCall = Task<Result<Response>> (*)(const Authorized&, Services&);
  const auto add = [&](Method method, std::string pattern, Permission permission, Limits limits,
                       FileCall call) {
    routes.emplace_back(method, std::move(pattern), permission, limits,
                        [this, call](const Authorized& request) -> Task<Response> {
                          auto answer = co_await call(request, services_);
                          if (!answer) co_return error(answer.error(), request.request());
                          co_return std::move(*answer);
                        });
  };
  const Limits transfer{.body = kMaxArtifact, .deadline = kTransfer};
  for (const std::string root : {"/api", "/ajax-api"}) {
    const std::string store = root + "/2.0/mlflow-artifacts";
    add(Method::kGet, store + "/artifacts", Permission::kTrackingRead, {}, list_files);
    add(Method::kGet, store + "/artifacts/{path+}", Permission::kTrackingRead, transfer, get_file);
    add(Method::kPut, store + "/artifacts/{path+}", Permission::kTrackingWrite, transfer, put_file);
    add(Method::kDelete, store + "/artifacts/{path+}", Permission::kTrackingWrite, {},
        delete_files);
    add(Method::kPost, store + "/mpu/{step}/{path+}", Permission::kTrackingWrite, {}, refuse);
    add(Method::kGet, store + "/presigned/{path+}", Permission::kTrackingRead, {}, refuse);
    const std::string api = root + "/2.0/mlflow";
    add(Method::kGet, api + "/artifacts/list", Permission::kTrackingRead, {}, list_run_files);
    add(Method::kPost, api + "/artifacts/presigned-upload-url", Permission::kTrackingWrite, {},
        refuse);
    add(Method::kPost, api + "/artifacts/presigned-download-url", Permission::kTrackingRead, {},
        refuse);
    add(Method::kGet, api + "/logged-models/{model_id}/artifacts/files", Permission::kTrackingRead,
        transfer, get_logged_file);
    add(Method::kGet, root + "/2.0/mlflow/get-artifact", Permission::kTrackingRead, transfer,
        get_run_file);
  }
  add(Method::kGet, "/get-artifact", Permission::kTrackingRead, transfer, get_run_file);
  add(Method::kGet, "/model-versions/get-artifact", Permission::kModelRead, transfer,
      get_version_file);
}

}  // namespace strata::doors::mlflow
