#pragma once

// The model store: registered models, their immutable versions and moving aliases. The contract
// stands at class Models.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "kernel/audit/audit.hpp"
#include "kernel/events/events.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/lineage/lineage.hpp"
#include "kernel/records/records.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::platform::models {

using tracking::KeyValue;
using tracking::Page;

struct Alias {
  std::string name;
  std::int64_t version = 0;
};

struct ModelFile {
  std::string path;  // within the model's directory
  std::uint64_t size = 0;
  std::string sha256;  // 64 hexadecimal digits
};

// An immutable version of a registered model.
struct Version {
  std::string name;
  std::int64_t version = 0;
  std::string description;
  std::string source;        // as the client gave it
  std::string download_uri;  // where its files lie
  std::string run_id;
  std::string run_link;
  std::string model_id;  // the logged model that it is, if any
  std::string owner;
  std::string team;
  std::string stage = "None";
  std::string status = "READY";
  std::string status_message;
  std::string digest;  // "sha256:..." of what the model is; see room README
  std::string
      package_digest;  // "sha256:..." of all bytes; both empty when no files of ours belong to it
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
  std::vector<std::string> aliases;
};

struct Model {
  std::string name;
  std::string description;
  std::string owner;
  std::string team;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;
  std::vector<Alias> aliases;
  std::vector<Version> latest;  // the newest version of each stage
};

// One change of an alias; versions are absent where it did not exist before or was removed.
struct AliasMove {
  std::string alias;
  std::optional<std::int64_t> from;
  std::optional<std::int64_t> to;
  std::string digest;
  std::string actor;
  Instant time;
};

struct VersionDraft {
  std::string name;
  std::string source;
  std::string run_id;
  std::string run_link;
  std::string model_id;
  std::string description;
  std::vector<KeyValue> tags;
};

struct ModelSearch {
  std::string filter;
  std::vector<std::string> order_by;
  std::int64_t max_results = 100;
  std::string page_token;
};

// What a models:/ address stands for just now, with everything needed to load it.
struct Resolved {
  std::string name;          // registered name, or the logged model's id
  std::int64_t version = 0;  // 0 for a logged model that is not registered
  std::string digest;
  std::string package_digest;
  std::string run_id;
  std::string model_id;
  std::string owner;
  std::string root;              // path of the directory in the artifact store
  std::vector<ModelFile> files;  // by path
  std::string moved_by;          // who let the alias name it; empty without an alias
};

inline constexpr std::int64_t kMaxModelsPerPage = 1000;
inline constexpr std::int64_t kMaxVersionsPerPage = 200'000;
inline constexpr std::size_t kMaxModelFiles = 10'000;

struct Origin;  // private to the room
struct Package;

// The digest of a package: SHA-256 over one line "<sha256 hex>  <path>\n" per file, sorted by the
// bytes of the path.
std::string package_digest(const std::vector<ModelFile>& files);

// The model store: registered models of a project, their immutable versions, and the aliases that
// move between them.
//
// Promises: a version's number is never given again, also not after its model was deleted; its
// files are listed with their SHA-256 when it is created, can no longer be changed through this
// server, and open() gives no other bytes than those; an alias names exactly one version at any
// time; every move is recorded with its actor, and published as event "alias.moved" (subject
// "model:NAME"; data alias, from, to, digest) in the same commit. Errors of all methods: kNotFound;
// kInvalidArgument naming the field. Never blocks. Spec: MLflow Model Registry REST API 2.0.
class Models {
 public:
  Models(kernel::Records& records, const kernel::Identity& identity, kernel::Audit& audit,
         kernel::EventBus& events, kernel::Lineage& lineage, tracking::Tracking& tracking,
         const Clock& clock);
  static std::span<const kernel::Migration> migrations();

  Task<Result<Model>> create_model(const kernel::Caller& caller, std::string name,
                                   std::string description, std::vector<KeyValue> tags);
  Task<Result<Model>> model(const kernel::Caller& caller, std::string name);
  Task<Result<Model>> describe_model(const kernel::Caller& caller, std::string name,
                                     std::string description);
  // Makes another person, of that team, responsible; an empty team is the user's own. Errors:
  // kInvalidArgument for a team that the user is not in, or a user who is disabled.
  Task<Result<Model>> set_owner(const kernel::Caller& caller, std::string name, std::string user,
                                std::string team);
  // Errors: kAlreadyExists, also when the new name was used before and its version numbers would
  // come twice.
  Task<Result<Model>> rename_model(const kernel::Caller& caller, std::string name,
                                   std::string new_name);
  Task<Status> delete_model(const kernel::Caller& caller, std::string name);
  Task<Status> set_model_tag(const kernel::Caller& caller, std::string name, KeyValue tag);
  Task<Status> delete_model_tag(const kernel::Caller& caller, std::string name, std::string key);
  // All models of all projects, for work of the server's own.
  Task<Result<std::vector<std::pair<ProjectId, std::string>>>> everywhere();
  Task<Result<Page<Model>>> search_models(const kernel::Caller& caller, ModelSearch search);

  Task<Result<Version>> create_version(const kernel::Caller& caller, VersionDraft draft);
  Task<Result<Version>> version(const kernel::Caller& caller, std::string name,
                                std::int64_t number);
  Task<Result<Version>> describe_version(const kernel::Caller& caller, std::string name,
                                         std::int64_t number, std::string description);
  Task<Result<Version>> transition_stage(const kernel::Caller& caller, std::string name,
                                         std::int64_t number, std::string stage,
                                         bool archive_existing);
  // Takes its aliases along.
  Task<Status> delete_version(const kernel::Caller& caller, std::string name, std::int64_t number);
  Task<Status> set_version_tag(const kernel::Caller& caller, std::string name, std::int64_t number,
                               KeyValue tag);
  Task<Status> delete_version_tag(const kernel::Caller& caller, std::string name,
                                  std::int64_t number, std::string key);
  Task<Result<Page<Version>>> search_versions(const kernel::Caller& caller, ModelSearch search);
  Task<Result<std::vector<Version>>> latest_versions(const kernel::Caller& caller, std::string name,
                                                     std::vector<std::string> stages);
  Task<Result<std::vector<ModelFile>>> version_files(const kernel::Caller& caller, std::string name,
                                                     std::int64_t number);

  Task<Status> set_alias(const kernel::Caller& caller, std::string name, std::string alias,
                         std::int64_t number);
  Task<Status> delete_alias(const kernel::Caller& caller, std::string name, std::string alias);
  Task<Result<Version>> version_by_alias(const kernel::Caller& caller, std::string name,
                                         std::string alias);
  // Newest first.
  Task<Result<std::vector<AliasMove>>> alias_history(const kernel::Caller& caller,
                                                     std::string name);

  // "models:/NAME@alias", "models:/NAME/3", "models:/NAME/latest" or "models:/m-...". Errors:
  // kConflict when the version has no files on this server.
  Task<Result<Resolved>> resolve(const kernel::Caller& caller, std::string uri);
  // One file of a resolved model. The bytes are verified as they are read: the source ends in
  // kDataLoss when they are not those that were registered.
  Task<Result<tracking::Artifact>> open(const kernel::Caller& caller, const Resolved& model,
                                        const ModelFile& file);

 private:
  std::int64_t now_ms() const { return clock_.now().millis(); }
  Task<Result<Origin>> find_origin(const kernel::Caller& caller, const VersionDraft& draft);
  Task<Result<Package>> read_package(const kernel::Caller& caller, std::string root);
  Result<Version> write_version(kernel::Writer& writer, const kernel::Caller& caller,
                                const VersionDraft& draft, const Origin& origin,
                                const Package& package);
  Status hold_files(kernel::Writer& writer, const kernel::Caller& caller, const Version& version);
  Status report_version(kernel::Writer& writer, const kernel::Caller& caller,
                        const Version& version);
  Status move_alias(kernel::Writer& writer, const kernel::Caller& caller, std::string_view name,
                    std::string_view alias, std::optional<std::int64_t> to);
  Status drop_version(kernel::Writer& writer, const kernel::Caller& caller, const Version& version);

  kernel::Records& records_;
  const kernel::Identity& identity_;
  kernel::Audit& audit_;
  kernel::EventBus& events_;
  kernel::Lineage& lineage_;
  tracking::Tracking& tracking_;
  const Clock& clock_;
};

}  // namespace strata::platform::models
