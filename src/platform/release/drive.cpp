#include <cmath>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "platform/release/active.hpp"
#include "platform/scoring/scoring.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::release {

namespace {

constexpr std::chrono::milliseconds kLook{500};
constexpr std::chrono::seconds kAfterFailure{5};
constexpr std::chrono::milliseconds kLoadTime{1000};
constexpr std::size_t kLoadThreads = 2;

using deployment::LiveModel;
using wire::ElementType;

// The mean of the finite values of a numeric output; whether all are finite.
template <class T>
void look_at(std::span<const T> values, Observation& seen) {
  double sum = 0;
  std::size_t count = 0;
  for (const T value : values) {
    if (!std::isfinite(static_cast<double>(value))) {
      seen.finite = false;
      continue;
    }
    sum += static_cast<double>(value);
    ++count;
  }
  if (!seen.output && count > 0) seen.output = sum / static_cast<double>(count);
}

}  // namespace

Observation observe(const deployment::Exchange& exchange) {
  Observation seen;
  seen.latency_us = static_cast<double>(exchange.latency_us);
  if (!exchange.failure.empty()) {
    seen.ending = Ending::kFailed;
    return seen;
  }
  for (const auto& tensor : exchange.outputs) {
    if (tensor.type == ElementType::kText || tensor.type == ElementType::kFp16) continue;
    with_element(tensor.type, [&](auto zero) { look_at(tensor.as<decltype(zero)>(), seen); });
  }
  return seen;
}

Task<void> Releases::drive(std::shared_ptr<Active> active) {
  const auto stop = ports_.scope.token();
  while (!stop.stop_requested()) {
    if (co_await reconcile(active)) co_return;
    co_await active->wake.wait(kLook);
  }
}

// Brings the world to what the state wants, as far as that is possible now, and tells the state
// what came of it. True when all is done.
Task<bool> Releases::reconcile(const std::shared_ptr<Active>& active) {
  Status done;
  if (auto decision = active->take_decision()) {
    auto [event, findings] = *std::move(decision);
    done = co_await apply(active, std::move(event), "strata", std::move(findings));
  }
  const State state = active->state();
  const Wanted want = wanted(active->plan, state);
  if (done && want.gates) done = co_await run_gates(active);
  if (done && want.candidate && active->candidate == nullptr && state.held.empty())
    done = co_await open_candidate(active);
  if (done) done = co_await follow_routing(active, active->state());
  bool settled = false;
  if (done) settled = co_await follow_alias(active, active->state());
  if (done && settled) done = co_await close(active);
  if (done) co_return settled;
  log::warn("release.drive",
            Json::object({{"release", active->id}, {"error", done.error().to_string()}}));
  co_await active->wake.wait(kAfterFailure);
  co_return false;
}

Task<Status> Releases::open_candidate(const std::shared_ptr<Active>& active) {
  const auto& plan = active->plan;
  const deployment::ModelRef ref{plan.model, "", plan.version};
  auto opened = co_await ports_.endpoints.load_candidate(active->project, plan.endpoint, ref);
  std::string problem;
  if (!opened) {
    problem = "the candidate cannot be opened: " + opened.error().to_string();
  } else if ((*opened)->identity->package_digest != plan.digest) {
    problem = "the candidate's files are not those that the release began with";
  }
  if (problem.empty()) {
    active->candidate = *std::move(opened);
    co_return Status();
  }
  Event event{EventKind::kStuck, Stage::kGated, 0, std::move(problem)};
  co_return co_await apply(active, std::move(event), "strata", Json());
}

Task<Status> Releases::run_gates(const std::shared_ptr<Active>& active) {
  const auto& plan = active->plan;
  std::vector<GateResult> gates;
  const deployment::ModelRef ref{plan.model, "", plan.version};
  auto opened = co_await ports_.endpoints.load_candidate(active->project, plan.endpoint, ref);
  GateResult opens{.gate = "opens"};
  opens.reason = "it opens, and answers its own example in another process";
  if (!opened) {
    opens.verdict = GateResult::Verdict::kFail;
    opens.reason = opened.error().to_string();
    gates.push_back(opens);
  } else {
    auto caller = ports_.identity.system_caller();
    caller.project = active->project;
    auto looked = co_await look_at_gates(caller, active->project, plan, *opened);
    if (!looked) co_return std::move(looked).error();
    gates = *std::move(looked);
    active->candidate = *std::move(opened);
  }
  Json list = Json::array();
  std::string failed;
  for (const auto& gate : gates) {
    list.push(gate.to_json());
    if (gate.failed()) failed += (failed.empty() ? "" : "; ") + gate.gate + ": " + gate.reason;
  }
  auto keep = [&](kernel::Writer& writer) -> Status {
    auto kept = writer.execute("UPDATE releases SET gates = ? WHERE project = ? AND id = ?",
                               {list.dump(), active->project.str(), active->id});
    if (!kept) return std::move(kept).error();
    return {};
  };
  STRATA_CO_TRY(co_await ports_.records.write(keep));
  const auto kind = failed.empty() ? EventKind::kGatesPassed : EventKind::kGatesFailed;
  Event event{kind, Stage::kRegistered, 0, std::move(failed)};
  co_return co_await apply(active, std::move(event), "strata", std::move(list));
}

Task<Result<std::vector<GateResult>>> Releases::look_at_gates(const kernel::Caller& caller,
                                                              ProjectId project, Plan plan,
                                                              Live candidate) {
  auto found = ports_.endpoints.find(project, plan.endpoint);
  if (!found) co_return std::move(found).error();
  const Live live = *std::move(found);
  std::vector<GateResult> gates;
  GateResult opens{.gate = "opens"};
  opens.reason = "it opens, and answers its own example in another process";
  opens.numbers = Json::object({{"micros_per_row_live", live->micros_per_row},
                                {"micros_per_row_candidate", candidate->micros_per_row}});
  gates.push_back(std::move(opens));
  gates.push_back(check_signature(live->binding->contract(), candidate->binding->contract()));
  const auto stop = ports_.scope.token();
  auto files =
      co_await ports_.models.version_files(caller, plan.model, to_int(plan.version).value_or(0));
  if (!files) co_return std::move(files).error();
  auto scan = [&] {
    return check_artifacts(ports_.files, ports_.endpoints.package_directory(*candidate), *files);
  };
  const bool fits = !gates.back().failed();
  // A version in processes of its own is asked odd things in others than those that serve.
  Live twin = live;
  if (fits && live->runner->processes() != nullptr) {
    const deployment::ModelRef ref{plan.model, "", live->identity->version};
    auto opened = co_await ports_.endpoints.load_candidate(project, plan.endpoint, ref);
    if (!opened) co_return std::move(opened).error();
    twin = *std::move(opened);
  }
  gates.push_back(co_await gates_.run(scan));
  if (fits) {
    auto test = [&] {
      const auto asked = samples(project, plan, live, candidate);
      gates.push_back(check_answers(*live, *candidate, asked, stop));
      gates.push_back(check_load(*live, *candidate, asked, plan.limits, ports_.clock, kLoadThreads,
                                 kLoadTime, stop));
      const auto before = ports_.endpoints.probe(*twin, kProbes, stop);
      const auto now = ports_.endpoints.probe(*candidate, kProbes, stop);
      gates.push_back(check_inputs(before, now));
      gates.push_back(check_memory(before, now, plan.limits));
      return true;
    };
    co_await gates_.run(test);
    // Cut short, they say nothing of the version.
    if (stop.stop_requested()) co_return Error(Code::kCancelled, "the server is stopping");
  }
  if (fits && plan.golden) {
    auto golden = co_await look_at_golden(caller, *plan.golden, live, candidate);
    if (!golden) co_return std::move(golden).error();
    gates.push_back(*std::move(golden));
  }
  auto report = co_await ports_.verdicts.explain(caller, plan.model, plan.version, std::nullopt);
  if (!report && report.error().code != Code::kNotFound) co_return std::move(report).error();
  const Json facts = report ? report->report : Json();
  gates.push_back(check_questions(facts));
  co_return gates;
}

Task<Result<GoldenRows>> Releases::read_golden(const kernel::Caller& caller, Golden golden,
                                               std::size_t limit) {
  const auto place = scoring::Place::parse(golden.input, "golden.input");
  if (!place) co_return place.error();
  auto warehouse = co_await ports_.warehouse(caller);
  if (!warehouse) co_return std::move(warehouse).error();
  storage::warehouse::QueryRequest ask;
  ask.sql = fmt::format("SELECT * FROM {} LIMIT {}", place->sql(), limit);
  auto answer = co_await (*warehouse)->query_json(caller, std::move(ask));
  if (!answer) co_return std::move(answer).error();
  GoldenRows rows{wire::sql_engine::columns_from((*answer)["columns"]), (*answer)["rows"]};
  STRATA_CO_TRY(check_columns(golden, rows.columns));
  co_return rows;
}

// A set that cannot be read fails its gate, and a person may say that the release goes on.
Task<Result<GateResult>> Releases::look_at_golden(const kernel::Caller& caller, Golden golden,
                                                  Live live, Live candidate) {
  GateResult failed{.gate = "golden"};
  failed.verdict = GateResult::Verdict::kFail;
  const auto rows = co_await read_golden(caller, golden, kMostGolden + 1);
  if (!rows) {
    failed.reason =
        fmt::format("'{}' cannot be read: {}", printable(golden.input), rows.error().message);
    co_return failed;
  }
  if (rows->rows.size() > kMostGolden) {
    failed.reason = fmt::format(
        "'{}' has more than {} rows; name a smaller one, such as a view "
        "of a sample",
        printable(golden.input), kMostGolden);
    co_return failed;
  }
  const auto stop = ports_.scope.token();
  auto ask = [&] {
    return ask_golden(golden, *rows, *live, *candidate, stop);
  };
  co_return co_await gates_.run(ask);
}

// The newest recorded requests, or one without values where there are none. Blocks.
std::vector<Sample> Releases::samples(const ProjectId& project, const Plan& plan, const Live& live,
                                      const Live& candidate) {
  std::vector<Sample> out;
  const auto recorded =
      ports_.endpoints.predictions().newest(project.str(), plan.endpoint, kGateSamples);
  const bool columns = !live->binding->contract().columns.empty();
  for (std::size_t i = 0; columns && recorded && i < recorded->predictions.size(); ++i) {
    const auto& prediction = recorded->predictions[i];
    if (prediction.status != "ok" || prediction.rows.empty()) continue;
    Json row = Json::object();
    for (const auto& [name, value] : prediction.rows.front().inputs.as_object())
      if (!value.is_null()) row.set(name, value);
    const std::string body =
        Json::object({{"dataframe_records", Json(Json::Array{std::move(row)})}}).dump();
    const auto request = wire::decode_scoring(body, "application/json");
    if (!request) continue;
    auto first = live->binding->bind(*request);
    auto second = candidate->binding->bind(*request);
    if (first && second) out.push_back({*std::move(first), *std::move(second)});
  }
  if (out.empty()) out.push_back({live->binding->blank(), candidate->binding->blank()});
  return out;
}

// Lets the candidate answer what the state says, no more.
Task<Status> Releases::follow_routing(const std::shared_ptr<Active>& active, const State& state) {
  const auto& plan = active->plan;
  const Wanted want = wanted(plan, state);
  auto caller = ports_.identity.system_caller();
  caller.project = active->project;
  const auto info = ports_.endpoints.get(caller, plan.endpoint);
  const std::string live = info && info->live ? info->live->identity->version : "";
  if (!info || (!live.empty() && live != plan.live && live != plan.version) ||
      (live == plan.version && !state.moved && !state.over())) {
    Event event{EventKind::kSuperseded, state.stage, state.step,
                !info ? "the endpoint was deleted"
                      : fmt::format("the endpoint answers with version {} by another hand", live)};
    if (!state.over()) co_return co_await apply(active, std::move(event), "strata", Json());
    co_return Status();
  }
  if (state.stage == Stage::kGated && active->candidate != nullptr) {
    Event event{EventKind::kReady, Stage::kGated, 0, ""};
    co_return co_await apply(active, std::move(event), "strata", Json());
  }
  if (live == plan.live && state.stage == Stage::kLive) active->old = info->live;
  deployment::Arms arms;
  arms.release = active->id;
  arms.observer = active;
  arms.share = want.share;
  arms.shadow = want.shadow;
  if (want.candidate) arms.candidate = active->candidate;
  if (want.keep_old) arms.candidate = active->old;
  // The way back from a version that is live: the old one answers all until the alias names it.
  if (state.stage == Stage::kRolledBack && live == plan.version && state.moved) {
    arms.candidate = active->old;
    arms.share = deployment::kBuckets;
  }
  const bool any =
      arms.candidate != nullptr && (arms.share > 0 || arms.shadow || want.keep_old || state.over());
  if (!any) {
    ports_.endpoints.clear_arms(active->project, plan.endpoint, active->id);
    co_return Status();
  }
  const auto& now = info->arms;
  const bool same = now != nullptr && now->candidate == arms.candidate &&
                    now->share == arms.share && now->shadow == arms.shadow;
  // A limit that was broken meanwhile has taken the candidate away.
  if (same || active->decided_harm()) co_return Status();
  co_return ports_.endpoints.set_arms(active->project, plan.endpoint, std::move(arms));
}

// Moves the alias where the state wants it, and sees what the endpoint makes of it. True when the
// release is over and nothing is left to do.
Task<bool> Releases::follow_alias(const std::shared_ptr<Active>& active, const State& state) {
  const auto& plan = active->plan;
  const Wanted want = wanted(plan, state);
  auto system = ports_.identity.system_caller();
  system.project = active->project;
  if (!want.alias.empty()) {
    const auto named = co_await ports_.models.version_by_alias(system, plan.model, plan.alias);
    const std::string now = named ? std::to_string(named->version) : "";
    const bool up = want.alias == plan.version;
    // Back only from where this release moved it; another's move stands.
    const bool moves = up ? now == plan.live : now == plan.version;
    if (moves) {
      auto mover = system;
      if (up) {
        auto renewed = ports_.identity.act_as(active->actor, active->project);
        if (renewed) renewed->permissions &= kernel::parse_scopes(active->scope).value_or({});
        if (!renewed || !renewed->may(kernel::Permission::kModelWrite)) {
          Event stuck{EventKind::kStuck, state.stage, state.step,
                      fmt::format("'{}', who started the release, may no longer move the alias {}",
                                  active->actor, plan.alias)};
          const auto told = co_await apply(active, std::move(stuck), "strata", Json());
          if (!told) log::warn("release.stuck", Json::object({{"release", active->id}}));
          co_return false;
        }
        mover = *renewed;
      }
      const auto moved = co_await ports_.models.set_alias(mover, plan.model, plan.alias,
                                                          to_int(want.alias).value_or(0));
      if (!moved) {
        log::warn("release.alias",
                  Json::object({{"release", active->id}, {"error", moved.error().to_string()}}));
        co_return false;
      }
    }
  }
  const auto info = ports_.endpoints.get(system, plan.endpoint);
  const std::string live = info && info->live ? info->live->identity->version : "";
  Event event;
  if (state.stage == Stage::kLive && live == plan.version) {
    event = {EventKind::kFollowed, state.stage, state.step, ""};
  } else if (state.stage == Stage::kDraining &&
             ports_.clock.now().micros - active->since().micros >= plan.drain_seconds * 1'000'000) {
    event = {EventKind::kDrained, state.stage, state.step, ""};
  } else {
    const bool back = state.stage == Stage::kRolledBack && (!state.moved || live != plan.version);
    co_return state.stage == Stage::kRetired || back;
  }
  const auto told = co_await apply(active, std::move(event), "strata", active->findings());
  if (!told) {
    log::warn("release.follow",
              Json::object({{"release", active->id}, {"error", told.error().to_string()}}));
  }
  co_return false;
}

}  // namespace strata::platform::release
