#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/models/models.hpp"

namespace strata::platform::models {

inline constexpr std::string_view kPromptTag = "mlflow.prompt.is_prompt";

inline constexpr std::string_view kVersionColumns =
    "e.name, e.version, e.description, e.source, e.download_uri, e.run_id, e.run_link, e.model_id, "
    "e.owner, e.team, e.stage, "
    "e.status, e.status_message, e.digest, e.package_digest, e.created_ms, e.updated_ms";
Version version_of(const kernel::Row& row);
// With tags and aliases.
Result<Version> load_version(kernel::Reader& reader, const ProjectId& project,
                             std::string_view name, std::int64_t number);
Status load_version_data(kernel::Reader& reader, const ProjectId& project, Version& version);

inline constexpr std::string_view kModelColumns =
    "e.name, e.description, e.owner, e.team, e.created_ms, e.updated_ms";
Model model_of(const kernel::Row& row);
Result<Model> load_model(kernel::Reader& reader, const ProjectId& project, std::string_view name);
Status load_model_data(kernel::Reader& reader, const ProjectId& project, Model& model);
// Errors: kNotFound when there is no such model.
Status require_model(kernel::Reader& reader, const ProjectId& project, std::string_view name);

Result<std::vector<ModelFile>> load_manifest(kernel::Reader& reader, const ProjectId& project,
                                             std::string_view package_digest);

Result<std::optional<Protection>> load_protection(kernel::Reader& reader, const ProjectId& project,
                                                  std::string_view name, std::string_view alias);
Result<std::vector<Protection>> load_protections(kernel::Reader& reader, const ProjectId& project,
                                                 std::string_view name);
// Errors: kConflict when the model has a protected alias; `doing` is "deleted" or the like.
Status refuse_where_protected(kernel::Reader& reader, const ProjectId& project,
                              std::string_view name, std::string_view doing);

// The manifest of the package; empty when it was not described yet.
Result<std::string> load_package(kernel::Reader& reader, const ProjectId& project,
                                 std::string_view package_digest);
// Keeps what is there: a package has one manifest for ever.
Status save_package(kernel::Writer& writer, const ProjectId& project,
                    std::string_view package_digest, std::string_view manifest);

Status check_model_name(std::string_view name, std::string_view field);
Status check_alias(std::string_view alias);
Status check_tag(const KeyValue& tag);
// The stage in its canonical spelling. Errors: kInvalidArgument.
Result<std::string> stage_of(std::string_view text);

}  // namespace strata::platform::models
