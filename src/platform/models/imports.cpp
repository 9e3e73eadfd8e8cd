#include <algorithm>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/models/origin.hpp"
#include "platform/models/rows.hpp"

namespace strata::platform::models {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;

std::string root_of(std::int64_t import) {
  return fmt::format("model-imports/{}", import);
}

Error differs(std::string_view path, std::string_view how) {
  return Error(Code::kChecksumMismatch, fmt::format("'{}' {}", printable(path), how), "files");
}

// Both sorted by path. Names the first file that is not as it was claimed.
Status compare_files(const std::vector<ModelFile>& claimed, const std::vector<ModelFile>& stored) {
  auto have = stored.begin();
  for (const auto& want : claimed) {
    if (have != stored.end() && have->path < want.path)
      return differs(have->path, "is none of the package's files");
    if (have == stored.end() || have->path != want.path) return differs(want.path, "is missing");
    if (have->sha256 != want.sha256)
      return differs(want.path, fmt::format("has the SHA-256 {}, the package says {}", have->sha256,
                                            printable(want.sha256)));
    ++have;
  }
  if (have != stored.end()) return differs(have->path, "is none of the package's files");
  return {};
}

Status set_state(Writer& writer, const ProjectId& project, std::int64_t import,
                 std::string_view state) {
  STRATA_TRY(writer.execute("UPDATE model_imports SET state = ? WHERE project = ? AND number = ?",
                            {state, project.str(), import}));
  return {};
}

}  // namespace

Status Models::require_import(Reader& reader, const ProjectId& project, std::string_view name,
                              std::int64_t import) {
  auto row = reader.first(
      "SELECT 1 FROM model_imports WHERE project = ? AND number = ? AND name = ? AND state = "
      "'open'",
      {project.str(), import, name});
  if (!row) return std::move(row).error();
  if (*row) return {};
  return not_found(fmt::format("there is no open import {} of model '{}'", import, name));
}

Task<Status> Models::drop_import(const Caller& caller, std::int64_t import) {
  STRATA_CO_TRY(co_await tracking_.remove_artifacts(caller, root_of(import)));
  auto close = [&](Writer& writer) {
    return set_state(writer, caller.project, import, "aborted");
  };
  co_return co_await records_.write(close);
}

// Takes away what was begun more than a day ago and never finished.
Task<Status> Models::sweep_imports(const Caller& caller) {
  auto find = [&](Reader& reader) -> Result<std::vector<std::int64_t>> {
    auto rows = reader.query(
        "SELECT number FROM model_imports WHERE project = ? AND state = 'open' AND created_ms < ?",
        {caller.project.str(), now_ms() - kDayMs});
    if (!rows) return std::move(rows).error();
    std::vector<std::int64_t> out;
    for (const auto& row : *rows)
      out.push_back(row.integer(0));
    return out;
  };
  const auto old = co_await records_.read(find);
  if (!old) co_return old.error();
  for (const auto import : *old)
    STRATA_CO_TRY(co_await drop_import(caller, import));
  co_return Status();
}

Task<Result<std::int64_t>> Models::begin_import(const Caller& caller, std::string name) {
  STRATA_CO_TRY(check_model_name(name, "name"));
  STRATA_CO_TRY(co_await sweep_imports(caller));
  auto begin = [&](Writer& writer) -> Result<std::int64_t> {
    auto row = writer.first(
        "SELECT COALESCE(MAX(number), 0), COALESCE(SUM(CASE WHEN state = 'open' THEN 1 ELSE 0 "
        "END), 0) FROM model_imports WHERE project = ?",
        {caller.project.str()});
    if (!row) return std::move(row).error();
    if ((*row)->integer(1) >= kMaxOpenImports) {
      return Error(
          Code::kResourceExhausted,
          fmt::format("{} imports are open; finish or abort some of them", kMaxOpenImports));
    }
    const std::int64_t number = (*row)->integer(0) + 1;
    STRATA_TRY(writer.execute(
        "INSERT INTO model_imports (project, number, name, actor, created_ms, state) VALUES (?, ?, "
        "?, ?, ?, 'open')",
        {caller.project.str(), number, name, caller.user_name, now_ms()}));
    return number;
  };
  co_return co_await records_.write(begin);
}

Task<Result<tracking::ArtifactInfo>> Models::put_import(const Caller& caller, std::string name,
                                                        std::int64_t import, std::string path,
                                                        ByteSource& body) {
  auto open = [&](Reader& reader) {
    return require_import(reader, caller.project, name, import);
  };
  STRATA_CO_TRY(co_await records_.read(open));
  co_return co_await tracking_.put_artifact(caller, root_of(import) + "/" + path, body);
}

Task<Status> Models::abort_import(const Caller& caller, std::string name, std::int64_t import) {
  auto open = [&](Reader& reader) {
    return require_import(reader, caller.project, name, import);
  };
  STRATA_CO_TRY(co_await records_.read(open));
  co_return co_await drop_import(caller, import);
}

Task<Result<Version>> Models::finish_import(const Caller& caller, std::string name,
                                            std::int64_t import, ImportClaim claim) {
  auto open = [&](Reader& reader) {
    return require_import(reader, caller.project, name, import);
  };
  STRATA_CO_TRY(co_await records_.read(open));
  const std::string root = root_of(import);
  auto package = co_await read_package(caller, root);
  if (!package) co_return std::move(package).error();
  if (package->files.empty()) co_return invalid("files", "files: a package has at least one file");
  std::ranges::sort(claim.files, {}, &ModelFile::path);
  STRATA_CO_TRY(compare_files(claim.files, package->files));
  if (package->package_digest != claim.package_digest) {
    co_return Error(Code::kChecksumMismatch,
                    fmt::format("package_digest: the files make {}, not {}",
                                package->package_digest, printable(claim.package_digest)),
                    "package_digest");
  }
  STRATA_CO_TRY(co_await describe_package(caller, root, *package));
  auto made = co_await create_model(caller, name, "", {});
  if (!made && made.error().code != Code::kAlreadyExists) co_return std::move(made).error();
  VersionDraft draft;
  draft.name = name;
  draft.source = "mlflow-artifacts:/" + root;
  draft.description = claim.description;
  const Origin origin{draft.source, "", "", root};
  auto create = [&](Writer& writer) -> Result<Version> {
    STRATA_TRY(require_import(writer, caller.project, name, import));
    STRATA_TRY(set_state(writer, caller.project, import, "done"));
    return write_version(writer, caller, draft, origin, *package);
  };
  co_return co_await records_.write(create);
}

}  // namespace strata::platform::models
