#include "platform/features/online.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/features/values.hpp"

namespace strata::platform::features {

using expressions::Value;
using streams::Cell;
using streams::KeyState;

namespace {

Status add_views(const Catalog& catalog, const std::string& name,
                 std::map<std::string, const PlannedView*>& to) {
  const PlannedView& view = catalog.views.at(name);
  for (const auto& read : view.reads)
    STRATA_TRY(add_views(catalog, read, to));
  if (view.on_demand) return {};
  if (catalog.definitions.sources.at(view.source).kind != Source::Kind::kStream) {
    return Error(
        Code::kUnsupported,
        fmt::format(
            "the view '{}' is over '{}', which is no stream: only views over streams are served",
            name, view.source),
        "features");
  }
  to.emplace(name, &view);
  return {};
}

const Value* find(const OnlineInput& input, std::size_t row, std::string_view name) {
  const auto at = std::ranges::lower_bound(input.columns, name, {}, &Column::name);
  if (at == input.columns.end() || at->name != name) return nullptr;
  return &input.rows[row][static_cast<std::size_t>(at - input.columns.begin())];
}

// Computes one row, each view once.
class Evaluation {
 public:
  Evaluation(const Catalog& catalog, const OnlineInput& input, std::size_t row,
             const std::map<std::string, ViewState>& states, Instant now)
      : catalog_(catalog),
        input_(input),
        row_(row),
        states_(states),
        now_(now) {}

  Result<FeatureValue> feature(const std::string& view, const std::string& feature) {
    if (!done_.contains(view)) STRATA_TRY(compute(view));
    const PlannedView& planned = catalog_.views.at(view);
    const auto at = static_cast<std::size_t>(planned.find(feature) - planned.features.data());
    return done_.at(view)[at];
  }

 private:
  Status compute(const std::string& name) {
    const PlannedView& view = catalog_.views.at(name);
    return view.on_demand ? compute_on_demand(name, view) : compute_view(name, view);
  }

  static bool is_key(const PlannedView& view, std::string_view column) {
    return std::ranges::find(view.keys, column, &Column::name) != view.keys.end();
  }

  // How old what a feature reads is, and whether it is there.
  FeatureValue judge(const PlannedView& view, const PlannedFeature& feature,
                     const KeyState& state) const {
    FeatureValue out{Value::null(feature.expression.type())};
    if (!state.exists()) return out;
    std::optional<std::int64_t> oldest;
    bool reads = false;
    for (const auto& input : feature.expression.inputs()) {
      if (is_key(view, input.name)) continue;
      reads = true;
      const Cell* const cell = state.find(input.name);
      if (cell != nullptr) oldest = std::min(oldest.value_or(cell->stamp.event), cell->stamp.event);
    }
    if (!reads) {  // of keys and constants: as old as the key
      for (const auto& [column, cell] : state.cells)
        oldest = std::max(oldest.value_or(cell.stamp.event), cell.stamp.event);
    }
    if (!oldest) return out;
    out.event = *oldest;
    const bool expired = view.ttl && now_.micros - *oldest > view.ttl->count();
    out.presence = expired ? Presence::kExpired : Presence::kPresent;
    return out;
  }

  static FeatureValue of_window(const PlannedFeature& feature, const ViewState& state,
                                std::size_t at) {
    if (state.newest.exists() && at < state.windows.size()) return state.windows[at];
    return {Value::null(feature.type())};
  }

  Status compute_view(const std::string& name, const PlannedView& view) {
    const KeyState& state = states_.at(name).newest;
    std::vector<Value> cells;
    for (const auto& input : view.program->inputs()) {
      const Cell* const cell = state.find(input.name);
      const Value* const key = is_key(view, input.name) ? find(input_, row_, input.name) : nullptr;
      cells.push_back(key != nullptr    ? *key
                      : cell != nullptr ? cell->value
                                        : Value::null(input.type));
    }
    const auto values = view.program->run(cells);
    if (!values) return values.error();
    std::vector<FeatureValue> out;
    for (std::size_t i = 0; i < view.features.size(); ++i) {
      if (view.features[i].aggregate) {
        out.push_back(of_window(view.features[i], states_.at(name), i));
        continue;
      }
      FeatureValue one = judge(view, view.features[i], state);
      if (one.presence == Presence::kPresent) {
        one.value = (*values)[i];
        if (!one.value.present) one.presence = Presence::kNull;
      }
      out.push_back(std::move(one));
    }
    done_.emplace(name, std::move(out));
    return {};
  }

  Status compute_on_demand(const std::string& name, const PlannedView& view) {
    std::vector<Value> cells;
    std::map<std::string, std::int64_t> events;
    for (const auto& input : view.program->inputs()) {
      const std::size_t dot = input.name.find('.');
      if (dot == std::string::npos) {
        cells.push_back(*find(input_, row_, input.name));
        continue;
      }
      const auto read = feature(input.name.substr(0, dot), input.name.substr(dot + 1));
      if (!read) return read.error();
      cells.push_back(read->value);
      if (read->presence == Presence::kPresent) events.emplace(input.name, read->event);
    }
    auto values = view.program->run(cells);
    if (!values) return values.error();
    std::vector<FeatureValue> out;
    for (std::size_t i = 0; i < view.features.size(); ++i) {
      std::int64_t oldest = now_.micros;
      for (const auto& input : view.features[i].expression.inputs()) {
        const auto event = events.find(input.name);
        if (event != events.end()) oldest = std::min(oldest, event->second);
      }
      const Presence presence = (*values)[i].present ? Presence::kPresent : Presence::kNull;
      out.push_back({std::move((*values)[i]), presence, oldest});
    }
    done_.emplace(name, std::move(out));
    return {};
  }

  const Catalog& catalog_;
  const OnlineInput& input_;
  std::size_t row_;
  const std::map<std::string, ViewState>& states_;
  Instant now_;
  std::map<std::string, std::vector<FeatureValue>> done_;
};

Status check_names(const Json& entities, const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const auto& column : columns)
    names.push_back(column.name);
  for (const auto& [name, values] : entities.as_object()) {
    if (std::ranges::find(names, name) != names.end()) continue;
    const std::string field = "entities." + printable(name);
    const std::string nearest = did_you_mean(name, names);
    return invalid(field, fmt::format("{}: is no key or field of these features; they take {}{}",
                                      field, names.empty() ? "none" : join(names, ", "),
                                      nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
  }
  return {};
}

}  // namespace

std::string_view presence_name(Presence presence) {
  constexpr std::array<std::string_view, 4> kNames = {"PRESENT", "NULL_VALUE", "NOT_FOUND",
                                                      "OUTSIDE_MAX_AGE"};
  return kNames.at(static_cast<std::size_t>(presence));
}

Result<OnlineInput> input_of(const PlannedService& service, const Json& entities,
                             std::size_t max_rows) {
  if (!entities.is_object())
    return invalid("entities", "entities: expected an object, key or field to a list of values");
  OnlineInput out;
  out.columns = service.keys;
  for (const auto& column : service.request) {
    const auto at = std::ranges::lower_bound(out.columns, column.name, {}, &Column::name);
    if (at == out.columns.end() || at->name != column.name) out.columns.insert(at, column);
  }
  STRATA_TRY(check_names(entities, out.columns));
  std::optional<std::size_t> rows;
  for (const auto& column : out.columns) {
    const std::string field = "entities." + column.name;
    const Json& values = entities[column.name];
    if (!values.is_array()) {
      return invalid(field, fmt::format("{}: is needed, as a list of {} values", field,
                                        type_name(column.type)));
    }
    if (values.size() > max_rows)
      return invalid(field, fmt::format("{}: more than {} values", field, max_rows));
    if (values.size() != rows.value_or(values.size())) {
      return invalid(field, fmt::format("{}: has {} values where others have {}", field,
                                        values.size(), *rows));
    }
    rows = values.size();
    out.rows.resize(*rows);
    for (std::size_t i = 0; i < *rows; ++i) {
      auto value =
          value_of(values.as_array()[i], column.type, fmt::format("{}.{}", field, i), kMaxKeyText);
      if (!value) return std::move(value).error();
      out.rows[i].push_back(*std::move(value));
    }
  }
  return out;
}

Result<PlannedService> service_of(const Catalog& catalog, const OnlineRequest& request) {
  if (request.service.empty() == request.features.empty())
    return invalid("features", "features: name either a service or features, as view.feature");
  if (request.service.empty())
    return plan_service(catalog, request.features, "features", request.full_names);
  const auto known = catalog.services.find(request.service);
  if (known != catalog.services.end()) return known->second;
  return not_found(
      fmt::format("there is no feature service '{}'; strata feature list --kind "
                  "service has those that are there",
                  printable(request.service)));
}

streams::KeySet key_set_of(const ProjectId& project, const PlannedView& view) {
  streams::KeySet out{project.str(), view.source, {}};
  for (const auto& key : view.keys)
    out.columns.push_back(key.name);
  return out;
}

Result<std::map<std::string, const PlannedView*>> state_views(const Catalog& catalog,
                                                              const PlannedService& service) {
  std::map<std::string, const PlannedView*> out;
  for (const auto& feature : service.features)
    STRATA_TRY(add_views(catalog, feature.view, out));
  return out;
}

std::optional<std::vector<Value>> key_in(const PlannedView& view, const OnlineInput& input,
                                         std::size_t row) {
  std::vector<Value> out;
  for (const auto& key : view.keys) {
    const Value* const value = find(input, row, key.name);
    if (value == nullptr || !value->present) return std::nullopt;
    out.push_back(*value);
  }
  return out;
}

Result<std::vector<FeatureValue>> evaluate(const Catalog& catalog, const PlannedService& service,
                                           const OnlineInput& input, std::size_t row,
                                           const std::map<std::string, ViewState>& states,
                                           Instant now) {
  Evaluation evaluation(catalog, input, row, states, now);
  std::vector<FeatureValue> out;
  for (const auto& feature : service.features) {
    auto value = evaluation.feature(feature.view, feature.feature);
    if (!value) return std::move(value).error();
    out.push_back(*std::move(value));
  }
  return out;
}

}  // namespace strata::platform::features
