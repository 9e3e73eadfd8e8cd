#include "platform/models/rows.hpp"

#include "base/text.hpp"
#include "platform/search/search.hpp"

namespace strata::platform::models {

using kernel::Reader;
using kernel::Row;

namespace {

constexpr std::array<std::string_view, 4> kStages = {"None", "Staging", "Production", "Archived"};

Result<std::vector<KeyValue>> load_pairs(Reader& reader, std::string_view sql,
                                         const kernel::SqlArgs& args) {
  auto rows = reader.query(sql, args);
  if (!rows) return std::move(rows).error();
  std::vector<KeyValue> pairs;
  for (const auto& row : *rows)
    pairs.push_back({row.text(0), row.text(1)});
  return pairs;
}

}  // namespace

Version version_of(const Row& row) {
  Version v;
  v.name = row.text(0);
  v.version = row.integer(1);
  v.description = row.text(2);
  v.source = row.text(3);
  v.download_uri = row.text(4);
  v.run_id = row.text(5);
  v.run_link = row.text(6);
  v.model_id = row.text(7);
  v.owner = row.text(8);
  v.team = row.text(9);
  v.stage = row.text(10);
  v.status = row.text(11);
  v.status_message = row.text(12);
  v.digest = row.text(13);
  v.package_digest = row.text(14);
  v.created_ms = row.integer(15);
  v.updated_ms = row.integer(16);
  return v;
}

Result<Version> load_version(Reader& reader, const ProjectId& project, std::string_view name,
                             std::int64_t number) {
  auto row = reader.first(
      fmt::format(
          "SELECT {} FROM model_versions e WHERE e.project = ? AND e.name = ? AND e.version = ? "
          "AND e.deleted = 0",
          kVersionColumns),
      {project.str(), name, number});
  if (!row) return std::move(row).error();
  if (!*row)
    return not_found(fmt::format("Model Version (name={}, version={}) not found", name, number));
  Version version = version_of(**row);
  STRATA_TRY(load_version_data(reader, project, version));
  return version;
}

Status load_version_data(Reader& reader, const ProjectId& project, Version& version) {
  auto tags = load_pairs(
      reader,
      "SELECT key, value FROM model_version_tags WHERE project = ? AND name = ? AND version = ? "
      "ORDER BY key",
      {project.str(), version.name, version.version});
  if (!tags) return std::move(tags).error();
  version.tags = std::move(*tags);
  auto aliases = reader.query(
      "SELECT alias FROM model_aliases WHERE project = ? AND name = ? AND version = ? ORDER BY "
      "alias",
      {project.str(), version.name, version.version});
  if (!aliases) return std::move(aliases).error();
  for (const auto& row : *aliases)
    version.aliases.push_back(row.text(0));
  return {};
}

Model model_of(const Row& row) {
  Model model;
  model.name = row.text(0);
  model.description = row.text(1);
  model.owner = row.text(2);
  model.team = row.text(3);
  model.created_ms = row.integer(4);
  model.updated_ms = row.integer(5);
  return model;
}

Result<Model> load_model(Reader& reader, const ProjectId& project, std::string_view name) {
  auto row = reader.first(
      fmt::format("SELECT {} FROM registered_models e WHERE e.project = ? AND e.name = ?",
                  kModelColumns),
      {project.str(), name});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("Registered Model with name={} not found", name));
  Model model = model_of(**row);
  STRATA_TRY(load_model_data(reader, project, model));
  return model;
}

Status load_model_data(Reader& reader, const ProjectId& project, Model& model) {
  auto tags = load_pairs(
      reader,
      "SELECT key, value FROM registered_model_tags WHERE project = ? AND name = ? ORDER BY key",
      {project.str(), model.name});
  if (!tags) return std::move(tags).error();
  model.tags = std::move(*tags);
  auto aliases = reader.query(
      "SELECT alias, version FROM model_aliases WHERE project = ? AND name = ? ORDER BY alias",
      {project.str(), model.name});
  if (!aliases) return std::move(aliases).error();
  for (const auto& row : *aliases)
    model.aliases.push_back({row.text(0), row.integer(1)});
  auto latest = reader.query(
      fmt::format(
          "SELECT {} FROM model_versions e WHERE e.project = ? AND e.name = ? AND e.version IN "
          "(SELECT MAX(version) FROM model_versions WHERE project = ? AND name = ? AND "
          "deleted = 0 GROUP BY stage) ORDER BY e.version",
          kVersionColumns),
      {project.str(), model.name, project.str(), model.name});
  if (!latest) return std::move(latest).error();
  for (const auto& row : *latest) {
    model.latest.push_back(version_of(row));
    STRATA_TRY(load_version_data(reader, project, model.latest.back()));
  }
  return {};
}

Status require_model(Reader& reader, const ProjectId& project, std::string_view name) {
  auto row = reader.first("SELECT 1 FROM registered_models WHERE project = ? AND name = ?",
                          {project.str(), name});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("Registered Model with name={} not found", name));
  return {};
}

Result<std::vector<ModelFile>> load_manifest(Reader& reader, const ProjectId& project,
                                             std::string_view digest) {
  auto row =
      reader.first("SELECT files FROM model_manifests WHERE project = ? AND package_digest = ?",
                   {project.str(), digest});
  if (!row) return std::move(row).error();
  std::vector<ModelFile> files;
  if (!*row) return files;
  auto json = parse_json((*row)->text(0));
  if (!json || !json->is_array())
    return Error(Code::kDataLoss, fmt::format("the list of files of {} is damaged", digest));
  for (const auto& file : json->as_array()) {
    files.push_back(
        {file.text("path"), static_cast<std::uint64_t>(file.integer("size")), file.text("sha256")});
  }
  return files;
}

Result<std::string> load_package(Reader& reader, const ProjectId& project,
                                 std::string_view package_digest) {
  auto row =
      reader.first("SELECT manifest FROM model_packages WHERE project = ? AND package_digest = ?",
                   {project.str(), package_digest});
  if (!row) return std::move(row).error();
  return *row ? (*row)->text(0) : std::string();
}

Status save_package(kernel::Writer& writer, const ProjectId& project,
                    std::string_view package_digest, std::string_view manifest) {
  STRATA_TRY(
      writer.execute("INSERT INTO model_packages (project, package_digest, manifest) VALUES (?, ?, "
                     "?) ON CONFLICT DO NOTHING",
                     {project.str(), package_digest, manifest}));
  return {};
}

Status check_model_name(std::string_view name, std::string_view field) {
  if (trim(name).empty())
    return invalid(std::string(field),
                   fmt::format("Missing value for required parameter '{}'.", field));
  if (name.find_first_of("/:") != std::string_view::npos || name == "." || name.starts_with("..")) {
    return invalid(std::string(field),
                   fmt::format("Invalid model name '{}'. Names cannot contain '/' or ':'.", name));
  }
  if (name.size() > 256)
    return invalid(std::string(field),
                   fmt::format("'{}' exceeds the maximum length of 256 bytes", field));
  for (const char c : name) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) continue;
    return invalid(std::string(field), "A model name must not contain control characters");
  }
  return {};
}

Status check_alias(std::string_view alias) {
  if (alias.empty()) return invalid("alias", "Registered model alias name cannot be empty.");
  bool word = true;
  for (const char c : alias) {
    word = word && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || static_cast<unsigned char>(c) >= 0x80);
  }
  if (!word) {
    return invalid(
        "alias",
        fmt::format(
            "Invalid alias name: '{}'. Names may only contain alphanumerics, underscores (_) and "
            "dashes (-).",
            alias));
  }
  if (alias.size() > 255)
    return invalid("alias", "'alias' exceeds the maximum length of 255 characters");
  if (equal_ignoring_case(alias, "latest"))
    return invalid("alias", "'latest' alias name (case insensitive) is reserved.");
  if ((alias.front() == 'v' || alias.front() == 'V') && alias.size() > 1 &&
      alias.find_first_not_of("0123456789", 1) == std::string_view::npos) {
    return invalid("alias", fmt::format("Version alias name '{}' is reserved.", alias));
  }
  return {};
}

Status check_tag(const KeyValue& tag) {
  if (tag.key.empty()) return invalid("key", "Missing value for required parameter 'key'.");
  if (tag.key.size() > 250)
    return invalid("key", "'key' exceeds the maximum length of 250 characters");
  if (tag.value.size() > 100'000)
    return invalid("value", "'value' exceeds the maximum length of 100000 characters");
  return {};
}

Result<std::string> stage_of(std::string_view text) {
  for (const auto stage : kStages) {
    if (equal_ignoring_case(text, stage)) return std::string(stage);
  }
  return invalid(
      "stage",
      fmt::format(
          "Invalid Model Version stage: {}. Value must be one of None, Staging, Production, "
          "Archived.",
          text));
}

}  // namespace strata::platform::models
