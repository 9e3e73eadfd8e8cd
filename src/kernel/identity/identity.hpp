#pragma once

// Users, teams, projects and tokens, and who a caller is: asked in memory, changed in the records.
// What is promised, what it costs and what fails stands at class Identity.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "kernel/identity/permission.hpp"
#include "kernel/records/records.hpp"
#include "runtime/random.hpp"
#include "runtime/task.hpp"

namespace strata::kernel {

// Who calls, as proved by credentials: made by Identity only and handed down to every service.
struct Caller {
  UserId user;
  std::string user_name;
  std::string team;   // the team that owns what this caller makes
  ProjectId project;  // the tenant all names are looked up in
  TokenId token;      // of a running task: the name of its attempt
  Permissions permissions;
  std::string task{};  // "<flow run>/<step>" when a running task calls, else empty
  // What its credentials are narrowed to, whatever its user's role: `permissions` lie within, and
  // so does all that is done for it later.
  Permissions scope = Permissions().set();
  // What `permissions` were made of beside the scope, to tell which of the two lacks one.
  Role role = Role::kViewer;  // in the project
  Permissions of_role{};
  bool may(Permission p) const { return permissions.test(static_cast<std::size_t>(p)); }
};

// That `caller` lacks `p`, and why: its role in the project, or else the scope of its token.
Error lacks_permission(const Caller& caller, Permission p);

struct User {
  UserId id;
  std::string name;
  std::string team;
  Role role = Role::kMember;
  bool disabled = false;
  Instant created;
};

// People who share what a role in a project gives to the team.
struct Team {
  std::string name;
  Instant created;
  std::set<std::string> members;  // names of users
};

// A role in a project, given to a user or to everyone in a team.
struct Member {
  enum class Kind : std::uint8_t { kUser, kTeam };
  Kind kind = Kind::kUser;
  std::string name;
  Role role = Role::kMember;
};

// A tenant: all names (buckets, experiments, models, endpoints, pipelines, tables, lineage) live in
// one, and nobody sees those of a project in which it has no role. Its name is its id.
struct Project {
  std::string name;
  Instant created;
  std::vector<Member> members;
};

struct TokenInfo {
  TokenId id;
  std::string user_name;
  std::string access_key_id;
  std::string scope;
  std::string project;  // where its calls go that name no other
  Instant created;
  std::optional<Instant> expires;
  std::optional<Instant> revoked;
};

// A fresh token; the secrets leave the server in this answer only.
struct IssuedToken {
  TokenInfo info;
  std::string token;
  std::string secret_access_key;
};

struct TokenRequest {
  std::string user_name;
  std::string scope = "all";
  std::string project{};  // empty for the caller's
  std::optional<std::chrono::milliseconds> lifetime;
};

// Users, teams, projects and tokens; decides who a caller is and what it may do.
//
// Promises: a token is stored only as its SHA-256; the S3 secret key is derived from the master key
// in the data directory and stored nowhere; a revoked or expired token, or one of a disabled user,
// is refused from the moment the change is acknowledged. Cost: authenticate() is a look-up in
// memory and never blocks. Threads: all methods from any loop.
class Identity {
 public:
  // Writes the audit entry of a change into its transaction. A function, since the audit room
  // stands above this one.
  using AuditHook = std::function<Status(Writer&, const Caller&, std::string_view action,
                                         std::string_view target, const Json& detail)>;

  Identity(Records& records, const Clock& clock, Random& random, std::string master_key,
           AuditHook audit);

  static std::span<const Migration> migrations();
  // Loads everyone from the records; creates the project "default" and the user "admin" at the
  // first start. Blocks.
  Status load();

  // The caller in `project`, or without one in the token's own. Errors: kUnauthenticated (unknown),
  // kExpired, kPermissionDenied (disabled user, no role in that project).
  Result<Caller> authenticate(std::string_view token, std::string_view project = {}) const;
  // What authenticate() would make of an earlier caller's credentials now: asked again by whatever
  // goes on answering for as long as its caller stays. Costs as authenticate(). Errors: the same.
  Result<Caller> renewed(const Caller& earlier) const;
  struct AccessKey {
    std::string secret;
    Caller caller;
  };
  // For request signatures: the caller and signing secret behind an access key id. Errors as
  // authenticate().
  Result<AccessKey> access_key(std::string_view access_key_id) const;

  Task<Result<User>> create_user(const Caller& by, std::string name, std::string team, Role role);
  Task<Result<User>> set_user_disabled(const Caller& by, std::string name, bool disabled);
  // Those with a role in the caller's project; all of them for an admin.
  std::vector<User> users_seen_by(const Caller& caller) const;
  Result<User> user(std::string_view name) const;

  // Errors: kAlreadyExists, kPermissionDenied (not an admin), kInvalidArgument.
  Task<Result<Project>> create_project(const Caller& by, std::string name);
  std::vector<Project> projects() const;
  // Where the caller has a role, and which.
  std::vector<std::pair<Project, Role>> projects_of(const Caller& caller) const;
  Result<Project> find_project(std::string_view name) const;
  // Gives or takes a role; for admins of the server and of that project. Errors: kNotFound.
  Task<Result<Project>> set_member(const Caller& by, std::string project, Member member);
  Task<Result<Project>> remove_member(const Caller& by, std::string project, Member::Kind kind,
                                      std::string name);
  Task<Result<Team>> create_team(const Caller& by, std::string name);
  // The caller's; all of them for an admin.
  std::vector<Team> teams_of(const Caller& caller) const;
  Result<Team> find_team(std::string_view name) const;
  Task<Result<Team>> set_in_team(const Caller& by, std::string team, std::string user_name,
                                 bool in);

  Task<Result<IssuedToken>> create_token(const Caller& by, const TokenRequest& request);
  // Takes along all that the token made, and what those made, in one transaction.
  Task<Status> revoke_token(const Caller& by, TokenId id);
  // Called with each token that was revoked, before its revoker is answered: who keeps one of the
  // server's own can replace it then. Set once, before the first call of revoke_token().
  using RevokedHook = std::function<Task<Status>(TokenInfo revoked)>;
  void on_revoked(RevokedHook hook) { revoked_ = std::move(hook); }
  std::vector<TokenInfo> tokens() const;

  // Credentials for one attempt of a task. They are derived from the master key and the attempt's
  // name, live in memory only, and hold from here until dismiss_task(); after a restart admitting
  // the attempt again gives the same ones. They may do what the user may at that time, within
  // `scope`, but for administration, the audit log and making tokens. Errors: as act_as().
  struct TaskAttempt {
    std::string name;  // unique for ever
    std::string task;  // becomes Caller.task
    std::string user_name;
    ProjectId project;
    Permissions scope;  // of who started the run
  };
  Result<IssuedToken> admit_task(const TaskAttempt& attempt);
  void dismiss_task(const std::string& name);

  // Changes with every change of users, teams, projects and tokens.
  std::uint64_t generation() const { return generation_.load(); }

  // The caller that acts for the server itself: background work and start-up.
  Caller system_caller() const;
  // A caller that acts as `user_name` with all its rights in a project, for work that a user
  // scheduled. Errors: kNotFound, kPermissionDenied.
  Result<Caller> act_as(std::string_view user_name, const ProjectId& project) const;

  // Those that `by` may revoke: all for an admin, else its user's; a token of narrow scope sees
  // itself only.
  std::vector<TokenInfo> tokens_seen_by(const Caller& by) const;

 private:
  struct Token;
  struct State;
  Result<Caller> caller_of(const TaskAttempt& attempt) const;
  std::string task_secret(std::string_view purpose, std::string_view name) const;
  // Of an attempt: its token, and what tasks_ has it under.
  std::string task_token(std::string_view name) const;
  std::string task_hash(std::string_view name) const;
  Result<Caller> caller_of(const State& state, const Token& token, std::string_view project) const;
  Result<Caller> caller_in(const State& state, const User& user, const ProjectId& project) const;
  Status check_token_request(const Caller& by, const User& owner, const TokenRequest& request,
                             const Permissions& scopes, const ProjectId& project) const;
  bool has_whole_rights(const Caller& by) const;
  std::optional<Instant> end_of_token(const Caller& by) const;
  Status may_administer(const Caller& by, std::string_view project) const;
  Task<Status> change(const Caller& by, std::string_view action, std::string target,
                      const std::function<Result<std::int64_t>(Writer&)>& statement);
  static Status load_tenants(Reader& reader, State& state);
  std::string secret_of(std::string_view access_key_id) const;
  Status reload(Reader& reader);

  Records& records_;
  const Clock& clock_;
  Random& random_;
  std::string master_key_;
  AuditHook audit_;
  RevokedHook revoked_;
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const State> state_;
  std::atomic<std::uint64_t> generation_{0};
  std::map<std::string, TaskAttempt, std::less<>>
      tasks_;  // by the token's hash and by access key id
};

}  // namespace strata::kernel
