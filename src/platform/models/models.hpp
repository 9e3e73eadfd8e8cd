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
#include "platform/models/model_types.hpp"
#include "platform/models/protection.hpp"
#include "platform/tracking/tracking.hpp"

namespace strata::platform::models {

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
// "model:NAME"; data alias, from, to, digest, approved_by) in the same commit. Errors of all
// methods: kNotFound; kInvalidArgument naming the field. Never blocks. Spec: MLflow Model Registry
// REST API 2.0.
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
  // Made when the version is registered; for versions older than that, when it is first asked for.
  // Errors: kConflict when the version has no files on this server.
  Task<Result<Manifest>> manifest(const kernel::Caller& caller, std::string name,
                                  std::int64_t number);

  // A version from a package of another server. begin_import() gives a place of its own, which
  // takes files until finish_import() makes a version of exactly those that were claimed, and the
  // model if there is none; what is not finished within a day is taken away by a later import.
  // Errors: kResourceExhausted for more than kMaxOpenImports.
  Task<Result<std::int64_t>> begin_import(const kernel::Caller& caller, std::string name);
  // Errors: kNotFound when that import is not open.
  Task<Result<tracking::ArtifactInfo>> put_import(const kernel::Caller& caller, std::string name,
                                                  std::int64_t import, std::string path,
                                                  ByteSource& body);
  // Errors: kChecksumMismatch naming the file that is missing, too many or another one.
  Task<Result<Version>> finish_import(const kernel::Caller& caller, std::string name,
                                      std::int64_t import, ImportClaim claim);
  Task<Status> abort_import(const kernel::Caller& caller, std::string name, std::int64_t import);

  // A protected alias does not move by these two: a request is kept, and the answer is kConflict
  // with its id. The same asked again is the same request. `override_reason` is kept with a move to
  // a version whose questions are bad, which kConflict refuses without one.
  Task<Status> set_alias(const kernel::Caller& caller, std::string name, std::string alias,
                         std::int64_t number, std::string override_reason = "");
  Task<Status> delete_alias(const kernel::Caller& caller, std::string name, std::string alias);
  Task<Result<Version>> version_by_alias(const kernel::Caller& caller, std::string name,
                                         std::string alias);
  // Newest first.
  Task<Result<std::vector<AliasMove>>> alias_history(const kernel::Caller& caller,
                                                     std::string name);

  // Lets an alias, also one that is not there yet, move only when a second person approves: never
  // who asked, whatever token is used; an approver by then, or an administrator. A change of a
  // protection, and its end, are requests of their own. A request is for exactly what it names: it
  // is outdated once the alias moved, and expires after kRequestLifetime. A model with a protected
  // alias is not renamed or deleted, nor the version that such an alias names.
  Task<Result<Protection>> protect_alias(const kernel::Caller& caller, std::string name,
                                         std::string alias, ProtectionDraft draft);
  Task<Status> unprotect_alias(const kernel::Caller& caller, std::string name, std::string alias);
  Task<Result<std::vector<Protection>>> protections(const kernel::Caller& caller, std::string name);
  // Newest first.
  Task<Result<std::vector<AliasRequest>>> alias_requests(const kernel::Caller& caller,
                                                         RequestFilter filter);
  // Does what was asked for. Errors: kPermissionDenied (no second person, no approver), kConflict
  // (decided, expired, outdated, or questions that are bad and were not overridden).
  Task<Result<AliasRequest>> approve(const kernel::Caller& caller, std::int64_t id,
                                     std::string reason);
  // For approvers, and for who asked, to take it back.
  Task<Result<AliasRequest>> refuse(const kernel::Caller& caller, std::int64_t id,
                                    std::string reason);
  // Asked before a version may be named by an alias that requires good questions. Set once, before
  // any call.
  void on_gate(PromotionGate gate) { gate_ = std::move(gate); }

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
  Task<Status> describe_package(const kernel::Caller& caller, std::string root, Package& package);
  Result<Version> write_version(kernel::Writer& writer, const kernel::Caller& caller,
                                const VersionDraft& draft, const Origin& origin,
                                const Package& package);
  Status require_import(kernel::Reader& reader, const ProjectId& project, std::string_view name,
                        std::int64_t import);
  Task<Status> drop_import(const kernel::Caller& caller, std::int64_t import);
  Task<Status> sweep_imports(const kernel::Caller& caller);
  Status hold_files(kernel::Writer& writer, const kernel::Caller& caller, const Version& version);
  Status report_version(kernel::Writer& writer, const kernel::Caller& caller,
                        const Version& version);
  Status move_alias(kernel::Writer& writer, const kernel::Caller& caller, std::string_view name,
                    std::string_view alias, std::optional<std::int64_t> to,
                    const AliasRequest* approved);
  Result<std::string> approver_of(const std::string& text) const;
  Result<AliasRequest> add_request(kernel::Writer& writer, const kernel::Caller& caller,
                                   AliasRequest request);
  Status announce(kernel::Writer& writer, const kernel::Caller& caller, std::string_view action,
                  std::string_view event, const AliasRequest& request);
  Result<AliasRequest> load_request(kernel::Reader& reader, const kernel::Caller& caller,
                                    std::int64_t id);
  Status may_approve(const kernel::Caller& caller, const AliasRequest& request,
                     const Protection& protection) const;
  Result<std::string> outdated(kernel::Reader& reader, const kernel::Caller& caller,
                               const AliasRequest& request) const;
  Status apply(kernel::Writer& writer, const kernel::Caller& caller, const AliasRequest& request);
  Status close(kernel::Writer& writer, const AliasRequest& request);
  Task<Result<AliasRequest>> decide(const kernel::Caller& caller, std::int64_t id, bool approve,
                                    std::string reason, Json objections);
  Task<Result<Json>> objections(const kernel::Caller& caller, const std::string& name,
                                const std::string& alias, std::int64_t version);
  Status drop_version(kernel::Writer& writer, const kernel::Caller& caller, const Version& version);

  kernel::Records& records_;
  const kernel::Identity& identity_;
  kernel::Audit& audit_;
  kernel::EventBus& events_;
  kernel::Lineage& lineage_;
  tracking::Tracking& tracking_;
  const Clock& clock_;
  PromotionGate gate_;
};

}  // namespace strata::platform::models
