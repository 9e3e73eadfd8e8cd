#include "platform/models/models.hpp"

namespace strata::platform::models {

std::span<const kernel::Migration> Models::migrations() {
  // model_names outlives its model: it is what keeps version numbers from being given twice.
  // Its heir is the name that the model moved to; only that model may take the name again.
  static constexpr std::array<kernel::Migration, 5> kMigrations = {{{"models", 1, R"sql(
CREATE TABLE registered_models (project TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT
  NULL, owner TEXT NOT NULL, team TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER
  NOT NULL, PRIMARY KEY (project, name));
CREATE TABLE model_names (project TEXT NOT NULL, name TEXT NOT NULL, last_version INTEGER NOT
  NULL, PRIMARY KEY (project, name));
CREATE TABLE registered_model_tags (project TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (project, name, key));
CREATE TABLE model_versions (project TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
  description TEXT NOT NULL, source TEXT NOT NULL, download_uri TEXT NOT NULL, run_id TEXT NOT
  NULL, run_link TEXT NOT NULL, model_id TEXT NOT NULL, owner TEXT NOT NULL, team TEXT NOT NULL,
  stage TEXT NOT NULL, status TEXT NOT NULL, status_message TEXT NOT NULL, digest TEXT NOT NULL,
  package_digest TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, deleted
  INTEGER NOT NULL, PRIMARY KEY (project, name, version));
CREATE INDEX model_versions_by_run ON model_versions (project, run_id);
CREATE TABLE model_version_tags (project TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT
  NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (project, name, version, key));
CREATE TABLE model_aliases (project TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
  version INTEGER NOT NULL, PRIMARY KEY (project, name, alias));
CREATE TABLE alias_moves (project TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL,
  alias TEXT NOT NULL, from_version INTEGER, to_version INTEGER, digest TEXT NOT NULL, actor TEXT
  NOT NULL, time_us INTEGER NOT NULL, PRIMARY KEY (project, name, number));
CREATE TABLE model_manifests (project TEXT NOT NULL, package_digest TEXT NOT NULL, files TEXT NOT
  NULL, PRIMARY KEY (project, package_digest));
)sql"},
                                                                    {"models", 2, R"sql(
ALTER TABLE model_names ADD COLUMN heir TEXT NOT NULL DEFAULT '';
)sql"},
                                                                    {"models", 3, R"sql(
CREATE TABLE alias_protections (project TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
  approvers TEXT NOT NULL, questions INTEGER NOT NULL, actor TEXT NOT NULL, time_us INTEGER NOT
  NULL, PRIMARY KEY (project, name, alias));
CREATE TABLE alias_requests (id INTEGER PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL,
  alias TEXT NOT NULL, action TEXT NOT NULL, from_version INTEGER, to_version INTEGER, digest TEXT
  NOT NULL, requester TEXT NOT NULL, requester_id TEXT NOT NULL, time_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL, state TEXT NOT NULL, decided_by TEXT NOT NULL, decided_us INTEGER,
  reason TEXT NOT NULL, override TEXT NOT NULL, settings TEXT NOT NULL);
CREATE INDEX alias_requests_by_model ON alias_requests (project, name, state);
ALTER TABLE alias_moves ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';
ALTER TABLE alias_moves ADD COLUMN request INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alias_moves ADD COLUMN override TEXT NOT NULL DEFAULT '';
)sql"},
                                                                    {"model_packages", 1, R"sql(
CREATE TABLE model_packages (project TEXT NOT NULL, package_digest TEXT NOT NULL, manifest TEXT NOT
  NULL, PRIMARY KEY (project, package_digest));
)sql"},
                                                                    {"model_packages", 2, R"sql(
CREATE TABLE model_imports (project TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
  actor TEXT NOT NULL, created_ms INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (project,
  number));
)sql"}}};
  return kMigrations;
}

}  // namespace strata::platform::models
