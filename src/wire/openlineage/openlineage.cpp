#include "wire/openlineage/openlineage.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire::openlineage {

namespace {

constexpr std::array<std::string_view, 6> kStates = {"OTHER",    "START", "RUNNING",
                                                     "COMPLETE", "ABORT", "FAIL"};
constexpr int kMaxNesting = 16;                       // of structs in a schema
constexpr std::size_t kMaxNestedNames = 256U << 10U;  // bytes that structs add to names, an event

// Reads members of one object, and calls them by their whole path.
class Fields {
 public:
  Fields(const Json& json, std::string path) : json_(json), path_(std::move(path)) {}

  std::string path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
  }
  bool has(std::string_view name) const { return !json_[name].is_null(); }
  const Json& at(std::string_view name) const { return json_[name]; }

  // A text that must be there.
  Result<std::string> text(std::string_view name, std::string_view example,
                           std::size_t most = kMaxName) const {
    const Json& value = json_[name];
    const std::string path = path_of(name);
    if (value.is_null())
      return invalid(path, fmt::format("{}: is required, for example {}", path, example));
    if (!value.is_string() || value.as_string().empty()) {
      return invalid(
          path, fmt::format("{}: must be a text that is not empty, not {}; for example "
                            "{}",
                            path, value.is_string() ? "an empty one" : value.type_name(), example));
    }
    if (value.as_string().size() > most) {
      return invalid(path, fmt::format("{}: has {} bytes; at most {} are taken", path,
                                       value.as_string().size(), most));
    }
    return value.as_string();
  }

  // An object, empty when it is not there.
  Result<Json> object(std::string_view name, bool required = false) const {
    const Json& value = json_[name];
    const std::string path = path_of(name);
    if (value.is_null() && !required) return Json::object();
    if (value.is_null()) return invalid(path, fmt::format("{}: is required, an object", path));
    if (!value.is_object())
      return invalid(path, fmt::format("{}: must be an object, not {}", path, value.type_name()));
    return value;
  }

  // A list, empty when it is not there.
  Result<Json> list(std::string_view name, std::size_t most) const {
    const Json& value = json_[name];
    const std::string path = path_of(name);
    if (value.is_null()) return Json::array();
    if (!value.is_array())
      return invalid(path, fmt::format("{}: must be a list, not {}", path, value.type_name()));
    if (value.size() > most) {
      return invalid(path, fmt::format("{}: has {} entries; at most {} are taken, so send the rest "
                                       "in a further event",
                                       path, value.size(), most));
    }
    return value;
  }

 private:
  const Json& json_;
  std::string path_;
};

Result<Instant> read_time(const Fields& event) {
  auto text = event.text("eventTime", "2026-11-23T10:32:00Z", 64);
  if (!text) return std::move(text).error();
  const auto clock = text->find_first_of("Tt ");
  const bool zoned =
      clock != std::string::npos && text->find_first_of("Zz+-", clock) != std::string::npos;
  const auto time = parse_rfc3339(zoned ? *text : *text + "Z");
  if (time) return *time;
  return invalid("eventTime",
                 fmt::format("eventTime: '{}' is no time; write it as 2026-11-23T10:32:00Z or "
                             "2026-11-23T10:32:00+01:00",
                             printable(*text)));
}

Result<RunState> read_state(const Fields& event) {
  if (!event.has("eventType")) return RunState::kOther;
  auto text = event.text("eventType", "COMPLETE", 64);
  if (!text) return std::move(text).error();
  const auto at = std::find(kStates.begin(), kStates.end(), *text);
  if (at != kStates.end()) return static_cast<RunState>(at - kStates.begin());
  return invalid("eventType",
                 fmt::format("eventType: '{}' is none; use START, RUNNING, COMPLETE, ABORT, FAIL "
                             "or OTHER",
                             printable(*text)));
}

Result<std::string> read_run_id(const Fields& run) {
  constexpr std::string_view kExample = "01939a5c-0f3e-7c5e-b0f6-7a0f4c6d2b11";
  auto text = run.text("runId", kExample);
  if (!text) return std::move(text).error();
  bool fits = text->size() == kExample.size();
  for (std::size_t i = 0; fits && i < text->size(); ++i) {
    const char c = (*text)[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    fits = kExample[i] == '-' ? c == '-' : hex;
  }
  if (fits) return to_lower(*text);
  return invalid(run.path_of("runId"),
                 fmt::format("{}: '{}' is no UUID, for example {}", run.path_of("runId"),
                             printable(*text), kExample));
}

Result<Identifier> read_identifier(const Fields& fields) {
  auto space = fields.text("namespace", "postgres://db.example:5432");
  if (!space) return std::move(space).error();
  auto name = fields.text("name", "schema.table");
  if (!name) return std::move(name).error();
  return Identifier{*std::move(space), *std::move(name)};
}

Result<Json> read_facets(const Fields& owner, std::string_view name) {
  auto facets = owner.object(name);
  if (!facets) return facets;
  const std::string path = owner.path_of(name);
  if (facets->size() > kMaxFacets) {
    return invalid(path, fmt::format("{}: has {} facets; at most {} are taken", path,
                                     facets->size(), kMaxFacets));
  }
  for (const auto& [facet, value] : facets->as_object()) {
    if (value.is_object()) continue;
    const std::string at = fmt::format("{}.{}", path, printable(facet));
    return invalid(at, fmt::format("{}: must be an object, not {}", at, value.type_name()));
  }
  return facets;
}

// `nested` counts, over the whole event, the bytes that the names of structs add to their columns:
// few bytes of an event can ask for very many of them.
Status add_columns(const Fields& owner, const std::string& prefix, int depth, std::size_t& nested,
                   std::vector<Column>& out) {
  const auto fields = owner.list("fields", kMaxColumns);
  if (!fields) return fields.error();
  for (std::size_t i = 0; i < fields->size(); ++i) {
    const Fields column(fields->as_array()[i], owner.path_of(fmt::format("fields[{}]", i)));
    auto name = column.text("name", "carrier");
    if (!name) return std::move(name).error();
    nested += prefix.size();
    if (prefix.size() + name->size() > kMaxName || nested > kMaxNestedNames) {
      const std::string path = column.path_of("name");
      return invalid(path, fmt::format("{}: with the structs around it a name takes at most {} "
                                       "bytes, and all structs' names add at most {} to those of "
                                       "an event; leave out the inner fields",
                                       path, kMaxName, kMaxNestedNames));
    }
    out.push_back({prefix + *name, fields->as_array()[i].text("type")});
    if (out.size() > kMaxColumns || depth > kMaxNesting) {
      return invalid(owner.path_of("fields"),
                     fmt::format("{}: more than {} columns, or structs within {} others",
                                 owner.path_of("fields"), kMaxColumns, kMaxNesting));
    }
    STRATA_TRY(add_columns(column, prefix + *name + ".", depth + 1, nested, out));
  }
  return {};
}

Status read_assertions(const Fields& facet, std::vector<Assertion>& out) {
  const auto list = facet.list("assertions", kMaxAssertions);
  if (!list) return list.error();
  for (std::size_t i = 0; i < list->size(); ++i) {
    const Json& one = list->as_array()[i];
    const Fields fields(one, facet.path_of(fmt::format("assertions[{}]", i)));
    auto what = fields.text("assertion", "not_null");
    if (!what) return std::move(what).error();
    if (!one["success"].is_bool()) {
      const std::string path = fields.path_of("success");
      return invalid(
          path, fmt::format("{}: must be true or false, not {}", path, one["success"].type_name()));
    }
    out.push_back({*std::move(what), one.text("column"), one.text("name"), one.boolean("success"),
                   equal_ignoring_case(one.text("severity"), "warn")});
  }
  return {};
}

Result<std::optional<std::int64_t>> read_count(const Fields& facet, std::string_view name) {
  const Json& value = facet.at(name);
  if (value.is_null()) return std::optional<std::int64_t>();
  if (value.is_int() && value.as_int() >= 0) return std::optional(value.as_int());
  const std::string path = facet.path_of(name);
  return invalid(path, fmt::format("{}: must be an integer from 0 on, not {}", path,
                                   printable(value.dump()).substr(0, 40)));
}

Status read_symlinks(const Fields& facet, std::vector<Identifier>& out) {
  const auto list = facet.list("identifiers", kMaxFacets);
  if (!list) return list.error();
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto id = read_identifier(
        Fields(list->as_array()[i], facet.path_of(fmt::format("identifiers[{}]", i))));
    if (!id) return std::move(id).error();
    out.push_back(*std::move(id));
  }
  return {};
}

// The facets that mean something here; `group` is "facets", "inputFacets" or "outputFacets".
Status read_known(const Json& facets, const std::string& path, std::size_t& nested,
                  DatasetReport& out) {
  if (const Json* const schema = facets.find("schema")) {
    out.schema.emplace();
    if (!schema->boolean("_deleted"))
      STRATA_TRY(add_columns(Fields(*schema, path + ".schema"), "", 0, nested, *out.schema));
  }
  if (const Json* const quality = facets.find("dataQualityAssertions")) {
    out.assertions.emplace();
    if (!quality->boolean("_deleted"))
      STRATA_TRY(
          read_assertions(Fields(*quality, path + ".dataQualityAssertions"), *out.assertions));
  }
  if (const Json* const written = facets.find("outputStatistics")) {
    const Fields fields(*written, path + ".outputStatistics");
    const auto rows = read_count(fields, "rowCount");
    if (!rows) return rows.error();
    const auto bytes = read_count(fields, "size");
    if (!bytes) return bytes.error();
    out.rows = *rows;
    out.bytes = *bytes;
  }
  if (const Json* const links = facets.find("symlinks"); links && !links->boolean("_deleted"))
    STRATA_TRY(read_symlinks(Fields(*links, path + ".symlinks"), out.symlinks));
  return {};
}

Result<DatasetReport> read_dataset(const Fields& fields, std::string_view more,
                                   std::size_t& nested) {
  auto id = read_identifier(fields);
  if (!id) return std::move(id).error();
  DatasetReport out;
  out.id = *std::move(id);
  for (const std::string_view group : {std::string_view("facets"), more}) {
    if (group.empty()) continue;
    const auto facets = read_facets(fields, group);
    if (!facets) return facets.error();
    STRATA_TRY(read_known(*facets, fields.path_of(group), nested, out));
    for (const auto& [name, value] : facets->as_object())
      out.facets.set(name, value);
  }
  return out;
}

Result<std::vector<DatasetReport>> read_datasets(const Fields& event, std::string_view name,
                                                 std::string_view more, std::size_t& nested) {
  const auto list = event.list(name, kMaxDatasets);
  if (!list) return list.error();
  std::vector<DatasetReport> out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = fmt::format("{}[{}]", name, i);
    if (!list->as_array()[i].is_object()) {
      return invalid(path, fmt::format("{}: must be an object, not {}", path,
                                       list->as_array()[i].type_name()));
    }
    auto one = read_dataset(Fields(list->as_array()[i], path), more, nested);
    if (!one) return std::move(one).error();
    out.push_back(*std::move(one));
  }
  return out;
}

Status read_run(const Fields& event, Event& out) {
  const auto run = event.object("run", true);
  if (!run) return run.error();
  const Fields fields(*run, "run");
  auto id = read_run_id(fields);
  if (!id) return std::move(id).error();
  out.run_id = *std::move(id);
  auto facets = read_facets(fields, "facets");
  if (!facets) return std::move(facets).error();
  out.run_facets = *std::move(facets);
  out.error = out.run_facets["errorMessage"].text("message");
  out.parent_run = out.run_facets["parent"]["run"].text("runId");
  const auto state = read_state(event);
  if (!state) return state.error();
  out.state = *state;
  return {};
}

Status read_job(const Fields& event, Event& out) {
  const auto job = event.object("job", true);
  if (!job) return job.error();
  const Fields fields(*job, "job");
  auto id = read_identifier(fields);
  if (!id) return std::move(id).error();
  out.job = *std::move(id);
  auto facets = read_facets(fields, "facets");
  if (!facets) return std::move(facets).error();
  out.job_facets = *std::move(facets);
  std::size_t nested = 0;
  auto inputs = read_datasets(event, "inputs", "inputFacets", nested);
  if (!inputs) return std::move(inputs).error();
  auto outputs = read_datasets(event, "outputs", "outputFacets", nested);
  if (!outputs) return std::move(outputs).error();
  out.inputs = *std::move(inputs);
  out.outputs = *std::move(outputs);
  return {};
}

}  // namespace

std::string_view run_state_name(RunState state) {
  return kStates[static_cast<std::size_t>(state)];
}

Result<Event> read_event(const Json& json) {
  if (!json.is_object()) {
    return invalid("",
                   fmt::format("an event of OpenLineage is an object, not {}", json.type_name()));
  }
  const Fields fields(json, "");
  Event out;
  auto producer = fields.text("producer", "https://github.com/apache/airflow");
  if (!producer) return std::move(producer).error();
  out.producer = *std::move(producer);
  STRATA_TRY(fields.text("schemaURL",
                         "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"));
  const auto time = read_time(fields);
  if (!time) return time.error();
  out.time = *time;
  if (!fields.has("dataset")) {
    out.kind = fields.has("run") ? Kind::kRun : Kind::kJob;
    if (out.kind == Kind::kJob && !fields.has("job")) {
      return invalid("run",
                     "run: is required, or send 'job' alone for a job's event, or 'dataset' "
                     "alone for a dataset's");
    }
    if (out.kind == Kind::kRun) STRATA_TRY(read_run(fields, out));
    STRATA_TRY(read_job(fields, out));
    return out;
  }
  if (fields.has("run") || fields.has("job")) {
    return invalid("dataset",
                   "dataset: stands alone; what a run or job reads and writes belongs into "
                   "'inputs' and 'outputs'");
  }
  out.kind = Kind::kDataset;
  const auto dataset = fields.object("dataset", true);
  if (!dataset) return dataset.error();
  std::size_t nested = 0;
  auto report = read_dataset(Fields(*dataset, "dataset"), "", nested);
  if (!report) return std::move(report).error();
  out.outputs.push_back(*std::move(report));
  return out;
}

}  // namespace strata::wire::openlineage
