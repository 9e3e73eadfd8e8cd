#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
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
  TokenId token;
  Permissions permissions;
  std::string task{};  // "<flow run>/<step>" when a running task calls, else empty
  bool may(Permission p) const { return permissions.test(static_cast<std::size_t>(p)); }
};

struct User {
  UserId id;
  std::string name;
  std::string team;
  Role role = Role::kMember;
  bool disabled = false;
  Instant created;
};

struct TokenInfo {
  TokenId id;
  std::string user_name;
  std::string access_key_id;
  std::string scope;
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
                                         std::string_view target)>;

  Identity(Records& records, const Clock& clock, Random& random, std::string master_key,
           AuditHook audit);

  static std::span<const Migration> migrations();
  // Loads everyone from the records; creates the project "default" and the user "admin" at the
  // first start. Blocks.
  Status load();

  // Errors: kUnauthenticated (unknown), kExpired, kPermissionDenied (disabled user).
  Result<Caller> authenticate(std::string_view token) const;
  struct AccessKey {
    std::string secret;
    Caller caller;
  };
  // For request signatures: the caller and signing secret behind an access key id. Errors as
  // authenticate().
  Result<AccessKey> access_key(std::string_view access_key_id) const;

  Task<Result<User>> create_user(const Caller& by, std::string name, std::string team, Role role);
  Task<Result<User>> set_user_disabled(const Caller& by, std::string name, bool disabled);
  std::vector<User> users() const;
  Result<User> user(std::string_view name) const;

  Task<Result<IssuedToken>> create_token(const Caller& by, const TokenRequest& request);
  Task<Status> revoke_token(const Caller& by, TokenId id);
  std::vector<TokenInfo> tokens() const;

  // Credentials for one attempt of a task. They are derived from the master key and the attempt's
  // name, live in memory only, and hold from here until dismiss_task(); after a restart admitting
  // the attempt again gives the same ones. They may do what the user may, but for administration,
  // the audit log and making tokens. Errors: as act_as().
  struct TaskAttempt {
    std::string name;  // unique for ever
    std::string task;  // becomes Caller.task
    std::string user_name;
    ProjectId project;
  };
  Result<IssuedToken> admit_task(const TaskAttempt& attempt);
  void dismiss_task(const std::string& name);

  // The caller that acts for the server itself: background work and start-up.
  Caller system_caller() const;
  // A caller that acts as `user_name` with all its rights, for work that a user scheduled. Errors:
  // kNotFound, kPermissionDenied.
  Result<Caller> act_as(std::string_view user_name) const;

 private:
  struct Token;
  struct State;
  Result<Caller> caller_of(const TaskAttempt& attempt) const;
  std::string task_secret(std::string_view purpose, std::string_view name) const;
  Result<Caller> caller_of(const State& state, const Token& token) const;
  std::string secret_of(std::string_view access_key_id) const;
  Status reload(Reader& reader);

  Records& records_;
  const Clock& clock_;
  Random& random_;
  std::string master_key_;
  AuditHook audit_;
  mutable std::shared_mutex mutex_;
  std::shared_ptr<const State> state_;
  std::map<std::string, TaskAttempt, std::less<>>
      tasks_;  // by the token's hash and by access key id
};

}  // namespace strata::kernel
