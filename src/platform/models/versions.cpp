#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/models/origin.hpp"
#include "platform/models/rows.hpp"

namespace strata::platform::models {

using kernel::Caller;
using kernel::LineageEdge;
using kernel::LineageNode;
using kernel::NodeRef;
using kernel::Reader;
using kernel::Writer;

namespace {

Json manifest_json(const std::vector<ModelFile>& files) {
  Json json = Json::array();
  for (const auto& file : files) {
    json.push(Json::object(
        {{"path", Json(file.path)}, {"size", Json(file.size)}, {"sha256", Json(file.sha256)}}));
  }
  return json;
}

NodeRef version_ref(std::string_view name, std::int64_t version) {
  return {"model", std::string(name), std::to_string(version)};
}

Status upsert_version_tag(Writer& writer, const ProjectId& project, std::string_view name,
                          std::int64_t version, const KeyValue& tag) {
  return writer
      .execute(
          "INSERT INTO model_version_tags (project, name, version, key, value) VALUES (?, ?, ?, ?, "
          "?) "
          "ON CONFLICT (project, name, version, key) DO UPDATE SET value = excluded.value",
          {project.str(), name, version, tag.key, tag.value})
      .and_then([](auto) { return Status(); });
}

Result<std::int64_t> take_number(Writer& writer, const ProjectId& project, std::string_view name) {
  STRATA_TRY(writer.execute(
      "UPDATE model_names SET last_version = last_version + 1 WHERE project = ? AND name = ?",
      {project.str(), name}));
  auto row = writer.first("SELECT last_version FROM model_names WHERE project = ? AND name = ?",
                          {project.str(), name});
  if (!row) return std::move(row).error();
  if (!*row)
    return Error(Code::kDataLoss,
                 fmt::format("the version counter of model '{}' is missing", name));
  return (*row)->integer(0);
}

}  // namespace

Task<Result<Version>> Models::create_version(const Caller& caller, VersionDraft draft) {
  STRATA_CO_TRY(check_model_name(draft.name, "name"));
  for (const auto& tag : draft.tags)
    STRATA_CO_TRY(check_tag(tag));
  auto origin = co_await find_origin(caller, draft);
  if (!origin) co_return std::move(origin).error();
  Package package;
  if (origin->root) {
    auto read = co_await read_package(caller, *origin->root);
    if (!read) co_return std::move(read).error();
    package = std::move(*read);
    if (!package.files.empty())
      STRATA_CO_TRY(co_await describe_package(caller, *origin->root, package));
  }
  auto create = [&](Writer& writer) {
    return write_version(writer, caller, draft, *origin, package);
  };
  co_return co_await records_.write(create);
}

Result<Version> Models::write_version(Writer& writer, const Caller& caller,
                                      const VersionDraft& draft, const Origin& origin,
                                      const Package& package) {
  STRATA_TRY(require_model(writer, caller.project, draft.name));
  auto number = take_number(writer, caller.project, draft.name);
  if (!number) return std::move(number).error();
  const std::string note =
      package.files.empty() ? "no files of this version are on this server" : "";
  STRATA_TRY(writer.execute(
      "INSERT INTO model_versions (project, name, version, description, source, download_uri, "
      "run_id, run_link, model_id, owner, "
      "team, stage, status, status_message, digest, package_digest, created_ms, updated_ms, "
      "deleted) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'None', 'READY', ?, ?, ?, ?, ?, 0)",
      {caller.project.str(), draft.name, *number, draft.description, draft.source,
       origin.download_uri, origin.run_id, draft.run_link, origin.model_id, caller.user_name,
       caller.team, note, package.digest, package.package_digest, now_ms(), now_ms()}));
  STRATA_TRY(
      writer.execute("UPDATE registered_models SET updated_ms = ? WHERE project = ? AND name = ?",
                     {now_ms(), caller.project.str(), draft.name}));
  for (const auto& tag : draft.tags)
    STRATA_TRY(upsert_version_tag(writer, caller.project, draft.name, *number, tag));
  if (!package.files.empty()) {
    STRATA_TRY(writer.execute(
        "INSERT INTO model_manifests (project, package_digest, files) VALUES (?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        {caller.project.str(), package.package_digest, manifest_json(package.files).dump()}));
    STRATA_TRY(save_package(writer, caller.project, package.package_digest, package.manifest));
  }
  auto version = load_version(writer, caller.project, draft.name, *number);
  if (!version) return version;
  STRATA_TRY(hold_files(writer, caller, *version));
  if (!version->model_id.empty()) {
    STRATA_TRY(
        tracking_.note_registration(writer, version->model_id, version->name, version->version));
  }
  STRATA_TRY(report_version(writer, caller, *version));
  Json detail =
      Json::object({{"digest", Json(version->digest)}, {"source", Json(version->source)}});
  STRATA_TRY(audit_.record(writer, caller, "model.register",
                           version_ref(draft.name, *number).to_string(), detail));
  detail.set("version", Json(*number));
  STRATA_TRY(
      events_.publish(writer, caller.project, "model.registered", "model:" + draft.name, detail));
  return version;
}

Status Models::hold_files(Writer& writer, const Caller& caller, const Version& version) {
  if (version.package_digest.empty()) return {};
  auto root = tracking::Tracking::store_path(version.download_uri);
  if (!root) return std::move(root).error();
  return tracking_.freeze(writer, caller.project, *root,
                          fmt::format("model:{}@{}", version.name, version.version));
}

Status Models::report_version(Writer& writer, const Caller& caller, const Version& version) {
  LineageNode node{version_ref(version.name, version.version), version.digest, version.owner,
                   Instant::from_millis(version.created_ms),
                   Json::object({{"package_digest", Json(version.package_digest)},
                                 {"team", Json(version.team)}})};
  STRATA_TRY(lineage_.report(writer, caller.project, node));
  NodeRef from;
  if (!version.model_id.empty()) {
    from = {"logged_model", version.model_id, ""};
  } else if (!version.run_id.empty()) {
    from = {"run", version.run_id, ""};
  } else {
    return {};
  }
  return lineage_.report(writer, caller.project,
                         LineageEdge{from, node.ref, "registered", clock_.now()});
}

Task<Result<Version>> Models::version(const Caller& caller, std::string name, std::int64_t number) {
  auto load = [&](Reader& reader) {
    return load_version(reader, caller.project, name, number);
  };
  co_return co_await records_.read(load);
}

Task<Result<Version>> Models::describe_version(const Caller& caller, std::string name,
                                               std::int64_t number, std::string description) {
  auto change = [&](Writer& writer) -> Result<Version> {
    auto version = load_version(writer, caller.project, name, number);
    if (!version) return version;
    STRATA_TRY(
        writer.execute("UPDATE model_versions SET description = ?, updated_ms = ? WHERE project = "
                       "? AND name = ? AND version = ?",
                       {description, now_ms(), caller.project.str(), name, number}));
    return load_version(writer, caller.project, name, number);
  };
  co_return co_await records_.write(change);
}

Task<Result<Version>> Models::transition_stage(const Caller& caller, std::string name,
                                               std::int64_t number, std::string stage,
                                               bool archive_existing) {
  auto to = stage_of(stage);
  if (!to) co_return std::move(to).error();
  if (archive_existing && *to != "Staging" && *to != "Production") {
    co_return invalid("archive_existing_versions",
                      fmt::format("Model version transition cannot archive existing model versions "
                                  "because '{}' is not an "
                                  "Active stage. Valid stages are Staging, Production",
                                  *to));
  }
  auto move = [&](Writer& writer) -> Result<Version> {
    auto version = load_version(writer, caller.project, name, number);
    if (!version) return version;
    std::int64_t archived = 0;
    if (archive_existing) {
      const auto others = writer.execute(
          "UPDATE model_versions SET stage = 'Archived', updated_ms = ? WHERE "
          "project = ? AND name = ? AND "
          "stage = ? AND version <> ? AND deleted = 0",
          {now_ms(), caller.project.str(), name, *to, number});
      if (!others) return others.error();
      archived = *others;
    }
    STRATA_TRY(
        writer.execute("UPDATE model_versions SET stage = ?, updated_ms = ? WHERE project = ? AND "
                       "name = ? AND version = ?",
                       {*to, now_ms(), caller.project.str(), name, number}));
    if (version->stage == *to && archived == 0)
      return load_version(writer, caller.project, name, number);
    STRATA_TRY(audit_.record(
        writer, caller, "model.stage", version_ref(name, number).to_string(),
        Json::object(
            {{"from", Json(version->stage)}, {"to", Json(*to)}, {"archived", Json(archived)}})));
    return load_version(writer, caller.project, name, number);
  };
  co_return co_await records_.write(move);
}

Status Models::drop_version(Writer& writer, const Caller& caller, const Version& version) {
  for (const auto& alias : version.aliases) {
    const auto protection = load_protection(writer, caller.project, version.name, alias);
    if (!protection) return protection.error();
    if (*protection) {
      return Error(Code::kConflict,
                   fmt::format("the protected alias '{}' names version {} of model '{}': move it, "
                               "which a second person approves, before you delete the version",
                               alias, version.version, printable(version.name)));
    }
    STRATA_TRY(move_alias(writer, caller, version.name, alias, std::nullopt, nullptr));
  }
  STRATA_TRY(writer.execute(
      "UPDATE model_versions SET deleted = 1, stage = 'Deleted_Internal', description = '', source "
      "= "
      "'REDACTED', run_link = '', updated_ms = ? WHERE project = ? AND name = ? AND version = ?",
      {now_ms(), caller.project.str(), version.name, version.version}));
  STRATA_TRY(writer.execute(
      "DELETE FROM model_version_tags WHERE project = ? AND name = ? AND version = ?",
      {caller.project.str(), version.name, version.version}));
  STRATA_TRY(tracking_.release(writer, caller.project,
                               fmt::format("model:{}@{}", version.name, version.version)));
  STRATA_TRY(audit_.record(writer, caller, "model.delete_version",
                           version_ref(version.name, version.version).to_string(),
                           Json::object({{"digest", Json(version.digest)}})));
  return events_.publish(writer, caller.project, "model.version_deleted", "model:" + version.name,
                         Json::object({{"version", Json(version.version)}}));
}

Task<Status> Models::delete_version(const Caller& caller, std::string name, std::int64_t number) {
  auto drop = [&](Writer& writer) -> Status {
    auto version = load_version(writer, caller.project, name, number);
    if (!version) return std::move(version).error();
    return drop_version(writer, caller, *version);
  };
  co_return co_await records_.write(drop);
}

Task<Status> Models::set_version_tag(const Caller& caller, std::string name, std::int64_t number,
                                     KeyValue tag) {
  STRATA_CO_TRY(check_tag(tag));
  auto set = [&](Writer& writer) -> Status {
    auto version = load_version(writer, caller.project, name, number);
    if (!version) return std::move(version).error();
    return upsert_version_tag(writer, caller.project, name, number, tag);
  };
  co_return co_await records_.write(set);
}

Task<Status> Models::delete_version_tag(const Caller& caller, std::string name, std::int64_t number,
                                        std::string key) {
  auto drop = [&](Writer& writer) -> Status {
    auto version = load_version(writer, caller.project, name, number);
    if (!version) return std::move(version).error();
    STRATA_TRY(writer.execute(
        "DELETE FROM model_version_tags WHERE project = ? AND name = ? AND version = ? AND key = ?",
        {caller.project.str(), name, number, key}));
    return {};
  };
  co_return co_await records_.write(drop);
}

Task<Result<std::vector<Version>>> Models::latest_versions(const Caller& caller, std::string name,
                                                           std::vector<std::string> stages) {
  std::vector<std::string> wanted;
  for (const auto& stage : stages) {
    auto known = stage_of(stage);
    if (!known) co_return std::move(known).error();
    wanted.push_back(std::move(*known));
  }
  if (wanted.empty()) wanted = {"None", "Staging", "Production"};
  auto load = [&](Reader& reader) -> Result<std::vector<Version>> {
    auto model = load_model(reader, caller.project, name);
    if (!model) return std::move(model).error();
    std::erase_if(model->latest, [&](const Version& version) {
      return std::find(wanted.begin(), wanted.end(), version.stage) == wanted.end();
    });
    return std::move(model->latest);
  };
  co_return co_await records_.read(load);
}

Task<Result<std::vector<ModelFile>>> Models::version_files(const Caller& caller, std::string name,
                                                           std::int64_t number) {
  auto load = [&](Reader& reader) -> Result<std::vector<ModelFile>> {
    auto version = load_version(reader, caller.project, name, number);
    if (!version) return std::move(version).error();
    return load_manifest(reader, caller.project, version->package_digest);
  };
  co_return co_await records_.read(load);
}

Status Models::move_alias(Writer& writer, const Caller& caller, std::string_view name,
                          std::string_view alias, std::optional<std::int64_t> to,
                          const AliasRequest* approved) {
  auto row =
      writer.first("SELECT version FROM model_aliases WHERE project = ? AND name = ? AND alias = ?",
                   {caller.project.str(), name, alias});
  if (!row) return std::move(row).error();
  std::optional<std::int64_t> from;
  if (*row) from = (*row)->integer(0);
  if (from == to) return {};
  std::string digest;
  if (to) {
    auto version = load_version(writer, caller.project, name, *to);
    if (!version) return std::move(version).error();
    digest = version->digest;
    STRATA_TRY(writer.execute(
        "INSERT INTO model_aliases (project, name, alias, version) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project, name, alias) DO UPDATE SET version = excluded.version",
        {caller.project.str(), name, alias, *to}));
  } else {
    STRATA_TRY(
        writer.execute("DELETE FROM model_aliases WHERE project = ? AND name = ? AND alias = ?",
                       {caller.project.str(), name, alias}));
  }
  auto last = writer.first(
      "SELECT COALESCE(MAX(number), 0) FROM alias_moves WHERE project = ? AND name = ?",
      {caller.project.str(), name});
  if (!last) return std::move(last).error();
  STRATA_TRY(writer.execute(
      "INSERT INTO alias_moves (project, name, number, alias, from_version, "
      "to_version, digest, actor, time_us, approved_by, request, override) VALUES "
      "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {caller.project.str(), name, (*last)->integer(0) + 1, alias, from, to, digest,
       approved != nullptr ? approved->requester : caller.user_name, clock_.now().micros,
       approved != nullptr ? caller.user_name : "", approved != nullptr ? approved->id : 0,
       approved != nullptr && !approved->override_of.is_null() ? approved->override_of.dump()
                                                               : ""}));
  STRATA_TRY(
      writer.execute("UPDATE registered_models SET updated_ms = ? WHERE project = ? AND name = ?",
                     {now_ms(), caller.project.str(), name}));
  Json data = Json::object({{"alias", Json(alias)},
                            {"from", from ? Json(*from) : Json()},
                            {"to", to ? Json(*to) : Json()},
                            {"digest", Json(digest)}});
  if (approved != nullptr) {
    data.set("request", Json(approved->id));
    data.set("requested_by", Json(approved->requester));
    data.set("approved_by", Json(caller.user_name));
    if (!approved->override_of.is_null()) data.set("override", approved->override_of);
  }
  STRATA_TRY(audit_.record(writer, caller, "alias.move", fmt::format("model:{}", name), data));
  return events_.publish(writer, caller.project, "alias.moved", fmt::format("model:{}", name),
                         data);
}

Task<Result<std::vector<AliasMove>>> Models::alias_history(const Caller& caller, std::string name) {
  constexpr std::int64_t kMaxMoves = 1000;
  auto load = [&](Reader& reader) -> Result<std::vector<AliasMove>> {
    STRATA_TRY(require_model(reader, caller.project, name));
    auto rows = reader.query(
        "SELECT alias, from_version, to_version, digest, actor, time_us, approved_by, request, "
        "override FROM alias_moves WHERE project = ? AND name = ? ORDER BY number DESC LIMIT ?",
        {caller.project.str(), name, kMaxMoves});
    if (!rows) return std::move(rows).error();
    std::vector<AliasMove> moves;
    for (const auto& row : *rows) {
      Json override_of;
      if (const auto text = row.text(8); !text.empty()) {
        auto parsed = parse_json(text);
        if (!parsed) return parsed.error().wrap("a kept move cannot be read");
        override_of = *std::move(parsed);
      }
      moves.push_back({row.text(0), row.maybe_integer(1), row.maybe_integer(2), row.text(3),
                       row.text(4), Instant{row.integer(5)}, row.text(6), row.integer(7),
                       std::move(override_of)});
    }
    return moves;
  };
  co_return co_await records_.read(load);
}

}  // namespace strata::platform::models
