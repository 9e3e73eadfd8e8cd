#include "platform/models/origin.hpp"

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "platform/models/package.hpp"
#include "platform/models/rows.hpp"
#include "wire/mlflow/mlflow_artifact.hpp"

namespace strata::platform::models {

using kernel::Caller;
using kernel::Reader;

namespace {

constexpr std::uint64_t kMaxDescription = 4 << 20;
constexpr std::string_view kDescriptionFile = "MLmodel";

Error bad_source(std::string_view source, std::string_view why) {
  return invalid("source", fmt::format("Invalid model version source: '{}'. {}", source, why));
}

bool is_inside(std::string_view path, std::string_view root) {
  return path == root ||
         (path.starts_with(root) && path.size() > root.size() && path[root.size()] == '/');
}

bool is_prompt(const VersionDraft& draft) {
  return std::any_of(draft.tags.begin(), draft.tags.end(), [](const KeyValue& tag) {
    return tag.key == kPromptTag && tag.value == "true";
  });
}

// "NAME/3", "NAME@alias", "m-..." behind "models:/".
struct ModelAddress {
  std::string name;
  std::string version;
  std::string alias;
  std::string model_id;
  std::string rest;  // path below a logged model
};

Result<ModelAddress> parse_address(std::string_view uri) {
  constexpr std::string_view kScheme = "models:/";
  const auto refuse = [&] {
    return invalid(
        "uri",
        fmt::format(
            "'{}' is no address of a model. Write models:/NAME@ALIAS, models:/NAME/VERSION or "
            "models:/m-ID",
            printable(uri)));
  };
  if (!uri.starts_with(kScheme) || uri.starts_with("models://")) return refuse();
  std::string_view text = uri.substr(kScheme.size());
  ModelAddress address;
  const std::size_t slash = text.find('/');
  if (text.starts_with("m-") && (slash == std::string_view::npos ? text.size() : slash) == 34) {
    address.model_id = text.substr(0, slash);
    if (slash != std::string_view::npos) address.rest = text.substr(slash + 1);
    return address;
  }
  if (slash != std::string_view::npos) {
    address.name = text.substr(0, slash);
    address.version = text.substr(slash + 1);
  } else if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    address.name = text.substr(0, at);
    address.alias = text.substr(at + 1);
  }
  if (address.name.empty() || (address.version.empty() && address.alias.empty())) return refuse();
  return address;
}

Result<Version> find_addressed(Reader& reader, const ProjectId& project,
                               const ModelAddress& address) {
  STRATA_TRY(require_model(reader, project, address.name));
  if (!address.alias.empty()) {
    auto row = reader.first(
        "SELECT version FROM model_aliases WHERE project = ? AND name = ? AND alias = ?",
        {project.str(), address.name, address.alias});
    if (!row) return std::move(row).error();
    if (!*row) return not_found(fmt::format("Registered model alias {} not found.", address.alias));
    return load_version(reader, project, address.name, (*row)->integer(0));
  }
  if (const auto number = to_int(address.version))
    return load_version(reader, project, address.name, *number);
  kernel::SqlArgs args = {project.str(), address.name};
  std::string condition;
  if (!equal_ignoring_case(address.version, "latest")) {
    auto stage = stage_of(address.version);
    if (!stage) {
      return invalid("uri",
                     fmt::format("'{}' is no version number, 'latest' or stage of model '{}'",
                                 address.version, address.name));
    }
    condition = " AND stage = ?";
    args.emplace_back(*stage);
  }
  auto row = reader.first(
      "SELECT MAX(version) FROM model_versions WHERE project = ? AND name = ? AND deleted = 0" +
          condition,
      args);
  if (!row) return std::move(row).error();
  if (!*row || (*row)->is_null(0))
    return not_found(fmt::format("Latest version not found for model {}.", address.name));
  return load_version(reader, project, address.name, (*row)->integer(0));
}

// Who let the alias name what it names now.
Result<std::string> mover_of(Reader& reader, const ProjectId& project,
                             const ModelAddress& address) {
  if (address.alias.empty()) return std::string();
  auto row = reader.first(
      "SELECT actor FROM alias_moves WHERE project = ? AND name = ? AND alias = ? ORDER BY number "
      "DESC LIMIT 1",
      {project.str(), address.name, address.alias});
  if (!row) return std::move(row).error();
  return *row ? (*row)->text(0) : std::string();
}

// Finds what a version's source stands for, and refuses sources that belong to another run or model
// than the draft says, or to none.
class OriginFinder {
 public:
  OriginFinder(tracking::Tracking& tracking, Reader& reader, const ProjectId& project,
               const VersionDraft& draft)
      : tracking_(tracking),
        reader_(reader),
        project_(project),
        draft_(draft),
        origin_{draft.source, draft.run_id, draft.model_id, std::nullopt} {}

  Result<Origin> find() {
    if (draft_.source.starts_with("models:")) {
      STRATA_TRY(from_model());
      return origin_;
    }
    std::string root;
    if (draft_.source.starts_with("runs:/")) {
      STRATA_TRY(from_run(root));
    } else if (!draft_.model_id.empty()) {
      STRATA_TRY(logged_root(draft_.model_id, root));
    } else if (!draft_.run_id.empty()) {
      STRATA_TRY(run_root(draft_.run_id, root));
    }
    const auto path = wire::mlflow::proxied_path(origin_.download_uri);
    if (!path) return origin_;
    const auto allowed = wire::mlflow::proxied_path(root);
    if (!allowed || !is_inside(*path, *allowed)) return not_identified("run_id or model_id");
    return origin_;
  }

 private:
  Error not_identified(std::string_view parameter) const {
    return bad_source(draft_.source,
                      fmt::format("The {} request parameter must identify the resource that "
                                  "contains the source.",
                                  parameter));
  }

  Status logged_root(const std::string& id, std::string& root) {
    auto model = tracking_.find_logged_model(reader_, project_, id);
    if (!model) return not_identified("model_id");
    if (origin_.run_id.empty()) origin_.run_id = model->source_run_id;
    root = std::move(model->artifact_uri);
    return {};
  }

  Status run_root(const std::string& id, std::string& root) {
    auto run = tracking_.find_run(reader_, project_, id);
    if (!run) return not_identified("run_id");
    root = std::move(run->artifact_uri);
    return {};
  }

  Status from_run(std::string& root) {
    const std::string rest = draft_.source.substr(std::string_view("runs:/").size());
    const std::string id = rest.substr(0, rest.find('/'));
    STRATA_TRY(run_root(id, root));
    if (!draft_.run_id.empty() && draft_.run_id != id) return not_identified("run_id");
    origin_.run_id = id;
    origin_.download_uri = root + rest.substr(id.size());
    return {};
  }

  Status from_model() {
    auto address = parse_address(draft_.source);
    if (!address) return bad_source(draft_.source, address.error().message);
    if (!address->model_id.empty()) {
      if (!draft_.model_id.empty() && draft_.model_id != address->model_id) {
        return not_identified("model_id");
      }
      origin_.model_id = address->model_id;
      std::string root;
      STRATA_TRY(logged_root(address->model_id, root));
      origin_.download_uri = address->rest.empty() ? root : root + "/" + address->rest;
      return {};
    }
    auto version = find_addressed(reader_, project_, *address);
    if (!version) return bad_source(draft_.source, version.error().message);
    origin_.download_uri = version->download_uri;
    if (origin_.run_id.empty()) origin_.run_id = version->run_id;
    if (origin_.model_id.empty()) origin_.model_id = version->model_id;
    return {};
  }

  tracking::Tracking& tracking_;
  Reader& reader_;
  const ProjectId& project_;
  const VersionDraft& draft_;
  Origin origin_;
};

// Passes the bytes on and compares their hash with the promised one at the end.
class VerifiedSource final : public ByteSource {
 public:
  VerifiedSource(std::unique_ptr<ByteSource> inner, ModelFile file)
      : inner_(std::move(inner)),
        file_(std::move(file)),
        digest_(DigestKind::kSha256) {}

  Task<Result<std::string_view>> next() override {
    auto piece = co_await inner_->next();
    if (!piece) co_return piece;
    if (!piece->empty()) {
      digest_.update(*piece);
      co_return piece;
    }
    if (!ended_) {
      ended_ = true;
      if (to_hex(digest_.finish()) != file_.sha256) {
        co_return Error(Code::kDataLoss,
                        fmt::format("'{}' is not the file that was registered: its SHA-256 differs",
                                    file_.path));
      }
    }
    co_return piece;
  }
  std::optional<std::uint64_t> length() const override { return file_.size; }

 private:
  std::unique_ptr<ByteSource> inner_;
  ModelFile file_;
  Digest digest_;
  bool ended_ = false;
};

}  // namespace

std::string package_digest(const std::vector<ModelFile>& files) {
  std::vector<const ModelFile*> sorted;
  sorted.reserve(files.size());
  for (const auto& file : files)
    sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->path < b->path; });
  Digest digest(DigestKind::kSha256);
  for (const auto* file : sorted)
    digest.update(fmt::format("{}  {}\n", file->sha256, file->path));
  return "sha256:" + to_hex(digest.finish());
}

Task<Result<Origin>> Models::find_origin(const Caller& caller, const VersionDraft& draft) {
  if (is_prompt(draft)) {
    co_return Origin{draft.source, draft.run_id, draft.model_id, std::nullopt};
  }
  auto find = [&](Reader& reader) {
    return OriginFinder(tracking_, reader, caller.project, draft).find();
  };
  auto found = co_await records_.read(find);
  if (!found) co_return found;
  STRATA_CO_TRY(wire::mlflow::check_artifact_uri(found->download_uri, "source"));
  found->root = wire::mlflow::proxied_path(found->download_uri);
  co_return found;
}

Task<Result<Package>> Models::read_package(const Caller& caller, std::string root) {
  Package package;
  auto listed = co_await tracking_.store().walk(caller, root, kMaxModelFiles);
  if (!listed) co_return std::move(listed).error();
  for (auto& info : *listed) {
    package.files.push_back({info.path.substr(root.size() + 1), info.size, std::move(info.sha256)});
  }
  if (package.files.empty()) co_return package;
  std::sort(package.files.begin(), package.files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  package.package_digest = models::package_digest(package.files);
  package.digest = package.package_digest;
  std::vector<ModelFile> canonical = package.files;
  for (auto& file : canonical) {
    if (file.path != kDescriptionFile || file.size > kMaxDescription) continue;
    auto opened = co_await tracking_.store().open(caller, root + "/" + file.path);
    if (!opened) co_return std::move(opened).error();
    auto text = co_await read_all(*opened->body, kMaxDescription);
    if (!text) co_return std::move(text).error();
    file.sha256 = to_hex(sha256(wire::mlflow::canonical_mlmodel(*text)));
    package.digest = models::package_digest(canonical);
    break;
  }
  co_return package;
}

Task<Status> Models::describe_package(const Caller& caller, std::string root, Package& package) {
  std::map<std::string, std::string, std::less<>> texts;
  for (const auto& file : package.files) {
    if (std::ranges::find(kDescribing, file.path) == kDescribing.end()) continue;
    if (file.size > kMaxDescribing) continue;
    auto opened = co_await tracking_.store().open(caller, root + "/" + file.path);
    if (!opened) co_return std::move(opened).error();
    auto text = co_await read_all(*opened->body, kMaxDescribing);
    if (!text) co_return std::move(text).error();
    if (to_hex(sha256(*text)) != file.sha256) {
      co_return Error(
          Code::kConflict,
          fmt::format("'{}' changed while the version was registered; try again", file.path));
    }
    texts.emplace(file.path, *std::move(text));
  }
  package.manifest = package_manifest(package.files, package.digest, package.package_digest, texts);
  co_return Status();
}

Task<Result<Manifest>> Models::manifest(const Caller& caller, std::string name,
                                        std::int64_t number) {
  auto found = co_await version(caller, name, number);
  if (!found) co_return std::move(found).error();
  auto load = [&](Reader& reader) -> Result<std::string> {
    return load_package(reader, caller.project, found->package_digest);
  };
  auto text = co_await records_.read(load);
  if (!text) co_return std::move(text).error();
  if (text->empty()) {
    auto resolved = co_await resolve(caller, fmt::format("models:/{}/{}", name, number));
    if (!resolved) co_return std::move(resolved).error();
    Package package{std::move(resolved->files), resolved->digest, resolved->package_digest, ""};
    STRATA_CO_TRY(co_await describe_package(caller, resolved->root, package));
    auto save = [&](kernel::Writer& writer) -> Result<std::string> {
      STRATA_TRY(save_package(writer, caller.project, package.package_digest, package.manifest));
      return load_package(writer, caller.project, package.package_digest);
    };
    text = co_await records_.write(save);
    if (!text) co_return std::move(text).error();
  }
  co_return Manifest{content_digest(*text), *std::move(text)};
}

Task<Result<Resolved>> Models::resolve(const Caller& caller, std::string uri) {
  auto address = parse_address(uri);
  if (!address) co_return std::move(address).error();
  Resolved resolved;
  std::string location;
  auto load = [&](Reader& reader) -> Status {
    if (!address->model_id.empty()) {
      auto model = tracking_.find_logged_model(reader, caller.project, address->model_id);
      if (!model) return std::move(model).error();
      location = model->artifact_uri + (address->rest.empty() ? "" : "/" + address->rest);
      resolved.name = resolved.model_id = model->id;
      resolved.run_id = model->source_run_id;
      resolved.owner = model->owner;
      return {};
    }
    auto version = find_addressed(reader, caller.project, *address);
    if (!version) return std::move(version).error();
    auto files = load_manifest(reader, caller.project, version->package_digest);
    if (!files) return std::move(files).error();
    auto mover = mover_of(reader, caller.project, *address);
    if (!mover) return std::move(mover).error();
    location = version->download_uri;
    resolved = {version->name,     version->version,  version->digest, version->package_digest,
                version->run_id,   version->model_id, version->owner,  "",
                std::move(*files), *std::move(mover)};
    return {};
  };
  STRATA_CO_TRY(co_await records_.read(load));
  auto root = tracking::Tracking::store_path(location);
  if (!root) co_return std::move(root).error();
  resolved.root = std::move(*root);
  if (resolved.version == 0) {
    auto package = co_await read_package(caller, resolved.root);
    if (!package) co_return std::move(package).error();
    resolved.files = std::move(package->files);
    resolved.digest = std::move(package->digest);
    resolved.package_digest = std::move(package->package_digest);
  }
  if (resolved.files.empty()) {
    co_return Error(
        Code::kConflict,
        fmt::format("{} has no files on this server. Log the model's files, then register a new "
                    "version",
                    uri));
  }
  co_return resolved;
}

Task<Result<tracking::Artifact>> Models::open(const Caller& caller, const Resolved& model,
                                              const ModelFile& file) {
  auto opened = co_await tracking_.store().open(caller, model.root + "/" + file.path);
  if (!opened) co_return opened;
  opened->body = std::make_unique<VerifiedSource>(std::move(opened->body), file);
  co_return opened;
}

Task<Result<Version>> Models::version_by_alias(const Caller& caller, std::string name,
                                               std::string alias) {
  if (alias.empty()) co_return invalid("alias", "Registered model alias name cannot be empty.");
  auto load = [&](Reader& reader) -> Result<Version> {
    ModelAddress address{name, "", alias, "", ""};
    if (equal_ignoring_case(alias, "latest")) address = {name, "latest", "", "", ""};
    auto found = find_addressed(reader, caller.project, address);
    // Clients tell a missing alias from a missing model by the code.
    if (!found && found.error().message.starts_with("Registered model alias")) {
      return invalid("alias", found.error().message);
    }
    return found;
  };
  co_return co_await records_.read(load);
}

}  // namespace strata::platform::models
