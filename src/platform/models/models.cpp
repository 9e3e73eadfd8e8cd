#include "platform/models/models.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/models/rows.hpp"
#include "platform/search/search.hpp"

namespace strata::platform::models {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;
using wire::mlflow::Comparator;
using wire::mlflow::Entity;

namespace {

const search::Schema& model_schema() {
  static const search::Schema schema = [] {
    search::Schema s;
    s.subject = wire::mlflow::Subject::kRegisteredModels;
    s.from = "registered_models e";
    s.attributes = {{"name", "e.name"},
                    {"creation_timestamp", "e.created_ms"},
                    {"last_updated_timestamp", "e.updated_ms"}};
    s.keyed = {
        {Entity::kTag, {"registered_model_tags", "kv.project = e.project AND kv.name = e.name"}}};
    s.tie_breakers = {{"name", false}};
    return s;
  }();
  return schema;
}

const search::Schema& version_schema() {
  static const search::Schema schema = [] {
    search::Schema s;
    s.subject = wire::mlflow::Subject::kModelVersions;
    s.from = "model_versions e";
    s.attributes = {{"name", "e.name"},
                    {"version_number", "e.version"},
                    {"run_id", "e.run_id"},
                    {"source_path", "e.source"},
                    {"creation_timestamp", "e.created_ms"},
                    {"last_updated_timestamp", "e.updated_ms"}};
    s.keyed = {{Entity::kTag,
                {"model_version_tags",
                 "kv.project = e.project AND kv.name = e.name AND kv.version = e.version"}}};
    s.tie_breakers = {{"name", false}, {"version_number", true}};
    return s;
  }();
  return schema;
}

// Prompts are kept as models with a tag of their own. They appear only in searches that ask for
// them, and whatever lacks the tag is no prompt: "!= 'true'" and "= 'false'" match it.
void separate_prompts(search::Query& query, const search::KeyedTable& tags) {
  bool wanted = false;
  query.take_clauses([&](const wire::mlflow::Clause& clause) {
    if (clause.entity != Entity::kTag || clause.key != kPromptTag) return false;
    const auto* value = std::get_if<std::string>(&clause.value);
    if (value == nullptr) return false;
    if (clause.comparator == Comparator::kEqual && *value == "true") wanted = true;
    if (clause.comparator == Comparator::kNotEqual && *value == "false") wanted = true;
    return true;
  });
  query.where(
      fmt::format("{}EXISTS (SELECT 1 FROM {} kv WHERE {} AND kv.key = ? AND kv.value = 'true')",
                  wanted ? "" : "NOT ", tags.table, tags.on),
      {kPromptTag});
}

Status check_page_size(std::int64_t size, std::int64_t limit) {
  if (size >= 1 && size <= limit) return {};
  return invalid(
      "max_results",
      fmt::format(
          "Invalid value {} for parameter 'max_results' supplied: It must be between 1 and {}",
          size, limit));
}

Status upsert_model_tag(Writer& writer, const ProjectId& project, std::string_view name,
                        const KeyValue& tag) {
  return writer
      .execute(
          "INSERT INTO registered_model_tags (project, name, key, value) VALUES (?, ?, ?, ?) "
          "ON CONFLICT (project, name, key) DO UPDATE SET value = excluded.value",
          {project.str(), name, tag.key, tag.value})
      .and_then([](auto) { return Status(); });
}

// Gives the model `name` the name `new_name`, with version numbers that neither name has ever
// given.
Status take_name(Writer& writer, const ProjectId& project, const std::string& name,
                 const std::string& new_name) {
  auto used =
      writer.first("SELECT last_version, heir FROM model_names WHERE project = ? AND name = ?",
                   {project.str(), new_name});
  if (!used) return std::move(used).error();
  auto taken = writer.first("SELECT 1 FROM registered_models WHERE project = ? AND name = ?",
                            {project.str(), new_name});
  if (!taken) return std::move(taken).error();
  const bool spent = *used && (*used)->integer(0) > 0 && (*used)->text(1) != name;
  if (*taken || spent) {
    return Error(
        Code::kAlreadyExists,
        fmt::format(
            "Registered Model (name={}) already exists{}.", new_name,
            *taken ? "" : " among deleted models, whose version numbers are never given again"));
  }
  const std::int64_t given = *used ? (*used)->integer(0) : 0;
  STRATA_TRY(writer.execute("DELETE FROM model_names WHERE project = ? AND name = ?",
                            {project.str(), new_name}));
  STRATA_TRY(writer.execute(
      "INSERT INTO model_names (project, name, last_version) SELECT project, ?, CASE WHEN "
      "last_version > ? THEN last_version ELSE ? END FROM model_names WHERE project = ? AND name = "
      "?",
      {new_name, given, given, project.str(), name}));
  // What led to the old name leads to the new one.
  return writer
      .execute("UPDATE model_names SET heir = ? WHERE project = ? AND (name = ? OR heir = ?)",
               {new_name, project.str(), name, name})
      .and_then([](auto) { return Status(); });
}

}  // namespace

Models::Models(kernel::Records& records, const kernel::Identity& identity, kernel::Audit& audit,
               kernel::EventBus& events, kernel::Lineage& lineage, tracking::Tracking& tracking,
               const Clock& clock)
    : records_(records),
      identity_(identity),
      audit_(audit),
      events_(events),
      lineage_(lineage),
      tracking_(tracking),
      clock_(clock) {}

Task<Result<Model>> Models::create_model(const Caller& caller, std::string name,
                                         std::string description, std::vector<KeyValue> tags) {
  STRATA_CO_TRY(check_model_name(name, "name"));
  for (const auto& tag : tags)
    STRATA_CO_TRY(check_tag(tag));
  auto create = [&](Writer& writer) -> Result<Model> {
    auto added = writer.execute(
        "INSERT INTO registered_models (project, name, description, owner, team, created_ms, "
        "updated_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        {caller.project.str(), name, description, caller.user_name, caller.team, now_ms(),
         now_ms()});
    if (!added && added.error().code == Code::kAlreadyExists) {
      return Error(Code::kAlreadyExists,
                   fmt::format("Registered Model (name={}) already exists.", name));
    }
    if (!added) return std::move(added).error();
    STRATA_TRY(
        writer.execute("INSERT INTO model_names (project, name, last_version) VALUES (?, ?, 0) ON "
                       "CONFLICT (project, name) DO UPDATE SET heir = ''",
                       {caller.project.str(), name}));
    for (const auto& tag : tags)
      STRATA_TRY(upsert_model_tag(writer, caller.project, name, tag));
    STRATA_TRY(audit_.record(writer, caller, "model.create", "model:" + name));
    STRATA_TRY(events_.publish(writer, caller.project, "model.created", "model:" + name));
    return load_model(writer, caller.project, name);
  };
  co_return co_await records_.write(create);
}

Task<Result<Model>> Models::model(const Caller& caller, std::string name) {
  auto load = [&](Reader& reader) {
    return load_model(reader, caller.project, name);
  };
  co_return co_await records_.read(load);
}

Task<Result<Model>> Models::describe_model(const Caller& caller, std::string name,
                                           std::string description) {
  auto change = [&](Writer& writer) -> Result<Model> {
    STRATA_TRY(require_model(writer, caller.project, name));
    STRATA_TRY(
        writer.execute("UPDATE registered_models SET description = ?, updated_ms = ? WHERE project "
                       "= ? AND name = ?",
                       {description, now_ms(), caller.project.str(), name}));
    return load_model(writer, caller.project, name);
  };
  co_return co_await records_.write(change);
}

Task<Result<Model>> Models::set_owner(const Caller& caller, std::string name, std::string user,
                                      std::string team) {
  const auto person = identity_.user(user);
  if (!person) co_return invalid("user", "user: " + person.error().message);
  if (person->disabled)
    co_return invalid("user", fmt::format("user: {} is disabled and can own nothing", user));
  if (team.empty()) team = person->team;
  const auto found = identity_.find_team(team);
  if (person->team != team && !(found && found->members.contains(user))) {
    co_return invalid("team", fmt::format("team: {} is not in team '{}'; add it to the team first, "
                                          "or name a team that it is in",
                                          user, printable(team)));
  }
  auto change = [&](Writer& writer) -> Result<Model> {
    auto before = load_model(writer, caller.project, name);
    if (!before || (before->owner == user && before->team == team)) return before;
    STRATA_TRY(writer.execute(
        "UPDATE registered_models SET owner = ?, team = ?, updated_ms = ? WHERE project = ? AND "
        "name = ?",
        {user, team, now_ms(), caller.project.str(), name}));
    const Json detail = Json::object({{"from", Json(before->owner)},
                                      {"to", Json(user)},
                                      {"from_team", Json(before->team)},
                                      {"to_team", Json(team)}});
    STRATA_TRY(audit_.record(writer, caller, "model.owner", "model:" + name, detail));
    STRATA_TRY(
        events_.publish(writer, caller.project, "model.owner_changed", "model:" + name, detail));
    return load_model(writer, caller.project, name);
  };
  co_return co_await records_.write(change);
}

Task<Result<std::vector<std::pair<ProjectId, std::string>>>> Models::everywhere() {
  auto load = [](Reader& reader) -> Result<std::vector<std::pair<ProjectId, std::string>>> {
    auto rows = reader.query("SELECT project, name FROM registered_models ORDER BY project, name");
    if (!rows) return std::move(rows).error();
    std::vector<std::pair<ProjectId, std::string>> all;
    for (const auto& row : *rows)
      all.emplace_back(ProjectId(row.text(0)), row.text(1));
    return all;
  };
  co_return co_await records_.read(load);
}

Task<Result<Model>> Models::rename_model(const Caller& caller, std::string name,
                                         std::string new_name) {
  STRATA_CO_TRY(check_model_name(new_name, "new_name"));
  auto rename = [&](Writer& writer) -> Result<Model> {
    STRATA_TRY(require_model(writer, caller.project, name));
    STRATA_TRY(refuse_where_protected(writer, caller.project, name, "renamed"));
    STRATA_TRY(take_name(writer, caller.project, name, new_name));
    STRATA_TRY(writer.execute(
        "UPDATE registered_models SET name = ?, updated_ms = ? WHERE project = ? AND name = ?",
        {new_name, now_ms(), caller.project.str(), name}));
    for (const auto* table : {"registered_model_tags", "model_versions", "model_version_tags",
                              "model_aliases", "alias_moves", "alias_requests"}) {
      STRATA_TRY(writer.execute(
          fmt::format("UPDATE {} SET name = ? WHERE project = ? AND name = ?", table),
          {new_name, caller.project.str(), name}));
    }
    STRATA_TRY(audit_.record(writer, caller, "model.rename", "model:" + name,
                             Json::object({{"new_name", Json(new_name)}})));
    STRATA_TRY(events_.publish(writer, caller.project, "model.renamed", "model:" + name,
                               Json::object({{"new_name", Json(new_name)}})));
    auto model = load_model(writer, caller.project, new_name);
    if (!model) return model;
    auto versions = writer.query(
        fmt::format("SELECT {} FROM model_versions e WHERE e.project = ? AND e.name = ? AND "
                    "e.deleted = 0",
                    kVersionColumns),
        {caller.project.str(), new_name});
    if (!versions) return std::move(versions).error();
    for (const auto& row : *versions) {
      const Version version = version_of(row);
      STRATA_TRY(tracking_.release(writer, caller.project,
                                   fmt::format("model:{}@{}", name, version.version)));
      STRATA_TRY(hold_files(writer, caller, version));
      STRATA_TRY(report_version(writer, caller, version));
    }
    return model;
  };
  co_return co_await records_.write(rename);
}

Task<Status> Models::delete_model(const Caller& caller, std::string name) {
  auto drop = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    STRATA_TRY(refuse_where_protected(writer, caller.project, name, "deleted"));
    auto versions = writer.query(
        fmt::format("SELECT {} FROM model_versions e WHERE e.project = ? AND e.name = ? AND "
                    "e.deleted = 0",
                    kVersionColumns),
        {caller.project.str(), name});
    if (!versions) return std::move(versions).error();
    for (const auto& row : *versions) {
      Version version = version_of(row);
      STRATA_TRY(load_version_data(writer, caller.project, version));
      STRATA_TRY(drop_version(writer, caller, version));
    }
    STRATA_TRY(writer.execute("DELETE FROM registered_model_tags WHERE project = ? AND name = ?",
                              {caller.project.str(), name}));
    STRATA_TRY(writer.execute("DELETE FROM registered_models WHERE project = ? AND name = ?",
                              {caller.project.str(), name}));
    STRATA_TRY(audit_.record(writer, caller, "model.delete", "model:" + name));
    return events_.publish(writer, caller.project, "model.deleted", "model:" + name);
  };
  co_return co_await records_.write(drop);
}

Task<Status> Models::set_model_tag(const Caller& caller, std::string name, KeyValue tag) {
  STRATA_CO_TRY(check_tag(tag));
  auto set = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    return upsert_model_tag(writer, caller.project, name, tag);
  };
  co_return co_await records_.write(set);
}

Task<Status> Models::delete_model_tag(const Caller& caller, std::string name, std::string key) {
  auto drop = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    STRATA_TRY(writer.execute(
        "DELETE FROM registered_model_tags WHERE project = ? AND name = ? AND key = ?",
        {caller.project.str(), name, key}));
    return {};
  };
  co_return co_await records_.write(drop);
}

Task<Result<Page<Model>>> Models::search_models(const Caller& caller, ModelSearch search) {
  STRATA_CO_TRY(check_page_size(search.max_results, kMaxModelsPerPage));
  auto query =
      search::Query::make(model_schema(), search.filter, search.order_by, search.page_token, "");
  if (!query) co_return std::move(query).error();
  query->where("e.project = ?", {caller.project.str()});
  separate_prompts(*query, model_schema().keyed.at(Entity::kTag));
  auto find = [&](Reader& reader) -> Result<Page<Model>> {
    auto found = query->run(reader, kModelColumns, search.max_results);
    if (!found) return std::move(found).error();
    Page<Model> page{{}, std::move(found->next_page_token)};
    for (const auto& row : found->rows) {
      page.items.push_back(model_of(row));
      STRATA_TRY(load_model_data(reader, caller.project, page.items.back()));
    }
    return page;
  };
  co_return co_await records_.read(find);
}

Task<Result<Page<Version>>> Models::search_versions(const Caller& caller, ModelSearch search) {
  STRATA_CO_TRY(check_page_size(search.max_results, kMaxVersionsPerPage));
  auto query =
      search::Query::make(version_schema(), search.filter, search.order_by, search.page_token, "");
  if (!query) co_return std::move(query).error();
  query->where("e.project = ? AND e.deleted = 0", {caller.project.str()});
  separate_prompts(*query, version_schema().keyed.at(Entity::kTag));
  auto find = [&](Reader& reader) -> Result<Page<Version>> {
    auto found = query->run(reader, kVersionColumns, search.max_results);
    if (!found) return std::move(found).error();
    Page<Version> page{{}, std::move(found->next_page_token)};
    for (const auto& row : found->rows) {
      page.items.push_back(version_of(row));
      STRATA_TRY(load_version_data(reader, caller.project, page.items.back()));
    }
    return page;
  };
  co_return co_await records_.read(find);
}

}  // namespace strata::platform::models
