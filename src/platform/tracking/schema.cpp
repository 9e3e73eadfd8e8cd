#include "platform/tracking/tracking.hpp"

namespace strata::platform::tracking {

std::span<const kernel::Migration> Tracking::migrations() {
  // A NULL in a value column of metrics is NaN. Counters of a project's experiments never go back,
  // so no id is given twice.
  static constexpr std::array<kernel::Migration, 1> kMigrations = {{{"tracking", 1, R"sql(
CREATE TABLE experiments (project TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL,
  artifact_location TEXT NOT NULL, deleted INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (project, id));
CREATE UNIQUE INDEX experiments_by_name ON experiments (project, name);
CREATE TABLE experiment_tags (project TEXT NOT NULL, experiment_id INTEGER NOT NULL, key TEXT NOT
  NULL, value TEXT NOT NULL, PRIMARY KEY (project, experiment_id, key));
CREATE TABLE runs (id TEXT PRIMARY KEY, project TEXT NOT NULL, experiment_id INTEGER NOT NULL,
  name TEXT NOT NULL, user_id TEXT NOT NULL, owner TEXT NOT NULL, status TEXT NOT NULL, start_ms
  INTEGER NOT NULL, end_ms INTEGER, artifact_uri TEXT NOT NULL, deleted INTEGER NOT NULL);
CREATE INDEX runs_by_start ON runs (project, experiment_id, deleted, start_ms DESC, id);
CREATE TABLE params (run_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY
  (run_id, key));
CREATE TABLE run_tags (run_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY
  (run_id, key));
CREATE TABLE latest_metrics (run_id TEXT NOT NULL, key TEXT NOT NULL, value REAL, timestamp_ms
  INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (run_id, key));
CREATE TABLE metric_heads (run_id TEXT PRIMARY KEY, next_number INTEGER NOT NULL, loose_batches
  INTEGER NOT NULL, loose_points INTEGER NOT NULL);
CREATE TABLE metric_log (run_id TEXT NOT NULL, number INTEGER NOT NULL, block BLOB NOT NULL,
  PRIMARY KEY (run_id, number));
CREATE TABLE metric_blocks (run_id TEXT NOT NULL, key TEXT NOT NULL, level INTEGER NOT NULL,
  number INTEGER NOT NULL, points INTEGER NOT NULL, first_step INTEGER NOT NULL, last_step INTEGER
  NOT NULL, block BLOB NOT NULL, PRIMARY KEY (run_id, key, level, number));
CREATE TABLE datasets (id TEXT PRIMARY KEY, project TEXT NOT NULL, experiment_id INTEGER NOT NULL,
  name TEXT NOT NULL, digest TEXT NOT NULL, source_type TEXT NOT NULL, source TEXT NOT NULL,
  schema TEXT NOT NULL, profile TEXT NOT NULL);
CREATE UNIQUE INDEX datasets_by_name ON datasets (project, experiment_id, name, digest);
CREATE TABLE run_datasets (run_id TEXT NOT NULL, dataset_id TEXT NOT NULL, context TEXT, tags TEXT
  NOT NULL, PRIMARY KEY (run_id, dataset_id));
CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset_id);
CREATE TABLE run_models (run_id TEXT NOT NULL, direction TEXT NOT NULL, model_id TEXT NOT NULL,
  step INTEGER NOT NULL, PRIMARY KEY (run_id, direction, model_id, step));
CREATE TABLE logged_models (id TEXT PRIMARY KEY, project TEXT NOT NULL, experiment_id INTEGER NOT
  NULL, name TEXT NOT NULL, model_type TEXT NOT NULL, status TEXT NOT NULL, source_run_id TEXT NOT
  NULL, artifact_uri TEXT NOT NULL, owner TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms
  INTEGER NOT NULL, deleted INTEGER NOT NULL);
CREATE INDEX logged_models_by_time ON logged_models (project, experiment_id, deleted, created_ms
  DESC, id);
CREATE TABLE logged_model_tags (model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (model_id, key));
CREATE TABLE logged_model_params (model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (model_id, key));
CREATE TABLE logged_model_metrics (model_id TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT
  NULL, dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL, value REAL, timestamp_ms INTEGER
  NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (model_id, key, run_id, dataset_name,
  dataset_digest));
CREATE TABLE frozen_artifacts (project TEXT NOT NULL, path TEXT NOT NULL, holder TEXT NOT NULL,
  PRIMARY KEY (project, path, holder));
CREATE INDEX frozen_artifacts_by_holder ON frozen_artifacts (project, holder);
)sql"}}};
  return kMigrations;
}

}  // namespace strata::platform::tracking
