#include "platform/experiments/flags.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "platform/experiments/project_flags.hpp"

namespace strata::platform::experiments {

using kernel::Caller;
using kernel::Reader;
using kernel::Row;
using kernel::Writer;
namespace gb = wire::growthbook;

namespace {

constexpr std::array<std::string_view, 3> kKinds = {"flag", "flag_group", "flag_holdout"};
constexpr std::array<std::string_view, 3> kStates = {"on", "off", "killed"};
constexpr std::size_t kMaxReason = 500;

constexpr std::array<kernel::Migration, 1> kMigrations = {{{"flags", 1, R"sql(
CREATE TABLE flag_versions (project TEXT NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, state INTEGER NOT NULL, deleted INTEGER NOT NULL, newest INTEGER NOT
  NULL, definition TEXT NOT NULL, digest TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
  time_us INTEGER NOT NULL, PRIMARY KEY (project, kind, name, version));
CREATE INDEX flag_versions_newest ON flag_versions (project, newest);
CREATE TABLE flag_keys (id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  project TEXT NOT NULL, remote INTEGER NOT NULL, created_by TEXT NOT NULL, created_us
  INTEGER NOT NULL, revoked_us INTEGER);
)sql"}}};

constexpr std::string_view kColumns =
    "kind, name, version, state, deleted, definition, digest, actor, reason, time_us";

Result<Version> version_of(const Row& row) {
  auto definition = parse_json(row.text(5));
  if (!definition) return definition.error().wrap("a kept version of a flag cannot be read");
  return Version{.kind = static_cast<Kind>(row.integer(0)),
                 .name = row.text(1),
                 .number = row.integer(2),
                 .state = static_cast<State>(row.integer(3)),
                 .deleted = row.integer(4) != 0,
                 .definition = *std::move(definition),
                 .digest = row.text(6),
                 .actor = row.text(7),
                 .reason = row.text(8),
                 .time = Instant{row.integer(9)}};
}

Result<std::vector<Version>> versions_of(const kernel::Rows& rows) {
  std::vector<Version> out;
  for (const Row& row : rows) {
    auto one = version_of(row);
    if (!one) return std::move(one).error();
    out.push_back(*std::move(one));
  }
  return out;
}

std::string ref_of(const Version& version) {
  return fmt::format("{}:{}", kind_name(version.kind), version.name);
}

Error none_called(Kind kind, std::string_view name) {
  constexpr std::array<std::string_view, 3> kNouns = {"flag", "saved group", "holdout"};
  return not_found(fmt::format("there is no {} '{}' in this project",
                               kNouns[static_cast<std::size_t>(kind)], printable(name, 40)));
}

Error too_much_work() {
  return {Code::kResourceExhausted,
          "attributes: evaluating flags for them takes too much work; send fewer or shorter lists",
          "attributes"};
}

Status check_reason(const std::string& reason) {
  if (!reason.empty() && reason.size() <= kMaxReason) return {};
  return invalid("reason", fmt::format("reason: say in 1 to {} bytes why this is changed; it is "
                                       "kept with the version",
                                       kMaxReason));
}

Status check_definition(const Version& wanted) {
  switch (wanted.kind) {
    case Kind::kFlag:
      return gb::check_flag(wanted.name, wanted.definition);
    case Kind::kGroup:
      return gb::check_group(wanted.name, wanted.definition);
    case Kind::kHoldout:
      break;
  }
  const auto holdout = gb::read_holdout(wanted.name, wanted.definition);
  return holdout ? Status() : Status(holdout.error());
}

Status check_expected(const Version* current, const Version& wanted, const Change& change) {
  const std::int64_t now = current == nullptr || current->deleted ? 0 : current->number;
  if (!change.version || *change.version == now) return {};
  return Error(Code::kConflict,
               now == 0 ? fmt::format("version: '{}' is not there; you expected version {}",
                                      wanted.name, *change.version)
                        : fmt::format("version: '{}' is at version {} by now, not {}; read it "
                                      "again and apply your change to that",
                                      wanted.name, now, *change.version),
               "version");
}

}  // namespace

std::string_view kind_name(Kind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string_view state_name(State state) {
  return kStates[static_cast<std::size_t>(state)];
}

Result<State> parse_state(std::string_view text) {
  const auto at = std::ranges::find(kStates, text);
  if (at != kStates.end()) return static_cast<State>(at - kStates.begin());
  return invalid("state",
                 fmt::format("state: '{}' is none; use on, off or killed", printable(text, 40)));
}

Flags::Flags(Ports ports) : ports_(ports) {}
Flags::~Flags() = default;

std::span<const kernel::Migration> Flags::migrations() {
  return kMigrations;
}

Status Flags::load() {
  const auto all = [this](Reader& reader) -> Status {
    const auto projects = reader.query("SELECT DISTINCT project FROM flag_versions");
    if (!projects) return projects.error();
    for (const Row& row : *projects) {
      const ProjectId id(row.text(0));
      auto state = read(reader, id);
      if (!state) return std::move(state).error();
      projects_[id] = *std::move(state);
    }
    const auto keys = reader.query(
        "SELECT id, key, name, project, remote, created_by, created_us, revoked_us FROM flag_keys");
    if (!keys) return keys.error();
    for (const Row& row : *keys) {
      ClientKey key{.id = row.text(0),
                    .key = row.text(1),
                    .name = row.text(2),
                    .project = ProjectId(row.text(3)),
                    .remote = row.integer(4) != 0,
                    .created_by = row.text(5),
                    .created = Instant{row.integer(6)},
                    .revoked = {}};
      if (const auto revoked = row.maybe_integer(7)) key.revoked = Instant{*revoked};
      keys_.emplace(key.key, std::move(key));
    }
    return {};
  };
  return ports_.records.read_blocking(all);
}

// What stands in the records; definitions that are in memory already are not read again.
Result<std::shared_ptr<ProjectFlags>> Flags::read(Reader& reader, const ProjectId& id) const {
  const auto known = project(id);
  const auto rows = reader.query(
      fmt::format("SELECT {} FROM flag_versions WHERE project = ? AND newest = 1", kColumns),
      {id.str()});
  if (!rows) return rows.error();
  const auto count = reader.first(
      "SELECT COUNT(*), COALESCE(MAX(time_us), 0) FROM flag_versions WHERE project = ?",
      {id.str()});
  if (!count) return count.error();
  auto out = std::make_shared<ProjectFlags>();
  out->revision = (*count)->integer(0);
  out->updated = Instant{(*count)->integer(1)};
  for (const Row& row : *rows) {
    const Version* same =
        known ? known->newest(static_cast<Kind>(row.integer(0)), row.text(1)) : nullptr;
    if (same != nullptr && same->number == row.integer(2)) {
      out->put(*same);
      continue;
    }
    auto version = version_of(row);
    if (!version) return std::move(version).error();
    out->put(*std::move(version));
  }
  return out;
}

Task<Result<Version>> Flags::set(const Caller& caller, Kind kind, std::string name, Json definition,
                                 Change change) {
  Version wanted{.kind = kind, .name = std::move(name), .definition = std::move(definition)};
  if (const auto fits = check_definition(wanted); !fits) co_return fits.error();
  std::string action = std::string(kind_name(kind)) + ".set";
  co_return co_await this->change(caller, std::move(wanted), std::move(change), std::move(action));
}

Task<Result<Version>> Flags::set_state(const Caller& caller, std::string flag, State state,
                                       Change change) {
  Version wanted{.name = std::move(flag), .state = state};
  co_return co_await this->change(caller, std::move(wanted), std::move(change), "flag.state");
}

Task<Result<Version>> Flags::remove(const Caller& caller, Kind kind, std::string name,
                                    Change change) {
  Version wanted{.kind = kind, .name = std::move(name), .deleted = true};
  std::string action = std::string(kind_name(kind)) + ".delete";
  co_return co_await this->change(caller, std::move(wanted), std::move(change), std::move(action));
}

Task<Result<Version>> Flags::change(const Caller& caller, Version wanted, Change change,
                                    std::string action) {
  if (const auto fits = check_reason(change.reason); !fits) co_return fits.error();
  auto job = [&](Writer& writer) {
    return write(writer, caller, wanted, change, action);
  };
  co_return co_await ports_.records.write(job);
}

Result<Version> Flags::write(Writer& writer, const Caller& caller, const Version& wanted,
                             const Change& change, std::string_view action) {
  auto state = read(writer, caller.project);
  if (!state) return std::move(state).error();
  const Version* const current = (*state)->newest(wanted.kind, wanted.name);
  const bool there = current != nullptr && !current->deleted;
  STRATA_TRY(check_expected(current, wanted, change));
  const bool whole = action.ends_with(".set");
  if (!whole && !there) return none_called(wanted.kind, wanted.name);
  Version next = wanted;
  if (there) {
    if (!whole) next.definition = current->definition;
    if (action != "flag.state") next.state = current->state;
  }
  if (there && !next.deleted && next.state == current->state &&
      next.definition == current->definition)
    return *current;
  next.number = current == nullptr ? 1 : current->number + 1;
  const std::string text = next.definition.dump();
  next.digest = content_digest(text);
  next.actor = caller.user_name;
  next.reason = change.reason;
  next.time = ports_.clock.now();
  (*state)->put(next);
  (*state)->revision += 1;
  (*state)->updated = next.time;
  STRATA_TRY((*state)->check());
  const auto kind = static_cast<std::int64_t>(next.kind);
  STRATA_TRY(writer.execute(
      "UPDATE flag_versions SET newest = 0 WHERE project = ? AND kind = ? AND name = ? AND newest "
      "= 1",
      {caller.project.str(), kind, next.name}));
  STRATA_TRY(writer.execute(
      "INSERT INTO flag_versions (project, kind, name, version, state, deleted, newest, "
      "definition, "
      "digest, actor, reason, time_us) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
      {caller.project.str(), kind, next.name, next.number, static_cast<std::int64_t>(next.state),
       next.deleted, text, next.digest, next.actor, next.reason, next.time.micros}));
  const Json detail = Json::object({{"version", next.number},
                                    {"state", state_name(next.state)},
                                    {"deleted", next.deleted},
                                    {"digest", next.digest},
                                    {"reason", next.reason}});
  STRATA_TRY(ports_.audit.record(writer, caller, action, ref_of(next), detail));
  STRATA_TRY(ports_.events.publish(writer, caller.project, "flag.changed", ref_of(next), detail));
  writer.after_commit([this, project = caller.project, state = *std::move(state)]() mutable {
    publish(project, std::move(state));
  });
  return next;
}

void Flags::publish(const ProjectId& id, ProjectPtr state) {
  {
    const std::lock_guard lock(mutex_);
    projects_[id] = std::move(state);
  }
  changed_.notify_all();
}

Flags::ProjectPtr Flags::project(const ProjectId& id) const {
  const std::lock_guard lock(mutex_);
  const auto at = projects_.find(id);
  return at == projects_.end() ? nullptr : at->second;
}

Result<Version> Flags::find(const ProjectId& id, Kind kind, std::string_view name) const {
  const auto state = project(id);
  const Version* const found = state ? state->newest(kind, name) : nullptr;
  if (found == nullptr || found->deleted) return none_called(kind, name);
  return *found;
}

std::vector<Version> Flags::list(const ProjectId& id, Kind kind, std::string_view after,
                                 std::size_t limit) const {
  const auto state = project(id);
  return state ? state->list(kind, after, limit) : std::vector<Version>();
}

Task<Result<std::vector<Version>>> Flags::history(const Caller& caller, Kind kind, std::string name,
                                                  std::int64_t before, int limit) {
  const auto query = [&](Reader& reader) -> Result<std::vector<Version>> {
    const auto rows = reader.query(
        fmt::format("SELECT {} FROM flag_versions WHERE project = ? AND kind = ? AND name = ? AND "
                    "version < ? ORDER BY version DESC LIMIT ?",
                    kColumns),
        {caller.project.str(), static_cast<std::int64_t>(kind), name,
         before == 0 ? INT64_MAX : before, limit});
    if (!rows) return rows.error();
    return versions_of(*rows);
  };
  auto found = co_await ports_.records.read(query);
  if (found && found->empty() && before == 0) co_return none_called(kind, name);
  co_return found;
}

std::shared_ptr<const Snapshot> Flags::snapshot(const ProjectId& id) const {
  const auto state = project(id);
  const Instant now = ports_.clock.now();
  const std::lock_guard lock(building_);
  auto& kept = snapshots_[id];
  const bool stale = !kept || kept->revision < (state ? state->revision : 0) ||
                     (kept->until && *kept->until <= now);
  if (!stale) return kept;
  kept = state ? state->snapshot(id, now) : ProjectFlags().snapshot(id, now);
  return kept;
}

Result<Evaluated> Flags::evaluate(const Snapshot& snapshot, const std::string& flag,
                                  gb::Subject& subject) {
  if (snapshot.states.contains(flag) && snapshot.states.at(flag) == State::kKilled)
    return not_found(
        fmt::format("'{}' is killed: SDKs do not see it, and the value in the code "
                    "holds; strata flag on brings it back",
                    flag));
  if (snapshot.payload->feature(flag) == nullptr) return none_called(Kind::kFlag, flag);
  gb::Evaluation evaluation(*snapshot.payload, subject);
  Evaluated out{evaluation.feature(flag), {}};
  if (evaluation.exhausted()) return too_much_work();
  out.exposures = evaluation.exposures();
  return out;
}

Result<std::vector<std::pair<std::string, Evaluated>>> Flags::evaluate_all(const Snapshot& snapshot,
                                                                           gb::Subject& subject) {
  std::vector<std::pair<std::string, Evaluated>> out;
  gb::Evaluation evaluation(*snapshot.payload, subject);
  std::size_t seen = 0;
  for (const auto& [name, feature] : snapshot.payload->document()["features"].as_object()) {
    Evaluated one{evaluation.feature(name), {}};
    const auto& all = evaluation.exposures();
    one.exposures.assign(all.begin() + static_cast<std::ptrdiff_t>(seen), all.end());
    seen = all.size();
    out.emplace_back(name, std::move(one));
  }
  if (evaluation.exhausted()) return too_much_work();
  return out;
}

}  // namespace strata::platform::experiments
