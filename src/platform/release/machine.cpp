#include "platform/release/machine.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace strata::platform::release {

namespace {

constexpr std::array<std::string_view, 8> kStages = {
    "registered", "gated", "shadow", "canary", "live", "draining", "retired", "rolled_back"};
constexpr std::array<std::string_view, 15> kEvents = {
    "gates_passed", "gates_failed", "ready",    "enough",     "doubt",
    "harm",         "stuck",        "followed", "superseded", "drained",
    "paused",       "resumed",      "promoted", "overridden", "rolled_back"};
constexpr std::uint32_t kHalf = 5'000;

Error not_now(std::string_view what, const State& state) {
  return Error(Code::kConflict,
               fmt::format("{}; the release is {}{}", what, stage_name(state.stage),
                           state.held.empty() ? "" : ", held: " + state.held));
}

// The next stage or step of the way up.
State onward(const Plan& plan, State state) {
  switch (state.stage) {
    case Stage::kGated:
      state.stage = plan.shadow_sample > 0 ? Stage::kShadow : Stage::kCanary;
      break;
    case Stage::kShadow:
      state.stage = Stage::kCanary;
      break;
    case Stage::kCanary:
      if (state.step + 1 < plan.steps.size()) {
        ++state.step;
        break;
      }
      state.stage = Stage::kLive;
      state.moved = true;
      break;
    default:
      break;
  }
  return state;
}

State rolled_back(State state) {
  state.stage = Stage::kRolledBack;
  state.held.clear();
  state.paused = false;
  return state;
}

// What a person asks for.
Result<State> on_wish(const Plan& plan, State state, const Event& event) {
  if (state.over()) return not_now("it is over", state);
  switch (event.kind) {
    case EventKind::kPause:
      state.paused = true;
      return state;
    case EventKind::kResume:
      if (state.stage == Stage::kRegistered && !state.held.empty())
        return not_now("a failed gate is overridden with a reason, or rolled back", state);
      if (!state.paused && state.held.empty()) return not_now("it is not paused", state);
      state.paused = false;
      state.held.clear();
      return state;
    case EventKind::kOverride:
      if (state.stage != Stage::kRegistered || state.held.empty())
        return not_now("only gates that failed can be overridden", state);
      state.held.clear();
      state.gates = true;
      state.stage = Stage::kGated;
      return state;
    case EventKind::kPromote:
      if (state.stage != Stage::kShadow && state.stage != Stage::kCanary)
        return not_now("only a shadow or a canary can be promoted", state);
      state.paused = false;
      state.held.clear();
      return onward(plan, std::move(state));
    default:
      return rolled_back(std::move(state));
  }
}

// What the evidence of a stage and step says.
State on_evidence(const Plan& plan, State state, const Event& event) {
  const bool watched = state.stage == Stage::kShadow || state.stage == Stage::kCanary;
  if (!watched || event.stage != state.stage || event.step != state.step) return state;
  if (event.kind == EventKind::kHarm) return rolled_back(std::move(state));
  if (state.paused || !state.held.empty()) return state;
  if (event.kind == EventKind::kEnough) return onward(plan, std::move(state));
  state.held = event.reason;
  return state;
}

}  // namespace

std::string_view stage_name(Stage stage) {
  return kStages[static_cast<std::size_t>(stage)];
}

Result<Stage> parse_stage(std::string_view name) {
  const auto* const found = std::ranges::find(kStages, name);
  if (found == kStages.end())
    return invalid("stage", fmt::format("'{}' is no stage of a release", name));
  return static_cast<Stage>(found - kStages.begin());
}

std::string_view event_name(EventKind kind) {
  return kEvents[static_cast<std::size_t>(kind)];
}

Json Plan::to_json() const {
  Json list = Json::array();
  for (const auto& one : steps)
    list.push(Json::object({{"share", one.share}, {"sample", one.sample}}));
  return Json::object({{"endpoint", endpoint},
                       {"model", model},
                       {"alias", alias},
                       {"version", version},
                       {"digest", digest},
                       {"live", live},
                       {"live_digest", live_digest},
                       {"shadow_sample", shadow_sample},
                       {"steps", list},
                       {"limits", limits.to_json()},
                       {"drain_seconds", drain_seconds},
                       {"golden", golden ? golden->to_json() : Json()}});
}

Plan plan_from_json(const Json& json) {
  Plan plan;
  plan.endpoint = json.text("endpoint");
  plan.model = json.text("model");
  plan.alias = json.text("alias");
  plan.version = json.text("version");
  plan.digest = json.text("digest");
  plan.live = json.text("live");
  plan.live_digest = json.text("live_digest");
  plan.shadow_sample = static_cast<std::uint64_t>(json.integer("shadow_sample"));
  plan.steps.clear();
  for (const auto& one : json["steps"].as_array()) {
    plan.steps.push_back({static_cast<std::uint32_t>(one.integer("share")),
                          static_cast<std::uint64_t>(one.integer("sample"))});
  }
  plan.limits = Limits::from_json(json["limits"]).value_or(Limits{});
  plan.drain_seconds = json.integer("drain_seconds");
  if (json["golden"].is_object()) {
    auto golden = Golden::from_json(json["golden"]);
    if (golden) plan.golden = *std::move(golden);
  }
  return plan;
}

Status check_plan(const Plan& plan) {
  if (plan.steps.empty() || plan.steps.size() > 20)
    return invalid("steps", "steps: must be from 1 to 20 shares of the traffic");
  Step before;
  for (const auto& one : plan.steps) {
    if (one.share <= before.share || one.share > kHalf) {
      return invalid(
          "steps", fmt::format("steps: {} % does not follow on {} %; shares ascend from more than "
                               "0 to 50, as the control is as large as the canary",
                               one.share / 100.0, before.share / 100.0));
    }
    if (one.sample < std::max<std::uint64_t>(before.sample, 1))
      return invalid("steps",
                     "steps: a sample counts the requests of all steps so far, so it must "
                     "be at least 1 and not fall");
    before = one;
  }
  if (plan.drain_seconds < 0 || plan.drain_seconds > 86'400)
    return invalid("drain_seconds", "drain_seconds: must be from 0 to 86400");
  return {};
}

Json State::to_json() const {
  return Json::object({{"stage", stage_name(stage)},
                       {"step", step},
                       {"gates", gates},
                       {"moved", moved},
                       {"paused", paused},
                       {"held", held}});
}

Result<State> State::from_json(const Json& json) {
  auto at = parse_stage(json.text("stage"));
  if (!at) return at.error().wrap("the record of a release is damaged");
  State state;
  state.stage = *at;
  state.step = static_cast<std::size_t>(json.integer("step"));
  state.gates = json.boolean("gates");
  state.moved = json.boolean("moved");
  state.paused = json.boolean("paused");
  state.held = json.text("held");
  return state;
}

Result<State> step(const Plan& plan, const State& state, const Event& event) {
  const bool wish = event.kind >= EventKind::kPause;
  if (wish) return on_wish(plan, state, event);
  if (state.over()) return state;
  State next = state;
  switch (event.kind) {
    case EventKind::kGatesPassed:
      if (state.stage != Stage::kRegistered) return state;
      next.gates = true;
      next.held.clear();
      next.stage = Stage::kGated;
      return next;
    case EventKind::kGatesFailed:
      if (state.stage == Stage::kRegistered) next.held = event.reason;
      return next;
    case EventKind::kReady:
      if (state.stage != Stage::kGated || state.paused || !state.held.empty()) return state;
      return onward(plan, std::move(next));
    case EventKind::kEnough:
    case EventKind::kDoubt:
    case EventKind::kHarm:
      return on_evidence(plan, std::move(next), event);
    case EventKind::kStuck:
      next.held = event.reason;
      return next;
    case EventKind::kFollowed:
      if (state.stage == Stage::kLive) {
        next.stage = Stage::kDraining;
        next.held.clear();
      }
      return next;
    case EventKind::kSuperseded:
      next.moved = false;  // by another hand, which knows what it wants
      return rolled_back(std::move(next));
    default:
      if (state.stage == Stage::kDraining && !state.paused) {
        next.stage = Stage::kRetired;
        next.held.clear();
      }
      return next;
  }
}

Wanted wanted(const Plan& plan, const State& state) {
  Wanted out;
  switch (state.stage) {
    case Stage::kRegistered:
      out.gates = state.held.empty() && !state.paused;
      break;
    case Stage::kGated:
      out.candidate = true;
      break;
    case Stage::kShadow:
      out.candidate = out.shadow = true;
      break;
    case Stage::kCanary:
      out.candidate = true;
      out.share = plan.steps[state.step].share;
      break;
    case Stage::kLive:
      out.candidate = true;
      out.share = plan.steps.back().share;
      if (state.held.empty() && !state.paused) out.alias = plan.version;
      break;
    case Stage::kDraining:
      out.keep_old = true;
      break;
    case Stage::kRetired:
      break;
    case Stage::kRolledBack:
      if (state.moved) out.alias = plan.live;
      break;
  }
  return out;
}

std::optional<Event> judge(const Plan& plan, const State& state, const Evidence& evidence) {
  const bool shadow = state.stage == Stage::kShadow;
  if (!shadow && state.stage != Stage::kCanary) return std::nullopt;
  Event event{EventKind::kHarm, state.stage, state.step, {}};
  if (const auto harm = evidence.harm()) {
    event.reason = fmt::format("{}: {:.4g} against the control's {:.4g}, at most {:.4g} allowed",
                               harm->metric, harm->candidate, harm->control, harm->limit);
    return event;
  }
  if (state.paused || !state.held.empty()) return std::nullopt;
  const auto sample =
      static_cast<double>(shadow ? plan.shadow_sample : plan.steps[state.step].sample);
  const double seen = std::min(evidence.requests(false), evidence.requests(true));
  if (seen < sample) return std::nullopt;
  const auto all = evidence.findings();
  const auto beyond = std::ranges::find_if(all, [](const Finding& f) { return !f.within(); });
  event.kind = EventKind::kEnough;
  if (beyond == all.end()) return event;
  if (seen < sample * static_cast<double>(kPatience)) return std::nullopt;
  event.kind = EventKind::kDoubt;
  event.reason = fmt::format(
      "{}: {:.4g} against the control's {:.4g}, which is beyond {:.4g} but "
      "not certain after {} requests",
      beyond->metric, beyond->candidate, beyond->control, beyond->limit, seen);
  return event;
}

}  // namespace strata::platform::release
