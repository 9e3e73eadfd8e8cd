#pragma once

// Tracking: experiments, runs and what they log, and the models that they make. The contract stands
// at class Tracking; what it gives and takes is in entities.hpp.

#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/tracking/artifacts.hpp"
#include "platform/tracking/entities.hpp"
#include "runtime/clock.hpp"
#include "runtime/random.hpp"
#include "runtime/task.hpp"

namespace strata::platform::tracking {

inline constexpr std::int64_t kMaxMetricsPerBatch = 1000;
inline constexpr std::int64_t kMaxParamsPerBatch = 100;
inline constexpr std::int64_t kMaxTagsPerBatch = 100;
inline constexpr std::int64_t kMaxSearchResults = 50'000;
inline constexpr std::size_t kMaxRunsPerHistory = 100;

// Experiments, runs, what they logged, and the models that they made; all names and ids belong to
// the caller's project.
//
// Promises: a batch is one commit, so all of it is there or nothing, and it costs O(batch) whatever
// the run already holds; a param is written once (the same value again is no error); a point logged
// twice counts once; values keep all bits, NaN and infinities too; ids and numbers of deleted
// things are never given again. Whatever a run used or made stands in the lineage graph from the
// same commit on. Errors of all methods: kNotFound for an unknown experiment, run or model;
// kInvalidArgument naming the field, also for a change to something deleted. Never blocks; each
// change is one group-committed write. Spec: MLflow REST API 2.0 and 3.0 as spoken by its
// client 3.17.
class Tracking {
 public:
  Tracking(kernel::Records& records, kernel::Audit& audit, kernel::EventBus& events,
           kernel::Lineage& lineage, ArtifactStore& artifacts, const Clock& clock, Random& random);
  static std::span<const kernel::Migration> migrations();

  // Experiments. A deleted experiment keeps its name; deleting and restoring take the runs along.
  Task<Result<std::string>> create_experiment(const kernel::Caller& caller, std::string name,
                                              std::string artifact_location,
                                              std::vector<KeyValue> tags);
  Task<Result<Experiment>> experiment(const kernel::Caller& caller, std::string id);
  Task<Result<Experiment>> experiment_by_name(const kernel::Caller& caller, std::string name);
  Task<Result<Page<Experiment>>> search_experiments(const kernel::Caller& caller,
                                                    SearchRequest request);
  Task<Status> delete_experiment(const kernel::Caller& caller, std::string id);
  Task<Status> restore_experiment(const kernel::Caller& caller, std::string id);
  Task<Status> rename_experiment(const kernel::Caller& caller, std::string id, std::string name);
  Task<Status> set_experiment_tag(const kernel::Caller& caller, std::string id, KeyValue tag);
  Task<Status> delete_experiment_tag(const kernel::Caller& caller, std::string id, std::string key);

  // Runs.
  Task<Result<Run>> create_run(const kernel::Caller& caller, RunDraft draft);
  Task<Result<Run>> run(const kernel::Caller& caller, std::string id);
  Task<Result<RunInfo>> update_run(const kernel::Caller& caller, std::string id, RunUpdate update);
  Task<Status> delete_run(const kernel::Caller& caller, std::string id);
  Task<Status> restore_run(const kernel::Caller& caller, std::string id);
  // Newest first unless ordered otherwise. A page costs O(page) in the default order, however deep
  // it lies.
  Task<Result<Page<Run>>> search_runs(const kernel::Caller& caller, SearchRequest request);
  Task<Status> log_batch(const kernel::Caller& caller, std::string run_id, Batch batch);
  Task<Status> delete_tag(const kernel::Caller& caller, std::string run_id, std::string key);
  Task<Status> log_inputs(const kernel::Caller& caller, std::string run_id,
                          std::vector<DatasetInput> datasets, std::vector<std::string> model_ids);
  Task<Status> log_outputs(const kernel::Caller& caller, std::string run_id,
                           std::vector<ModelOutput> models);
  // Adds a model's description to the tag "mlflow.log-model.history", as clients before MLflow 3
  // do.
  Task<Status> log_model_history(const kernel::Caller& caller, std::string run_id,
                                 std::string model_json);
  Task<Result<std::vector<DatasetSummary>>> search_datasets(
      const kernel::Caller& caller, std::vector<std::string> experiment_ids);

  // All points of one key by time, step and value; in pages when `max_results` is given.
  Task<Result<Page<Metric>>> metric_history(const kernel::Caller& caller, std::string run_id,
                                            std::string key,
                                            std::optional<std::int64_t> max_results,
                                            std::string page_token);
  struct StepRange {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  // At most `max_points` of each run, evenly taken over its steps, with the first and the last one.
  Task<Result<std::vector<Metric>>> sample_history(const kernel::Caller& caller,
                                                   std::vector<std::string> run_ids,
                                                   std::string key, std::optional<StepRange> range,
                                                   std::int64_t max_points);

  // Logged models: a directory of artifacts made by a run. READY or FAILED once finalized.
  Task<Result<LoggedModel>> create_logged_model(const kernel::Caller& caller,
                                                LoggedModelDraft draft);
  Task<Result<LoggedModel>> logged_model(const kernel::Caller& caller, std::string id);
  Task<Result<LoggedModel>> finalize_logged_model(const kernel::Caller& caller, std::string id,
                                                  std::string status);
  Task<Status> delete_logged_model(const kernel::Caller& caller, std::string id);
  Task<Result<LoggedModel>> set_logged_model_tags(const kernel::Caller& caller, std::string id,
                                                  std::vector<KeyValue> tags);
  Task<Status> delete_logged_model_tag(const kernel::Caller& caller, std::string id,
                                       std::string key);
  Task<Status> log_logged_model_params(const kernel::Caller& caller, std::string id,
                                       std::vector<KeyValue> params);
  Task<Result<Page<LoggedModel>>> search_logged_models(const kernel::Caller& caller,
                                                       LoggedModelSearch search);

  // Artifacts, by paths from the root of "mlflow-artifacts:/". Files of a registered model version
  // never change again: put and remove then say kConflict.
  Task<Result<ArtifactInfo>> put_artifact(const kernel::Caller& caller, std::string path,
                                          ByteSource& body);
  Task<Result<Artifact>> open_artifact(const kernel::Caller& caller, std::string path);
  Task<Result<std::vector<ArtifactInfo>>> list_artifacts(const kernel::Caller& caller,
                                                         std::string path);
  Task<Status> remove_artifacts(const kernel::Caller& caller, std::string path);
  // The path below which the files of `artifact_uri` lie. Errors: kUnsupported when the location is
  // not ours.
  static Result<std::string> store_path(std::string_view artifact_uri);

  // For the model store, inside its own transactions.
  Result<RunInfo> find_run(kernel::Reader& reader, const ProjectId& project,
                           std::string_view id) const;
  Result<LoggedModel> find_logged_model(kernel::Reader& reader, const ProjectId& project,
                                        std::string_view id) const;
  // Forbids all changes below `path` as long as `holder` ("model:NAME@3") holds it.
  Status freeze(kernel::Writer& writer, const ProjectId& project, std::string_view path,
                std::string_view holder);
  Status release(kernel::Writer& writer, const ProjectId& project, std::string_view holder);
  // Errors: kConflict with field "path" when changing what lies at or below `path` is forbidden.
  static Status check_thawed(kernel::Reader& reader, const ProjectId& project,
                             std::string_view path);
  // Notes on the logged model that it was registered (tag "mlflow.modelVersions").
  Status note_registration(kernel::Writer& writer, std::string_view model_id, std::string_view name,
                           std::int64_t version);
  ArtifactStore& store() { return artifacts_; }

 private:
  std::int64_t now_ms() const { return clock_.now().millis(); }
  Task<Status> ensure_default_experiment(const kernel::Caller& caller);
  Task<Status> mark_experiment(const kernel::Caller& caller, std::string id, bool deleted);
  Task<Status> mark_run(const kernel::Caller& caller, std::string id, bool deleted);
  Status insert_run(kernel::Writer& writer, const kernel::Caller& caller, const Run& run);
  Status write_batch(kernel::Writer& writer, const kernel::Caller& caller, const RunInfo& run,
                     const Batch& batch);
  Status write_tags(kernel::Writer& writer, const kernel::Caller& caller, const RunInfo& run,
                    const std::vector<KeyValue>& tags);
  Status write_inputs(kernel::Writer& writer, const kernel::Caller& caller, const RunInfo& run,
                      const std::vector<DatasetInput>& inputs,
                      const std::vector<kernel::NodeRef>& sources);
  Status report_run(kernel::Writer& writer, const kernel::Caller& caller, const RunInfo& run,
                    const std::vector<KeyValue>& tags);

  kernel::Records& records_;
  kernel::Audit& audit_;
  kernel::EventBus& events_;
  kernel::Lineage& lineage_;
  ArtifactStore& artifacts_;
  const Clock& clock_;
  Random& random_;
  std::mutex mutex_;
  std::set<std::string> ready_projects_;  // whose default experiment is known to exist
};

}  // namespace strata::platform::tracking
