#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "kernel/records/records.hpp"
#include "platform/tracking/entities.hpp"

namespace strata::platform::tracking {

// Reading entities from records; all inside one Reader, so that a page is one consistent state.
inline constexpr std::string_view kRunColumns =
    "e.id, e.name, e.experiment_id, e.user_id, e.owner, e.status, e.start_ms, e.end_ms, "
    "e.artifact_uri, e.deleted";
RunInfo run_info_of(const kernel::Row& row);
Result<RunInfo> load_run_info(kernel::Reader& reader, const ProjectId& project,
                              std::string_view id);
// The same; errors also when the run is deleted.
Result<RunInfo> load_active_run(kernel::Reader& reader, const ProjectId& project,
                                std::string_view id);
// Fills in metrics, params, tags, inputs and outputs of all `runs` by a few statements.
Status load_run_data(kernel::Reader& reader, std::vector<Run>& runs);

inline constexpr std::string_view kExperimentColumns =
    "e.id, e.name, e.artifact_location, e.deleted, e.created_ms, e.updated_ms";
Experiment experiment_of(const kernel::Row& row);
Result<Experiment> load_experiment(kernel::Reader& reader, const ProjectId& project,
                                   std::string_view id);
Status load_experiment_tags(kernel::Reader& reader, const ProjectId& project,
                            Experiment& experiment);

inline constexpr std::string_view kLoggedModelColumns =
    "e.id, e.experiment_id, e.name, e.model_type, e.status, e.source_run_id, e.artifact_uri, "
    "e.owner, e.created_ms, "
    "e.updated_ms";
LoggedModel logged_model_of(const kernel::Row& row);
Result<LoggedModel> load_logged_model(kernel::Reader& reader, const ProjectId& project,
                                      std::string_view id);
Status load_logged_model_data(kernel::Reader& reader, std::vector<LoggedModel>& models);

}  // namespace strata::platform::tracking
