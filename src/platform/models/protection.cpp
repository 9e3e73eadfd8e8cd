#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/models/models.hpp"
#include "platform/models/rows.hpp"

namespace strata::platform::models {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr std::string_view kRequestColumns =
    "id, name, alias, action, from_version, to_version, digest, requester, requester_id, time_us, "
    "expires_us, state, decided_by, decided_us, reason, override, settings";

Result<Json> json_or_null(const std::string& text) {
  if (text.empty()) return Json();
  auto parsed = parse_json(text);
  if (!parsed) return parsed.error().wrap("a kept request cannot be read");
  return parsed;
}

std::string text_of(const Json& json) {
  return json.is_null() ? "" : json.dump();
}

Result<AliasRequest> request_of(const kernel::Row& row, Instant now) {
  AliasRequest request;
  request.id = row.integer(0);
  request.model = row.text(1);
  request.alias = row.text(2);
  request.action = row.text(3);
  request.from = row.maybe_integer(4);
  request.to = row.maybe_integer(5);
  request.digest = row.text(6);
  request.requester = row.text(7);
  request.requester_id = UserId(row.text(8));
  request.time = Instant{row.integer(9)};
  request.expires = Instant{row.integer(10)};
  request.state = row.text(11);
  if (request.state == "waiting" && request.expires <= now) request.state = "expired";
  request.decided_by = row.text(12);
  if (const auto decided = row.maybe_integer(13)) request.decided = Instant{*decided};
  request.reason = row.text(14);
  auto override_of = json_or_null(row.text(15));
  if (!override_of) return std::move(override_of).error();
  request.override_of = *std::move(override_of);
  auto settings = json_or_null(row.text(16));
  if (!settings) return std::move(settings).error();
  request.settings = *std::move(settings);
  return request;
}

Json approvers_json(const std::vector<std::string>& approvers) {
  Json list = Json::array();
  for (const auto& one : approvers)
    list.push(Json(one));
  return list;
}

Json settings_json(const ProtectionDraft& draft) {
  return Json::object(
      {{"approvers", approvers_json(draft.approvers)}, {"questions", Json(draft.questions)}});
}

ProtectionDraft draft_of(const Json& settings) {
  ProtectionDraft draft;
  for (const auto& one : settings["approvers"].as_array())
    draft.approvers.push_back(one.as_string());
  draft.questions = settings.boolean("questions");
  return draft;
}

Json event_data(const AliasRequest& request) {
  return Json::object({{"request", Json(request.id)},
                       {"alias", Json(request.alias)},
                       {"action", Json(request.action)},
                       {"from", request.from ? Json(*request.from) : Json()},
                       {"to", request.to ? Json(*request.to) : Json()},
                       {"digest", Json(request.digest)},
                       {"requested_by", Json(request.requester)}});
}

std::string what_of(const AliasRequest& request) {
  const auto number = [](const std::optional<std::int64_t>& version) {
    return version ? fmt::format("version {}", *version) : std::string("no version");
  };
  if (request.action == "protect") return "to change its protection";
  if (request.action == "unprotect") return "to take its protection away";
  return fmt::format("to move it from {} to {}", number(request.from), number(request.to));
}

std::string who_of(const Protection& protection) {
  if (protection.approvers.empty()) return "another person who may write models";
  std::vector<std::string> names;
  for (const auto& one : protection.approvers)
    names.push_back(one.starts_with("user:") ? one.substr(5) : "team " + one.substr(5));
  return join(names, ", ") + " or an administrator, but not who asked,";
}

Error waits(const AliasRequest& request, const Protection& protection) {
  return Error(Code::kConflict,
               fmt::format("alias '{}' of model '{}' is protected and did not change: request {} "
                           "{} waits for approval. {} approves it, on the model's page or by "
                           "`strata model approve {} {}`",
                           request.alias, request.model, request.id, what_of(request),
                           who_of(protection), request.model, request.alias));
}

Result<std::optional<std::int64_t>> alias_version(Reader& reader, const ProjectId& project,
                                                  std::string_view name, std::string_view alias) {
  auto row =
      reader.first("SELECT version FROM model_aliases WHERE project = ? AND name = ? AND alias = ?",
                   {project.str(), name, alias});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<std::int64_t>();
  return (*row)->maybe_integer(0);
}

Result<std::optional<AliasRequest>> same_waiting(Writer& writer, const ProjectId& project,
                                                 const AliasRequest& request) {
  auto row = writer.first(
      fmt::format("SELECT {} FROM alias_requests WHERE project = ? AND name = ? AND alias = ? AND "
                  "state = 'waiting' AND expires_us > ? AND requester_id = ? AND action = ? AND "
                  "COALESCE(to_version, 0) = ? AND COALESCE(from_version, 0) = ? AND override = ? "
                  "AND settings = ?",
                  kRequestColumns),
      {project.str(), request.model, request.alias, request.time.micros, request.requester_id.str(),
       request.action, request.to.value_or(0), request.from.value_or(0),
       text_of(request.override_of), text_of(request.settings)});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<AliasRequest>();
  auto known = request_of(**row, request.time);
  if (!known) return std::move(known).error();
  return std::optional(*std::move(known));
}

Status save_protection(Writer& writer, const ProjectId& project, std::string_view name,
                       const Protection& protection) {
  return writer
      .execute(
          "INSERT INTO alias_protections (project, name, alias, approvers, questions, actor, "
          "time_us) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, name, alias) DO UPDATE SET "
          "approvers = excluded.approvers, questions = excluded.questions, actor = excluded.actor, "
          "time_us = excluded.time_us",
          {project.str(), name, protection.alias, approvers_json(protection.approvers).dump(),
           protection.questions, protection.by, protection.time.micros})
      .and_then([](auto) { return Status(); });
}

Result<Protection> protection_of(const kernel::Row& row) {
  const auto approvers = parse_json(row.text(1));
  if (!approvers) return approvers.error().wrap("a kept protection cannot be read");
  Protection protection{row.text(0), {}, row.integer(2) != 0, row.text(3), Instant{row.integer(4)}};
  for (const auto& one : approvers->as_array())
    protection.approvers.push_back(one.as_string());
  return protection;
}

}  // namespace

Result<std::optional<Protection>> load_protection(Reader& reader, const ProjectId& project,
                                                  std::string_view name, std::string_view alias) {
  auto row = reader.first(
      "SELECT alias, approvers, questions, actor, time_us FROM alias_protections WHERE project = ? "
      "AND name = ? AND alias = ?",
      {project.str(), name, alias});
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<Protection>();
  auto protection = protection_of(**row);
  if (!protection) return std::move(protection).error();
  return std::optional(*std::move(protection));
}

Result<std::vector<Protection>> load_protections(Reader& reader, const ProjectId& project,
                                                 std::string_view name) {
  auto rows = reader.query(
      "SELECT alias, approvers, questions, actor, time_us FROM alias_protections WHERE project = ? "
      "AND name = ? ORDER BY alias",
      {project.str(), name});
  if (!rows) return std::move(rows).error();
  std::vector<Protection> all;
  for (const auto& row : *rows) {
    auto one = protection_of(row);
    if (!one) return std::move(one).error();
    all.push_back(*std::move(one));
  }
  return all;
}

Status refuse_where_protected(Reader& reader, const ProjectId& project, std::string_view name,
                              std::string_view doing) {
  const auto all = load_protections(reader, project, name);
  if (!all) return all.error();
  if (all->empty()) return {};
  return Error(
      Code::kConflict,
      fmt::format("model '{}' has the protected alias '{}': it cannot be {} before a "
                  "second person approved to unprotect it (`strata model unprotect {} {}`)",
                  printable(std::string(name)), all->front().alias, doing, name,
                  all->front().alias));
}

// Of a user's or team's name the form that says which it is.
Result<std::string> Models::approver_of(const std::string& text) const {
  const bool is_user = text.starts_with("user:");
  const bool is_team = text.starts_with("team:");
  const std::string name = is_user || is_team ? text.substr(5) : text;
  const bool user = !is_team && identity_.user(name).ok();
  const bool team = !is_user && identity_.find_team(name).ok();
  if (user && team) {
    return invalid("approvers", fmt::format("approvers: '{}' is a user and a team; write user:{} "
                                            "or team:{}",
                                            printable(name), name, name));
  }
  if (!user && !team) {
    return invalid("approvers", fmt::format("approvers: there is no user or team '{}' (strata user "
                                            "list, strata team list)",
                                            printable(name)));
  }
  return (user ? "user:" : "team:") + name;
}

Result<AliasRequest> Models::add_request(Writer& writer, const Caller& caller,
                                         AliasRequest request) {
  request.requester = caller.user_name;
  request.requester_id = caller.user;
  request.time = clock_.now();
  request.expires = request.time + kRequestLifetime;
  request.state = "waiting";
  auto same = same_waiting(writer, caller.project, request);
  if (!same) return std::move(same).error();
  if (*same) return **std::move(same);
  const auto waiting = writer.first(
      "SELECT COUNT(*) FROM alias_requests WHERE project = ? AND name = ? AND state = 'waiting' "
      "AND expires_us > ?",
      {caller.project.str(), request.model, request.time.micros});
  if (!waiting) return waiting.error();
  if ((*waiting)->integer(0) >= kMaxWaiting) {
    return Error(Code::kConflict, fmt::format("{} requests wait for model '{}': decide them first",
                                              kMaxWaiting, printable(request.model)));
  }
  const auto last = writer.first("SELECT COALESCE(MAX(id), 0) FROM alias_requests");
  if (!last) return last.error();
  request.id = (*last)->integer(0) + 1;
  STRATA_TRY(writer.execute(
      "INSERT INTO alias_requests (id, project, name, alias, action, from_version, to_version, "
      "digest, requester, requester_id, time_us, expires_us, state, decided_by, reason, override, "
      "settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?)",
      {request.id, caller.project.str(), request.model, request.alias, request.action, request.from,
       request.to, request.digest, request.requester, request.requester_id.str(),
       request.time.micros, request.expires.micros, request.state, text_of(request.override_of),
       text_of(request.settings)}));
  STRATA_TRY(announce(writer, caller, "alias.request", "alias.requested", request));
  return request;
}

// The same in the audit log and as an event.
Status Models::announce(Writer& writer, const Caller& caller, std::string_view action,
                        std::string_view event, const AliasRequest& request) {
  Json data = event_data(request);
  if (!request.reason.empty()) data.set("reason", Json(request.reason));
  if (!request.override_of.is_null()) data.set("override", request.override_of);
  if (!request.settings.is_null()) data.set("settings", request.settings);
  STRATA_TRY(audit_.record(writer, caller, action, "model:" + request.model, data));
  return events_.publish(writer, caller.project, event, "model:" + request.model, data);
}

Task<Result<Protection>> Models::protect_alias(const Caller& caller, std::string name,
                                               std::string alias, ProtectionDraft draft) {
  STRATA_CO_TRY(check_alias(alias));
  for (auto& approver : draft.approvers) {
    auto known = approver_of(approver);
    if (!known) co_return std::move(known).error();
    approver = *std::move(known);
  }
  std::sort(draft.approvers.begin(), draft.approvers.end());
  draft.approvers.erase(std::unique(draft.approvers.begin(), draft.approvers.end()),
                        draft.approvers.end());
  std::optional<Error> waiting;
  auto protect = [&](Writer& writer) -> Result<Protection> {
    STRATA_TRY(require_model(writer, caller.project, name));
    auto known = load_protection(writer, caller.project, name, alias);
    if (!known) return std::move(known).error();
    if (*known && (*known)->approvers == draft.approvers && (*known)->questions == draft.questions)
      return **std::move(known);
    if (*known) {
      AliasRequest request;
      request.model = name;
      request.alias = alias;
      request.action = "protect";
      request.settings = settings_json(draft);
      auto added = add_request(writer, caller, std::move(request));
      if (!added) return std::move(added).error();
      waiting = waits(*added, **known);
      return **std::move(known);
    }
    const Protection made{alias, draft.approvers, draft.questions, caller.user_name, clock_.now()};
    STRATA_TRY(save_protection(writer, caller.project, name, made));
    Json data = settings_json(draft);
    data.set("alias", Json(alias));
    STRATA_TRY(audit_.record(writer, caller, "alias.protect", "model:" + name, data));
    STRATA_TRY(events_.publish(writer, caller.project, "alias.protected", "model:" + name, data));
    return made;
  };
  auto done = co_await records_.write(protect);
  if (done && waiting) co_return *std::move(waiting);
  co_return done;
}

Task<Status> Models::unprotect_alias(const Caller& caller, std::string name, std::string alias) {
  std::optional<Error> waiting;
  auto ask = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    const auto known = load_protection(writer, caller.project, name, alias);
    if (!known) return known.error();
    if (!*known) return {};
    AliasRequest request;
    request.model = name;
    request.alias = alias;
    request.action = "unprotect";
    const auto added = add_request(writer, caller, std::move(request));
    if (!added) return added.error();
    waiting = waits(*added, **known);
    return {};
  };
  auto done = co_await records_.write(ask);
  if (done && waiting) co_return *std::move(waiting);
  co_return done;
}

Task<Result<std::vector<Protection>>> Models::protections(const Caller& caller, std::string name) {
  auto load = [&](Reader& reader) -> Result<std::vector<Protection>> {
    STRATA_TRY(require_model(reader, caller.project, name));
    return load_protections(reader, caller.project, name);
  };
  co_return co_await records_.read(load);
}

Task<Result<std::vector<AliasRequest>>> Models::alias_requests(const Caller& caller,
                                                               RequestFilter filter) {
  const Instant now = clock_.now();
  auto load = [&](Reader& reader) -> Result<std::vector<AliasRequest>> {
    auto rows = reader.query(
        fmt::format("SELECT {} FROM alias_requests WHERE project = ? AND (? = '' OR name = ?) AND "
                    "(? = 0 OR (state = 'waiting' AND expires_us > ?)) AND (? = 0 OR id < ?) "
                    "ORDER BY id DESC LIMIT ?",
                    kRequestColumns),
        {caller.project.str(), filter.model, filter.model, filter.waiting, now.micros,
         filter.before, filter.before, filter.limit});
    if (!rows) return std::move(rows).error();
    std::vector<AliasRequest> all;
    for (const auto& row : *rows) {
      auto one = request_of(row, now);
      if (!one) return std::move(one).error();
      all.push_back(*std::move(one));
    }
    return all;
  };
  co_return co_await records_.read(load);
}

Result<AliasRequest> Models::load_request(Reader& reader, const Caller& caller, std::int64_t id) {
  auto row = reader.first(
      fmt::format("SELECT {} FROM alias_requests WHERE project = ? AND id = ?", kRequestColumns),
      {caller.project.str(), id});
  if (!row) return std::move(row).error();
  if (!*row) return not_found(fmt::format("there is no request {} in this project", id));
  return request_of(**row, clock_.now());
}

// Whether `caller` is a second person who may decide, by what holds at the commit.
Status Models::may_approve(const Caller& caller, const AliasRequest& request,
                           const Protection& protection) const {
  const auto denied = [](std::string why) {
    return Error(Code::kPermissionDenied, std::move(why));
  };
  const auto now = identity_.renewed(caller);
  if (!now) return now.error();
  if (!now->task.empty())
    return denied(
        "a step of a pipeline approves nothing: a person does, with a token of their own");
  if (!now->may(kernel::Permission::kModelWrite))
    return kernel::lacks_permission(*now, kernel::Permission::kModelWrite);
  if (now->user == request.requester_id) {
    return denied(
        fmt::format("request {} is {}'s own: another person approves it, whatever token "
                    "is used",
                    request.id, request.requester));
  }
  if (protection.approvers.empty() || now->may(kernel::Permission::kProjectAdmin)) return {};
  for (const auto& approver : protection.approvers) {
    if (approver == "user:" + now->user_name) return {};
    if (!approver.starts_with("team:")) continue;
    const auto team = identity_.find_team(approver.substr(5));
    const auto user = identity_.user(now->user_name);
    if ((team && team->members.contains(now->user_name)) ||
        (user && user->team == approver.substr(5)))
      return {};
  }
  return denied(fmt::format("{} is no approver of alias '{}': {} approves it", now->user_name,
                            request.alias, who_of(protection)));
}

// Why what was asked for can no longer be done as it was; nothing when it can.
Result<std::string> Models::outdated(Reader& reader, const Caller& caller,
                                     const AliasRequest& request) const {
  const auto asker = identity_.act_as(request.requester, caller.project);
  if (!asker || asker->user != request.requester_id || !asker->may(kernel::Permission::kModelWrite))
    return fmt::format("{} may not write models any more", request.requester);
  if (request.action != "move" && request.action != "delete") return std::string();
  const auto now = alias_version(reader, caller.project, request.model, request.alias);
  if (!now) return now.error();
  if (*now != request.from) return std::string("the alias was moved meanwhile");
  if (!request.to) return std::string();
  const auto version = load_version(reader, caller.project, request.model, *request.to);
  if (!version && version.error().code != Code::kNotFound) return version.error();
  if (!version) return fmt::format("version {} was deleted", *request.to);
  if (version->digest != request.digest)
    return fmt::format("version {} has another digest", *request.to);
  return std::string();
}

Status Models::apply(Writer& writer, const Caller& caller, const AliasRequest& request) {
  if (request.action == "unprotect") {
    return writer
        .execute("DELETE FROM alias_protections WHERE project = ? AND name = ? AND alias = ?",
                 {caller.project.str(), request.model, request.alias})
        .and_then([](auto) { return Status(); });
  }
  if (request.action == "protect") {
    const auto draft = draft_of(request.settings);
    return save_protection(
        writer, caller.project, request.model,
        {request.alias, draft.approvers, draft.questions, request.requester, clock_.now()});
  }
  return move_alias(writer, caller, request.model, request.alias, request.to, &request);
}

Status Models::close(Writer& writer, const AliasRequest& request) {
  return writer
      .execute(
          "UPDATE alias_requests SET state = ?, decided_by = ?, decided_us = ?, reason = ?, "
          "override = ? WHERE id = ?",
          {request.state, request.decided_by, clock_.now().micros, request.reason,
           text_of(request.override_of), request.id})
      .and_then([](auto) { return Status(); });
}

// Decides in one commit; of two who decide at once the second finds the request decided.
Task<Result<AliasRequest>> Models::decide(const Caller& caller, std::int64_t id, bool approve,
                                          std::string reason, Json objections) {
  std::optional<Error> late;
  auto write = [&](Writer& writer) -> Result<AliasRequest> {
    auto request = load_request(writer, caller, id);
    if (!request) return request;
    if (request->state != "waiting") {
      return Error(Code::kConflict, fmt::format("request {} is {} and cannot be decided any more",
                                                id, request->state));
    }
    const auto protection = load_protection(writer, caller.project, request->model, request->alias);
    if (!protection) return protection.error();
    if (!*protection) return internal("a request waits for an alias that is not protected");
    const bool own = caller.user == request->requester_id && caller.task.empty();
    if (approve || !own) STRATA_TRY(may_approve(caller, *request, **protection));
    request->decided_by = caller.user_name;
    request->reason = reason;
    if (!approve) {
      request->state = "refused";
      STRATA_TRY(close(writer, *request));
      STRATA_TRY(announce(writer, caller, "alias.refuse", "alias.refused", *request));
      return load_request(writer, caller, id);
    }
    const auto why = outdated(writer, caller, *request);
    if (!why) return why.error();
    if (!why->empty()) {
      request->state = "outdated";
      request->reason = *why;
      STRATA_TRY(close(writer, *request));
      late = Error(Code::kConflict, fmt::format("request {} is outdated: {}", id, *why));
      return load_request(writer, caller, id);
    }
    const bool overrides = !request->override_of.is_null() && !objections.is_null();
    if (overrides) request->override_of.set("questions", objections);
    request->state = "approved";
    STRATA_TRY(close(writer, *request));
    AliasRequest done = *request;
    if (!overrides) done.override_of = Json();  // what was bad was mended meanwhile
    STRATA_TRY(apply(writer, caller, done));
    STRATA_TRY(writer.execute(
        "UPDATE alias_requests SET state = 'outdated', decided_us = ?, reason = ? WHERE project = "
        "? AND name = ? AND alias = ? AND state = 'waiting' AND expires_us > ?",
        {clock_.now().micros, fmt::format("request {} was approved", id), caller.project.str(),
         request->model, request->alias, clock_.now().micros}));
    STRATA_TRY(announce(writer, caller, "alias.approve", "alias.approved", *request));
    return load_request(writer, caller, id);
  };
  auto done = co_await records_.write(write);
  if (done && late) co_return *std::move(late);
  co_return done;
}

namespace {

Error objected(const std::string& name, const std::string& alias, std::int64_t version,
               const Json& questions) {
  std::string said;
  for (const auto& question : questions.as_array()) {
    said += fmt::format(" {} is bad:", question.text("question"));
    for (const auto& evidence : question["evidence"].as_array()) {
      if (evidence.text("verdict") == "bad")
        said += fmt::format(" {} ({});", evidence.text("text"), evidence.text("code"));
    }
  }
  return Error(
      Code::kConflict,
      fmt::format("alias '{}' of model '{}' takes no version whose five questions are bad, "
                  "and of version {}{} mend that (`strata model explain {}/{}`), or give a "
                  "reason that stays with the move for ever: `strata model alias {} {} {} "
                  "--override REASON`",
                  alias, printable(name), version, said, name, version, name, alias, version));
}

}  // namespace

// What speaks against the version, if the alias asks for that; else null.
Task<Result<Json>> Models::objections(const Caller& caller, const std::string& name,
                                      const std::string& alias, std::int64_t version) {
  auto load = [&](Reader& reader) -> Result<bool> {
    const auto protection = load_protection(reader, caller.project, name, alias);
    if (!protection) return protection.error();
    const auto now = alias_version(reader, caller.project, name, alias);
    if (!now) return now.error();
    return *protection && (*protection)->questions && *now != version;
  };
  const auto asked = co_await records_.read(load);
  if (!asked) co_return asked.error();
  if (!*asked || !gate_) co_return Json();
  auto bad = co_await gate_(caller, name, version);
  if (!bad) co_return std::move(bad).error();
  if (bad->size() == 0) co_return Json();
  co_return bad;
}

Task<Result<AliasRequest>> Models::approve(const Caller& caller, std::int64_t id,
                                           std::string reason) {
  auto load = [&](Reader& reader) {
    return load_request(reader, caller, id);
  };
  const auto request = co_await records_.read(load);
  if (!request) co_return request.error();
  Json bad;
  if (request->state == "waiting" && request->to) {
    auto found = co_await objections(caller, request->model, request->alias, *request->to);
    if (!found) co_return std::move(found).error();
    bad = *std::move(found);
    if (!bad.is_null() && request->override_of.is_null())
      co_return objected(request->model, request->alias, *request->to, bad);
  }
  co_return co_await decide(caller, id, true, std::move(reason), std::move(bad));
}

Task<Result<AliasRequest>> Models::refuse(const Caller& caller, std::int64_t id,
                                          std::string reason) {
  co_return co_await decide(caller, id, false, std::move(reason), Json());
}

Task<Status> Models::set_alias(const Caller& caller, std::string name, std::string alias,
                               std::int64_t number, std::string override_reason) {
  STRATA_CO_TRY(check_alias(alias));
  if (override_reason.size() > 2000)
    co_return invalid("override", "override: the reason is longer than 2000 bytes");
  auto bad = co_await objections(caller, name, alias, number);
  if (!bad) co_return std::move(bad).error();
  if (!bad->is_null() && trim(override_reason).empty())
    co_return objected(name, alias, number, *bad);
  std::optional<Error> waiting;
  auto set = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    const auto version = load_version(writer, caller.project, name, number);
    if (!version) return version.error();
    const auto protection = load_protection(writer, caller.project, name, alias);
    if (!protection) return protection.error();
    if (!*protection) return move_alias(writer, caller, name, alias, number, nullptr);
    const auto now = alias_version(writer, caller.project, name, alias);
    if (!now) return now.error();
    if (*now == number) return {};
    AliasRequest request;
    request.model = name;
    request.alias = alias;
    request.action = "move";
    request.from = *now;
    request.to = number;
    request.digest = version->digest;
    if (!bad->is_null()) {
      request.override_of =
          Json::object({{"reason", Json(trim(override_reason))}, {"questions", *bad}});
    }
    const auto added = add_request(writer, caller, std::move(request));
    if (!added) return added.error();
    waiting = waits(*added, **protection);
    return {};
  };
  auto done = co_await records_.write(set);
  if (done && waiting) co_return *std::move(waiting);
  co_return done;
}

Task<Status> Models::delete_alias(const Caller& caller, std::string name, std::string alias) {
  std::optional<Error> waiting;
  auto drop = [&](Writer& writer) -> Status {
    STRATA_TRY(require_model(writer, caller.project, name));
    const auto protection = load_protection(writer, caller.project, name, alias);
    if (!protection) return protection.error();
    if (!*protection) return move_alias(writer, caller, name, alias, std::nullopt, nullptr);
    const auto now = alias_version(writer, caller.project, name, alias);
    if (!now) return now.error();
    if (!*now) return {};
    AliasRequest request;
    request.model = name;
    request.alias = alias;
    request.action = "delete";
    request.from = *now;
    const auto added = add_request(writer, caller, std::move(request));
    if (!added) return added.error();
    waiting = waits(*added, **protection);
    return {};
  };
  auto done = co_await records_.write(drop);
  if (done && waiting) co_return *std::move(waiting);
  co_return done;
}

}  // namespace strata::platform::models
