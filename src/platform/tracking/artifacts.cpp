#include "base/text.hpp"
#include "platform/search/search.hpp"
#include "platform/tracking/tracking.hpp"
#include "wire/mlflow/mlflow_artifact.hpp"

namespace strata::platform::tracking {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

// "a/b/c" and every directory that it lies in.
std::vector<std::string> path_and_parents(std::string_view path) {
  std::vector<std::string> all = {std::string(path)};
  for (std::size_t slash = path.rfind('/'); slash != std::string_view::npos;
       slash = path.rfind('/', slash - 1)) {
    all.emplace_back(path.substr(0, slash));
    if (slash == 0) break;
  }
  return all;
}

}  // namespace

// Nothing may change a file that a registered version is made of, nor remove a directory that holds
// such files.
Status Tracking::check_thawed(Reader& reader, const ProjectId& project, std::string_view path) {
  const auto paths = path_and_parents(path);
  kernel::SqlArgs args = {project.str()};
  args.insert(args.end(), paths.begin(), paths.end());
  args.emplace_back(fmt::format("{}/", path));
  args.emplace_back(fmt::format("{}0", path));  // '0' follows '/' in ASCII: all paths below
  const auto row = reader.first(
      fmt::format("SELECT path, holder FROM frozen_artifacts WHERE project = ? AND (path IN ({}) "
                  "OR (path >= ? AND path < ?))",
                  search::placeholders(paths.size())),
      args);
  if (!row) return row.error();
  if (!*row) return {};
  return Error(Code::kConflict,
               fmt::format("'{}' belongs to the files of {}, which never change after "
                           "registration. Log the changed files as a new model and register that, "
                           "or delete the version first",
                           path, (*row)->text(1)),
               "path");
}

Task<Result<ArtifactInfo>> Tracking::put_artifact(const Caller& caller, std::string path,
                                                  ByteSource& body) {
  auto checked = wire::mlflow::check_artifact_path(path, "path");
  if (!checked) co_return std::move(checked).error();
  if (path.ends_with('/')) co_return invalid("path", "An artifact's path must not end in '/'");
  const auto thawed = [&](Reader& reader) {
    return check_thawed(reader, caller.project, *checked);
  };
  STRATA_CO_TRY(co_await records_.read(thawed));  // before a body of any size is received
  co_return co_await artifacts_.put(caller, *checked, body);
}

Task<Result<Artifact>> Tracking::open_artifact(const Caller& caller, std::string path) {
  auto checked = wire::mlflow::check_artifact_path(path, "path");
  if (!checked) co_return std::move(checked).error();
  co_return co_await artifacts_.open(caller, *checked);
}

Task<Result<std::vector<ArtifactInfo>>> Tracking::list_artifacts(const Caller& caller,
                                                                 std::string path) {
  auto checked = wire::mlflow::check_artifact_path(path, "path", true);
  if (!checked) co_return std::move(checked).error();
  co_return co_await artifacts_.list(caller, *checked);
}

Task<Status> Tracking::remove_artifacts(const Caller& caller, std::string path) {
  auto checked = wire::mlflow::check_artifact_path(path, "path");
  if (!checked) co_return std::move(checked).error();
  const auto thawed = [&](Reader& reader) {
    return check_thawed(reader, caller.project, *checked);
  };
  STRATA_CO_TRY(co_await records_.read(thawed));
  co_return co_await artifacts_.remove(caller, *checked);
}

Result<std::string> Tracking::store_path(std::string_view artifact_uri) {
  auto path = wire::mlflow::proxied_path(artifact_uri);
  if (path) return std::move(*path);
  return Error(Code::kUnsupported,
               fmt::format("'{}' lies outside of this server: read it with a client of that store",
                           artifact_uri));
}

Status Tracking::freeze(Writer& writer, const ProjectId& project, std::string_view path,
                        std::string_view holder) {
  return writer
      .execute(
          "INSERT INTO frozen_artifacts (project, path, holder) VALUES (?, ?, ?) ON CONFLICT DO "
          "NOTHING",
          {project.str(), path, holder})
      .and_then([](auto) { return Status(); });
}

Status Tracking::release(Writer& writer, const ProjectId& project, std::string_view holder) {
  return writer
      .execute("DELETE FROM frozen_artifacts WHERE project = ? AND holder = ?",
               {project.str(), holder})
      .and_then([](auto) { return Status(); });
}

}  // namespace strata::platform::tracking
