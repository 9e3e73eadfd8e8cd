#include "platform/features/push.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/features/values.hpp"

namespace strata::platform::features {

namespace {

using expressions::Value;
using streams::KeySet;
using streams::Record;
using streams::Row;

// Reads the rows of one push.
class RowReader {
 public:
  RowReader(const Source& source, std::set<KeySet> sets, const std::set<std::string>& event_ids,
            Instant now)
      : source_(source),
        sets_(std::move(sets)),
        now_(now) {
    for (const auto& set : sets_)
      keys_.insert(set.columns.begin(), set.columns.end());
    keys_.insert(event_ids.begin(), event_ids.end());
  }

  Result<Row> read(const Json& json, const std::string& path, bool deleted) const {
    if (!json.is_object())
      return invalid(path, fmt::format("{}: expected an object, column to value", path));
    Row row;
    row.deleted = deleted;
    row.cells.resize(source_.columns.size());
    for (const auto& [name, value] : json.as_object()) {
      const Column* const column = source_.find(name);
      if (column == nullptr) return unknown_column(path, name);
      auto read = value_of(value, column->type, path + "." + name,
                           keys_.contains(name) ? kMaxKeyText : kMaxText);
      if (!read) return std::move(read).error();
      row.cells[static_cast<std::size_t>(column - source_.columns.data())] = *std::move(read);
    }
    const auto event = time_of(row, source_.timestamp);
    const std::string field = path + "." + source_.timestamp;
    if (!event) return invalid(field, field + ": is missing: each row needs the time of its event");
    if (*event > (now_ + kAhead).micros) {
      return invalid(field, fmt::format("{}: {} lies in the future; the server's clock says {}",
                                        field, show_micros(*event), show_micros(now_.micros)));
    }
    row.event = *event;
    if (!source_.created.empty()) {
      row.created = time_of(row, source_.created).value_or(streams::kOnArrival);
      // Else it would count online at once, and of the past only when its time has come.
      if (row.created > (now_ + kAhead).micros) {
        const std::string made = path + "." + source_.created;
        return invalid(made, fmt::format("{}: {} lies in the future; the server's clock says {}",
                                         made, show_micros(row.created), show_micros(now_.micros)));
      }
    }
    STRATA_TRY(check_key(row, path));
    return row;
  }

 private:
  const std::optional<Value>& cell(const Row& row, const std::string& name) const {
    return row.cells[static_cast<std::size_t>(source_.find(name) - source_.columns.data())];
  }

  std::optional<std::int64_t> time_of(const Row& row, const std::string& name) const {
    const auto& value = cell(row, name);
    return value && value->present ? std::optional(value->integer) : std::nullopt;
  }

  Error unknown_column(const std::string& path, const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& column : source_.columns)
      names.push_back(column.name);
    const std::string field = path + "." + printable(name);
    const std::string nearest = did_you_mean(name, names);
    return invalid(
        field,
        nearest.empty()
            ? fmt::format("{}: is no column of this stream; it has {}", field, join(names, ", "))
            : fmt::format("{}: is no column of this stream. Did you mean '{}'?", field, nearest));
  }

  Status check_key(const Row& row, const std::string& path) const {
    if (sets_.empty()) return {};
    const bool has_one = std::ranges::any_of(sets_, [&](const KeySet& set) {
      return std::ranges::all_of(set.columns, [&](const std::string& name) {
        const auto& value = cell(row, name);
        return value && value->present;
      });
    });
    if (has_one) return {};
    return invalid(path, fmt::format("{}: has no whole key of a view over this stream ({})", path,
                                     fmt::join(sets_.begin()->columns, ", ")));
  }

  const Source& source_;
  std::set<KeySet> sets_;
  std::set<std::string> keys_;  // columns of keys, and of what names events
  Instant now_;
};

Status read_all(const RowReader& reader, const Json& rows, std::string_view name, bool deleted,
                Record& to) {
  if (rows.is_null()) return {};
  if (!rows.is_array())
    return invalid(std::string(name), fmt::format("{}: expected a list of objects", name));
  for (const Json& json : rows.as_array()) {
    if (to.rows.size() == kMaxPushRows) {
      return invalid(std::string(name),
                     fmt::format("{}: more than {} rows; use several pushes", name, kMaxPushRows));
    }
    const auto number = static_cast<std::size_t>(&json - rows.as_array().data());
    auto row = reader.read(json, fmt::format("{}.{}", name, number), deleted);
    if (!row) return std::move(row).error();
    to.rows.push_back(*std::move(row));
  }
  return {};
}

// The column that a feature is, if it is no more than one.
std::string column_behind(const PlannedFeature& feature, const Source& source) {
  std::vector<expressions::Input> inputs;
  for (const auto& column : source.columns)
    inputs.push_back({column.name, column.type});
  for (const auto& column : source.columns) {
    const auto bare = expressions::Expression::compile('"' + column.name + '"', inputs);
    if (bare && bare->canonical() == feature.canonical()) return column.name;
  }
  return "";
}

}  // namespace

std::set<KeySet> key_sets(const Catalog& catalog, const std::string& project,
                          const std::string& stream) {
  std::set<KeySet> out;
  for (const auto& [name, view] : catalog.views) {
    if (view.on_demand || view.source != stream) continue;
    KeySet set{project, stream, {}};
    for (const auto& key : view.keys)
      set.columns.push_back(key.name);
    out.insert(std::move(set));
  }
  return out;
}

Result<Record> record_of(const Catalog& catalog, const std::string& project,
                         const PushRequest& request, Instant now) {
  const auto source = catalog.definitions.sources.find(request.stream);
  if (source == catalog.definitions.sources.end() || source->second.kind != Source::Kind::kStream) {
    return not_found(
        fmt::format("there is no stream '{}'; define a source with `stream: true` and "
                    "apply it",
                    printable(request.stream)));
  }
  if (request.idempotency_key.size() > 256)
    return invalid("idempotency_key", "idempotency_key: may have 256 bytes");
  Record out{project, request.stream, request.idempotency_key, 0, {}, {}};
  for (const auto& column : source->second.columns)
    out.columns.push_back({column.name, column.type});
  std::set<std::string> event_ids;
  for (const auto& [name, view] : catalog.views) {
    if (view.source == request.stream) event_ids.insert(view.event_id.begin(), view.event_id.end());
  }
  const RowReader reader(source->second, key_sets(catalog, project, request.stream), event_ids,
                         now);
  STRATA_TRY(read_all(reader, request.rows, "rows", false, out));
  STRATA_TRY(read_all(reader, request.deletes, "deletes", true, out));
  if (out.rows.empty()) return invalid("rows", "rows: there are none");
  return out;
}

Result<PushRequest> rows_of_view(const Catalog& catalog, const std::string& view,
                                 const Json& rows) {
  const auto planned = catalog.views.find(view);
  if (planned == catalog.views.end() || planned->second.on_demand)
    return not_found(fmt::format("there is no feature view '{}'", printable(view)));
  const Source& source = catalog.definitions.sources.at(planned->second.source);
  std::map<std::string, std::string> columns;
  for (const auto& column : source.columns)
    columns.emplace(column.name, column.name);
  columns.insert_or_assign("event_timestamp", source.timestamp);
  columns.insert_or_assign("created", source.created);
  for (const auto& feature : planned->second.features) {
    // A name that stands for a column and for something computed stands for the latter here.
    const std::string column = column_behind(feature, source);
    columns.insert_or_assign(feature.name, column.empty() ? "=" : column);
  }
  PushRequest out{planned->second.source, "", Json::array(), Json()};
  for (const Json& row : rows.as_array()) {
    Json mapped = Json::object();
    for (const auto& [name, value] : row.as_object()) {
      const auto column = columns.find(name);
      const std::string to = column == columns.end() ? name : column->second;
      if (to == "=") {
        const std::string field = "df." + name;
        return invalid(field, fmt::format("{}: is computed, and not a column of the stream '{}'; "
                                          "push what it is computed from",
                                          field, planned->second.source));
      }
      if (!to.empty()) mapped.set(to, value);  // no column for when it was created: arrival counts
    }
    out.rows.push(std::move(mapped));
  }
  return out;
}

}  // namespace strata::platform::features
