#include "kernel/identity/identity.hpp"

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "kernel/identity/identity_state.hpp"

namespace strata::kernel {

namespace {

constexpr Migration kMigrations[] = {
    {"identity", 1,
     "CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT "
     "NULL);"
     "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, team TEXT NOT NULL, role "
     "TEXT NOT NULL,"
     " disabled INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL);"
     "CREATE TABLE tokens (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(id), "
     "project TEXT NOT NULL,"
     " hash TEXT NOT NULL UNIQUE, access_key_id TEXT NOT NULL UNIQUE, scope TEXT NOT NULL, created "
     "INTEGER NOT NULL,"
     " expires INTEGER, revoked INTEGER);"},
    {"identity", 2,
     "CREATE TABLE teams (name TEXT PRIMARY KEY, created INTEGER NOT NULL);"
     "CREATE TABLE team_members (team TEXT NOT NULL REFERENCES teams(name), user_id TEXT NOT NULL "
     "REFERENCES users(id), PRIMARY KEY (team, user_id));"
     "CREATE TABLE project_members (project TEXT NOT NULL REFERENCES projects(id), kind TEXT NOT "
     "NULL, name TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (project, kind, name));"
     "INSERT INTO teams (name, created) SELECT team, MIN(created) FROM users GROUP BY team;"
     "INSERT INTO team_members (team, user_id) SELECT team, id FROM users;"},
    // Tokens from before have no known parent.
    {"identity", 3,
     "ALTER TABLE tokens ADD COLUMN parent TEXT REFERENCES tokens(id);"
     "CREATE INDEX tokens_by_parent ON tokens (parent);"}};

constexpr std::string_view kAdmin = "admin";
constexpr std::string_view kAdminTeam = "platform";

// A team that nobody named before begins with its first member.
Status join_team(Writer& w, std::string_view team, const std::string& user, std::int64_t now) {
  const auto made = w.execute(
      "INSERT INTO teams (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING", {team, now});
  if (!made) return made.error();
  const auto joined =
      w.execute("INSERT INTO team_members (team, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                {team, user});
  if (!joined) return joined.error();
  return {};
}

// Access key ids are upper case by convention of the S3 clients' own checks.
std::string to_upper_key(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// What the audit log tells of a token.
Json audited(const TokenInfo& token) {
  return Json::object({{"user", token.user_name},
                       {"scope", token.scope},
                       {"project", token.project},
                       {"expires", token.expires ? Json(to_rfc3339(*token.expires)) : Json()}});
}

// A token that was revoked while it was making another leaves none behind.
Status check_parent(Writer& w, const std::string& parent) {
  const auto row = w.first("SELECT revoked FROM tokens WHERE id = ?", {parent});
  if (!row) return row.error();
  if (*row && !(*row)->is_null(0)) return Error(Code::kUnauthenticated, "the token was revoked");
  return {};
}

// Revokes a token and all that it made for its own user, and what those made. The ids of those
// that still held. Tokens that an administrator made for others are theirs: they outlive it.
Result<std::vector<TokenId>> revoke_tree(Writer& w, const TokenId& root, Instant now) {
  const auto rows = w.query(
      "WITH RECURSIVE tree(id) AS (SELECT id FROM tokens WHERE id = ? UNION SELECT tokens.id FROM "
      "tokens JOIN tree ON tokens.parent = tree.id WHERE tokens.user_id = (SELECT user_id FROM "
      "tokens "
      "WHERE id = ?)) SELECT tokens.id FROM tokens JOIN tree ON tokens.id = tree.id WHERE "
      "tokens.revoked IS NULL ORDER BY tokens.id",
      {root.str(), root.str()});
  if (!rows) return rows.error();
  std::vector<TokenId> revoked;
  for (const auto& row : *rows) {
    const auto done =
        w.execute("UPDATE tokens SET revoked = ? WHERE id = ?", {now.micros, row.text(0)});
    if (!done) return done.error();
    revoked.emplace_back(row.text(0));
  }
  return revoked;
}

// Code that runs by itself administers nothing, whoever started it.
constexpr std::array kKeptFromTasks = {Permission::kAdmin, Permission::kProjectAdmin,
                                       Permission::kAuditRead};

bool is_kept_from_tasks(Permission p) {
  return std::find(kKeptFromTasks.begin(), kKeptFromTasks.end(), p) != kKeptFromTasks.end();
}

}  // namespace

Error lacks_permission(const Caller& caller, Permission p) {
  const auto bit = static_cast<std::size_t>(p);
  if (!caller.of_role.test(bit)) {
    return Error(Code::kPermissionDenied,
                 fmt::format("the role {} of '{}' in the project '{}' does not include {}",
                             role_name(caller.role), caller.user_name, caller.project.str(),
                             permission_name(p)));
  }
  if (!caller.task.empty() && is_kept_from_tasks(p)) {
    return Error(Code::kPermissionDenied,
                 fmt::format("a step of a pipeline may not do what needs {}", permission_name(p)));
  }
  std::string scopes;
  for (std::size_t i = 0; i < caller.scope.size(); ++i) {
    const auto scope = static_cast<Permission>(i);
    if (scope == Permission::kPublic || scope == Permission::kSignedIn || !caller.scope.test(i))
      continue;
    scopes += fmt::format("{}{}", scopes.empty() ? "" : ", ", permission_name(scope));
  }
  return Error(Code::kPermissionDenied,
               fmt::format("{} ({}) does not include {}",
                           caller.task.empty() ? "this token's scope" : "the scope of this run",
                           scopes, permission_name(p)));
}

// Names stand in URLs, paths and logs: a small alphabet keeps them the same everywhere.
Status check_name(std::string_view field, std::string_view name) {
  const bool sized = !name.empty() && name.size() <= 64;
  const bool clean = name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") ==
                     std::string_view::npos;
  if (sized && clean && name.front() != '-' && name.front() != '.') return {};
  return invalid(
      std::string(field),
      fmt::format("'{}' is not a name: use 1 to 64 letters, digits, '.', '_', '@' or '-', "
                  "not starting with '.' or '-'",
                  printable(name)));
}

Identity::Identity(Records& records, const Clock& clock, Random& random, std::string master_key,
                   AuditHook audit)
    : records_(records),
      clock_(clock),
      random_(random),
      master_key_(std::move(master_key)),
      audit_(std::move(audit)),
      state_(std::make_shared<const State>()) {}

std::span<const Migration> Identity::migrations() {
  return kMigrations;
}

Status Identity::load() {
  const auto found = [&](Writer& w) -> Status {
    const std::int64_t now = clock_.now().micros;
    const std::string admin_id = random_.uuid7(clock_.now());
    const auto project = w.execute(
        "INSERT INTO projects (id, name, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        {kDefaultProject, kDefaultProject, now});
    if (!project) return project.error();
    const auto admin = w.execute(
        "INSERT INTO users (id, name, team, role, created) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        {admin_id, kAdmin, kAdminTeam, "admin", now});
    if (!admin) return admin.error();
    if (*admin > 0) STRATA_TRY(join_team(w, kAdminTeam, admin_id, now));
    return reload(w);
  };
  return records_.write_blocking(found);
}

// Everyone fits in memory; a new snapshot replaces the old one as a whole.
Status Identity::reload(Reader& reader) {
  auto state = std::make_shared<State>();
  const auto users = reader.query("SELECT id, name, team, role, disabled, created FROM users");
  if (!users) return users.error();
  for (const auto& row : *users) {
    const auto role = parse_role(row.text(3));
    if (!role) return role.error();
    User user{UserId(row.text(0)),    row.text(1), row.text(2), *role, row.integer(4) != 0,
              Instant{row.integer(5)}};
    state->user_ids.emplace(user.name, user.id);
    state->users.emplace(user.id, std::move(user));
  }
  const auto tokens = reader.query(
      "SELECT id, user_id, project, hash, access_key_id, scope, created, expires, revoked FROM "
      "tokens");
  if (!tokens) return tokens.error();
  for (const auto& row : *tokens) {
    const auto scopes = parse_scopes(row.text(5));
    if (!scopes) return scopes.error();
    Token token;
    token.user = UserId(row.text(1));
    token.project = ProjectId(row.text(2));
    token.scopes = *scopes;
    token.info.id = TokenId(row.text(0));
    token.info.user_name = state->users[token.user].name;
    token.info.access_key_id = row.text(4);
    token.info.scope = row.text(5);
    token.info.project = row.text(2);
    token.info.created = Instant{row.integer(6)};
    if (const auto at = row.maybe_integer(7)) token.info.expires = Instant{*at};
    if (const auto at = row.maybe_integer(8)) token.info.revoked = Instant{*at};
    state->hash_by_access_key.emplace(row.text(4), row.text(3));
    state->hash_by_id.emplace(token.info.id, row.text(3));
    state->by_hash.emplace(row.text(3), std::move(token));
  }
  STRATA_TRY(load_tenants(reader, *state));
  const std::unique_lock lock(mutex_);
  state_ = std::move(state);
  ++generation_;
  return {};
}

// A caller in `project`. Errors: kPermissionDenied, also for a project that does not exist, so that
// nobody finds out which do.
Result<Caller> Identity::caller_in(const State& state, const User& user,
                                   const ProjectId& project) const {
  if (user.disabled)
    return Error(Code::kPermissionDenied, fmt::format("the user '{}' is disabled", user.name));
  const auto role = state.role_in(user, project.str());
  if (!role) {
    return Error(Code::kPermissionDenied,
                 fmt::format("there is no project '{}' in which '{}' has a role",
                             printable(project.str()), user.name));
  }
  const Permissions allowed = state.permissions_in(user, project.str());
  return Caller{user.id, user.name, user.team,           project, TokenId(),
                allowed, {},        Permissions().set(), *role,   allowed};
}

Result<Caller> Identity::caller_of(const State& state, const Token& token,
                                   std::string_view project) const {
  if (token.info.revoked) return Error(Code::kUnauthenticated, "the token was revoked");
  if (token.info.expires && *token.info.expires <= clock_.now()) {
    return Error(Code::kExpired, "the token expired at " + to_rfc3339(*token.info.expires));
  }
  auto caller = caller_in(state, state.users.at(token.user),
                          project.empty() ? token.project : ProjectId(std::string(project)));
  if (!caller) return caller;
  caller->token = token.info.id;
  caller->permissions &= token.scopes;
  caller->scope = token.scopes;
  return caller;
}

Result<Caller> Identity::authenticate(std::string_view token, std::string_view project) const {
  const std::string hash = to_hex(sha256(token));
  const std::shared_lock lock(mutex_);
  if (const auto at = state_->by_hash.find(hash); at != state_->by_hash.end())
    return caller_of(*state_, at->second, project);
  const auto task = tasks_.find(hash);
  if (task == tasks_.end()) return Error(Code::kUnauthenticated, "the token is not known");
  if (!project.empty() && project != task->second.project.str())
    return Error(Code::kPermissionDenied, "a task acts in the project of its run only");
  return caller_of(task->second);
}

Result<Caller> Identity::renewed(const Caller& earlier) const {
  const std::shared_lock lock(mutex_);
  if (!earlier.task.empty()) {
    const auto task = tasks_.find(task_hash(earlier.token.str()));
    if (task == tasks_.end()) return Error(Code::kUnauthenticated, "the task has ended");
    return caller_of(task->second);
  }
  const auto hash = state_->hash_by_id.find(earlier.token);
  if (hash == state_->hash_by_id.end())
    return Error(Code::kUnauthenticated, "the token is not known");
  return caller_of(*state_, state_->by_hash.find(hash->second)->second, earlier.project.str());
}

std::string Identity::secret_of(std::string_view access_key_id) const {
  return to_base64(hmac_sha256(master_key_, fmt::format("s3-secret:{}", access_key_id)))
      .substr(0, 40);
}

Result<Identity::AccessKey> Identity::access_key(std::string_view access_key_id) const {
  const std::shared_lock lock(mutex_);
  const auto at = state_->hash_by_access_key.find(access_key_id);
  if (at == state_->hash_by_access_key.end()) {
    if (const auto task = tasks_.find(access_key_id); task != tasks_.end()) {
      auto caller = caller_of(task->second);
      if (!caller) return std::move(caller).error();
      return AccessKey{secret_of(access_key_id), *std::move(caller)};
    }
    return Error(Code::kUnauthenticated,
                 fmt::format("the access key id '{}' is not known", printable(access_key_id, 40)));
  }
  auto caller = caller_of(*state_, state_->by_hash.find(at->second)->second, {});
  if (!caller) return std::move(caller).error();
  return AccessKey{secret_of(access_key_id), *std::move(caller)};
}

Task<Result<User>> Identity::create_user(const Caller& by, std::string name, std::string team,
                                         Role role) {
  STRATA_CO_TRY(check_name("name", name));
  STRATA_CO_TRY(check_name("team", team));
  if (!by.may(Permission::kAdmin))
    co_return Error(Code::kPermissionDenied, "only an admin may create users");
  const User user{UserId(random_.uuid7(clock_.now())), name, team, role, false, clock_.now()};
  const auto insert = [&](Writer& w) -> Result<User> {
    const auto done =
        w.execute("INSERT INTO users (id, name, team, role, created) VALUES (?, ?, ?, ?, ?)",
                  {user.id.str(), name, team, role_name(role), user.created.micros});
    if (!done && done.error().code == Code::kAlreadyExists) {
      return Error(Code::kAlreadyExists, fmt::format("there is a user '{}' already", name), "name");
    }
    if (!done) return done.error();
    STRATA_TRY(join_team(w, team, user.id.str(), user.created.micros));
    STRATA_TRY(audit_(w, by, "user.create", "user:" + name,
                      Json::object({{"team", team}, {"role", role_name(role)}})));
    STRATA_TRY(reload(w));
    return user;
  };
  co_return co_await records_.write(insert);
}

Task<Result<User>> Identity::set_user_disabled(const Caller& by, std::string name, bool disabled) {
  if (!by.may(Permission::kAdmin))
    co_return Error(Code::kPermissionDenied, "only an admin may disable users");
  if (disabled && name == by.user_name) {
    co_return invalid("name", "you cannot disable yourself; ask another admin");
  }
  const auto known = user(name);
  if (!known) co_return known.error();
  const auto update = [&](Writer& w) -> Result<User> {
    const auto done = w.execute("UPDATE users SET disabled = ? WHERE name = ? AND disabled <> ?",
                                {disabled, name, disabled});
    if (!done) return done.error();
    User changed = *known;
    changed.disabled = disabled;
    if (*done == 0) return changed;
    STRATA_TRY(
        audit_(w, by, disabled ? "user.disable" : "user.enable", "user:" + name, Json::object()));
    STRATA_TRY(reload(w));
    return changed;
  };
  co_return co_await records_.write(update);
}

Result<User> Identity::user(std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto at = state_->user_ids.find(name);
  if (at == state_->user_ids.end())
    return not_found(fmt::format("there is no user '{}'", printable(name)));
  return state_->users.at(at->second);
}

bool Identity::has_whole_rights(const Caller& by) const {
  if (!by.task.empty()) return false;
  const std::shared_lock lock(mutex_);
  const auto user = state_->users.find(by.user);
  return user != state_->users.end() &&
         by.permissions == state_->permissions_in(user->second, by.project.str());
}

// The caller's own token ends at that time; nothing when it has no end, or there is none.
std::optional<Instant> Identity::end_of_token(const Caller& by) const {
  for (const auto& token : tokens()) {
    if (token.id == by.token) return token.expires;
  }
  return std::nullopt;
}

std::vector<TokenInfo> Identity::tokens_seen_by(const Caller& by) const {
  const bool whole = has_whole_rights(by);
  auto seen = tokens();
  std::erase_if(seen, [&](const TokenInfo& token) {
    if (by.may(Permission::kAdmin)) return false;
    return token.user_name != by.user_name || (!whole && token.id != by.token);
  });
  return seen;
}

// A token never gives more than the one that asked for it, unless an admin asks.
Status Identity::check_token_request(const Caller& by, const User& owner,
                                     const TokenRequest& request, const Permissions& scopes,
                                     const ProjectId& project) const {
  const std::shared_lock lock(mutex_);
  if (!state_->role_in(owner, project.str())) {
    return Error(Code::kPermissionDenied,
                 fmt::format("there is no project '{}' in which '{}' has a role",
                             printable(project.str()), owner.name),
                 "project");
  }
  if (by.may(Permission::kAdmin)) return {};
  const bool whole = by.permissions == state_->permissions_in(owner, by.project.str());
  const bool elsewhere = project != by.project;
  if ((request.scope == "all" || elsewhere) && !whole) {
    return Error(Code::kPermissionDenied,
                 "a token of narrow scope cannot make one of scope 'all' or of another project",
                 "scope");
  }
  if (request.scope != "all" && !whole && (scopes & ~by.permissions).any()) {
    return Error(Code::kPermissionDenied, "a token cannot have scopes that its maker lacks",
                 "scope");
  }
  return {};
}

Task<Result<IssuedToken>> Identity::create_token(const Caller& by, const TokenRequest& request) {
  if (!by.task.empty()) co_return Error(Code::kPermissionDenied, "a task may not make tokens");
  const auto owner = user(request.user_name);
  if (!owner) co_return owner.error();
  if (owner->name != by.user_name && !by.may(Permission::kAdmin)) {
    co_return Error(Code::kPermissionDenied, "only an admin may create tokens for others");
  }
  const auto scopes = parse_scopes(request.scope);
  if (!scopes) co_return scopes.error();
  const ProjectId project = request.project.empty() ? by.project : ProjectId(request.project);
  STRATA_CO_TRY(check_token_request(by, *owner, request, *scopes, project));
  IssuedToken issued;
  issued.token = "strata_" + random_.alphanumeric(43);
  issued.info.id = TokenId(random_.uuid7(clock_.now()));
  issued.info.user_name = owner->name;
  issued.info.access_key_id = "STRA" + to_upper_key(random_.alphanumeric(16));
  issued.info.scope = request.scope;
  issued.info.project = project.str();
  issued.info.created = clock_.now();
  if (request.lifetime) issued.info.expires = clock_.now() + *request.lifetime;
  const auto end = end_of_token(by);
  if (end && owner->name == by.user_name && (!issued.info.expires || *issued.info.expires > *end)) {
    co_return Error(Code::kPermissionDenied,
                    fmt::format("this token ends at {}, and cannot make one for its own user that "
                                "lives longer; give a shorter time in 'expires'",
                                to_rfc3339(*end)),
                    "expires");
  }
  issued.secret_access_key = secret_of(issued.info.access_key_id);
  const auto insert = [&](Writer& w) -> Status {
    std::optional<std::int64_t> expires;
    if (issued.info.expires) expires = issued.info.expires->micros;
    std::optional<std::string> parent;  // the server itself has no token
    if (!by.token.str().empty()) parent = by.token.str();
    if (parent) STRATA_TRY(check_parent(w, *parent));
    const auto done = w.execute(
        "INSERT INTO tokens (id, user_id, project, hash, access_key_id, scope, created, expires, "
        "parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {issued.info.id.str(), owner->id.str(), project.str(), to_hex(sha256(issued.token)),
         issued.info.access_key_id, request.scope, issued.info.created.micros, expires, parent});
    if (!done) return done.error();
    STRATA_TRY(
        audit_(w, by, "token.create", "token:" + issued.info.id.str(), audited(issued.info)));
    return reload(w);
  };
  STRATA_CO_TRY(co_await records_.write(insert));
  co_return issued;
}

Task<Status> Identity::revoke_token(const Caller& by, TokenId id) {
  const auto all = tokens();
  const auto named = std::find_if(all.begin(), all.end(), [&](const TokenInfo& token) {
    return token.id == id || token.access_key_id == id.str();
  });
  if (named == all.end())
    co_return not_found(fmt::format("there is no token '{}'", printable(id.str())));
  id = named->id;
  if (named->user_name != by.user_name && !by.may(Permission::kAdmin)) {
    co_return Error(Code::kPermissionDenied, "only an admin may revoke tokens of others");
  }
  if (id != by.token && !by.may(Permission::kAdmin) && !has_whole_rights(by)) {
    co_return Error(Code::kPermissionDenied, "a token of narrow scope may revoke itself only");
  }
  std::vector<TokenInfo> revoked;
  const auto update = [&](Writer& w) -> Status {
    const auto ids = revoke_tree(w, id, clock_.now());
    if (!ids) return ids.error();
    for (TokenInfo& token : tokens()) {  // inside, so that none that was just made is missed
      if (!std::binary_search(ids->begin(), ids->end(), token.id)) continue;
      Json detail = audited(token);
      if (token.id != id) detail.set("with", "token:" + id.str());
      STRATA_TRY(audit_(w, by, "token.revoke", "token:" + token.id.str(), detail));
      if (token.id != id) revoked.push_back(std::move(token));
    }
    return ids->empty() ? Status() : reload(w);
  };
  revoked.push_back(*named);
  STRATA_CO_TRY(co_await records_.write(update));
  if (!revoked_) co_return Status();
  for (TokenInfo& token : revoked)
    STRATA_CO_TRY(co_await revoked_(std::move(token)));
  co_return Status();
}

std::vector<TokenInfo> Identity::tokens() const {
  const std::shared_lock lock(mutex_);
  std::vector<TokenInfo> all;
  for (const auto& [hash, token] : state_->by_hash)
    all.push_back(token.info);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

std::string Identity::task_secret(std::string_view purpose, std::string_view name) const {
  return to_hex(hmac_sha256(master_key_, fmt::format("{}:{}", purpose, name)));
}

std::string Identity::task_token(std::string_view name) const {
  return "strata_task_" + task_secret("task-token", name);
}

std::string Identity::task_hash(std::string_view name) const {
  return to_hex(sha256(task_token(name)));
}

// The caller holds the mutex.
Result<Caller> Identity::caller_of(const TaskAttempt& attempt) const {
  const auto id = state_->user_ids.find(attempt.user_name);
  if (id == state_->user_ids.end())
    return not_found(fmt::format("there is no user '{}'", printable(attempt.user_name)));
  auto caller = caller_in(*state_, state_->users.at(id->second), attempt.project);
  if (!caller) return caller;
  caller->scope = attempt.scope;
  for (const Permission kept : kKeptFromTasks)
    caller->scope.reset(static_cast<std::size_t>(kept));
  caller->permissions &= caller->scope;
  caller->task = attempt.task;
  caller->token = TokenId(attempt.name);
  return caller;
}

Result<IssuedToken> Identity::admit_task(const TaskAttempt& attempt) {
  IssuedToken issued;
  issued.token = task_token(attempt.name);
  issued.info.user_name = attempt.user_name;
  issued.info.access_key_id =
      "STRT" + to_upper_key(task_secret("task-key", attempt.name).substr(0, 24));
  issued.secret_access_key = secret_of(issued.info.access_key_id);
  const std::unique_lock lock(mutex_);
  const auto caller = caller_of(attempt);
  if (!caller) return caller.error();
  tasks_[task_hash(attempt.name)] = attempt;
  tasks_[issued.info.access_key_id] = attempt;
  return issued;
}

void Identity::dismiss_task(const std::string& name) {
  const std::unique_lock lock(mutex_);
  tasks_.erase(task_hash(name));
  tasks_.erase("STRT" + to_upper_key(task_secret("task-key", name).substr(0, 24)));
}

Caller Identity::system_caller() const {
  return Caller{UserId("system"),
                "system",
                "platform",
                ProjectId(std::string(kDefaultProject)),
                TokenId(),
                Permissions().set(),
                {},
                Permissions().set(),
                Role::kAdmin,
                Permissions().set()};
}

Result<Caller> Identity::act_as(std::string_view user_name, const ProjectId& project) const {
  const auto who = user(user_name);
  if (!who) return who.error();
  const std::shared_lock lock(mutex_);
  return caller_in(*state_, *who, project);
}

}  // namespace strata::kernel
