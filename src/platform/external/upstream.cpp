#include <deque>
#include <set>

#include <fmt/format.h>

#include "platform/external/external.hpp"
#include "platform/external/names.hpp"

namespace strata::platform::external {

using kernel::Reader;
using kernel::Row;

namespace {

Result<std::vector<wire::openlineage::Column>> columns_of(const std::string& text) {
  const auto json = parse_json(text);
  if (!json) return json.error().wrap("a kept schema cannot be read");
  std::vector<wire::openlineage::Column> out;
  for (const auto& column : json->as_array())
    out.push_back({column.text("name"), column.text("type")});
  return out;
}

Result<std::vector<wire::openlineage::Assertion>> failures_of(const std::string& text) {
  const auto json = parse_json(text);
  if (!json) return json.error().wrap("kept assertions cannot be read");
  std::vector<wire::openlineage::Assertion> out;
  for (const auto& one : json->as_array()) {
    if (one.boolean("success")) continue;
    out.push_back({one.text("assertion"), one.text("column"), one.text("name"), false,
                   one.boolean("only_warns")});
  }
  return out;
}

// Goes up from datasets to the jobs that make them, to what those read, and so on.
class Climb {
 public:
  Climb(Reader& reader, const ProjectId& project, Instant trained)
      : reader_(reader),
        project_(project),
        trained_(trained) {}

  // What `owned` names, and the folders that it lies in.
  Status begin(const std::string& owned) {
    STRATA_TRY(meet_owned(owned));
    if (!owned.starts_with("lake:")) return {};
    std::string folder = owned;
    while (folder.contains('/')) {
      folder.resize(folder.rfind('/'));
      STRATA_TRY(meet_owned(folder));
    }
    return {};
  }

  Result<Upstream> climb() {
    while (!queue_.empty()) {
      const Met dataset = std::move(queue_.front());
      queue_.pop_front();
      STRATA_TRY(visit(dataset));
    }
    out_.subjects.assign(subjects_.begin(), subjects_.end());
    return std::move(out_);
  }

 private:
  struct Met {
    std::int64_t id = 0;
    Identifier name;
    std::string owned;
  };

  Status meet_owned(const std::string& owned) {
    if (!subjects_.insert(owned).second) return {};
    const auto rows = reader_.query(
        "SELECT id, namespace, name, owned FROM external_datasets WHERE project = ? AND owned = ? "
        "ORDER BY id",
        {project_.str(), owned});
    if (!rows) return rows.error();
    for (const auto& row : *rows)
      meet(row);
    return {};
  }

  void meet(const Row& row) {
    if (seen_.contains(row.integer(0))) return;
    if (seen_.size() >= ExternalLineage::kMaxVisited) {
      out_.truncated = true;
      return;
    }
    seen_.insert(row.integer(0));
    queue_.push_back({row.integer(0), {row.text(1), row.text(2)}, row.text(3)});
  }

  Status visit(const Met& dataset) {
    if (dataset.owned.empty()) {
      subjects_.insert(dataset_subject(dataset.name, ""));
    } else {
      // The same thing may be known by several names, and be written as a part of its folder.
      STRATA_TRY(begin(dataset.owned));
    }
    const auto writers = reader_.query(
        "SELECT j.id, j.namespace, j.name FROM external_uses u JOIN external_jobs j ON j.id = "
        "u.job WHERE u.dataset = ? AND u.role = 'out' AND u.last_us >= j.declared_us ORDER BY "
        "j.namespace, j.name",
        {dataset.id});
    if (!writers) return writers.error();
    for (const auto& writer : *writers)
      STRATA_TRY(visit_job(writer.integer(0), {writer.text(1), writer.text(2)}));
    return add_reports(dataset);
  }

  Status visit_job(std::int64_t id, Identifier name) {
    if (!jobs_.insert(id).second) return {};
    subjects_.insert(job_subject(name));
    const auto ended = reader_.first(
        "SELECT run_id, state, error FROM external_runs WHERE job = ? AND ended_us IS NOT NULL "
        "ORDER BY ended_us DESC, run_id DESC LIMIT 1",
        {id});
    if (!ended) return ended.error();
    Producer producer{std::move(name), "", RunState::kOther, ""};
    if (*ended) {
      producer.run = (*ended)->text(0);
      producer.state = static_cast<RunState>((*ended)->integer(1));
      producer.error = (*ended)->text(2);
    }
    out_.producers.push_back(std::move(producer));
    const auto inputs = reader_.query(
        "SELECT d.id, d.namespace, d.name, d.owned FROM external_uses u JOIN external_jobs j ON "
        "j.id = u.job JOIN external_datasets d ON d.id = u.dataset WHERE u.job = ? AND u.role = "
        "'in' AND u.last_us >= j.declared_us ORDER BY d.id",
        {id});
    if (!inputs) return inputs.error();
    for (const auto& input : *inputs)
      meet(input);
    return {};
  }

  // Of who told something of a dataset: jobs that still use it, and events of its own.
  Status add_reports(const Met& dataset) {
    const auto tellers = reader_.query(
        "SELECT DISTINCT r.job FROM external_reports r WHERE r.dataset = ? AND (r.job = 0 OR "
        "EXISTS (SELECT 1 FROM external_uses u JOIN external_jobs j ON j.id = u.job WHERE u.job = "
        "r.job AND u.dataset = r.dataset AND u.last_us >= j.declared_us)) ORDER BY r.job",
        {dataset.id});
    if (!tellers) return tellers.error();
    for (const auto& teller : *tellers) {
      const std::int64_t job = teller.integer(0);
      Reported reported;
      reported.dataset = dataset.name;
      STRATA_TRY(add_schemas(dataset, job, reported));
      STRATA_TRY(add_rows(dataset, job, reported));
      STRATA_TRY(add_failures(dataset, job, reported));
      out_.reported.push_back(std::move(reported));
    }
    return {};
  }

  // The newest until `until`, and the reference of what told it.
  Result<std::optional<std::string>> newest(const Met& dataset, std::int64_t job,
                                            std::string_view kind, Instant until,
                                            std::string& ref) {
    const auto row = reader_.first(
        "SELECT value, run_id FROM external_reports WHERE dataset = ? AND job = ? AND kind = ? AND "
        "time_us <= ? ORDER BY time_us DESC LIMIT 1",
        {dataset.id, job, kind, until.micros});
    if (!row) return row.error();
    if (!*row) return std::optional<std::string>();
    const std::string run = (*row)->text(1);
    if (!run.empty()) {
      ref = run_ref(run).to_string();
    } else {
      ref = (dataset.owned.empty() ? dataset_ref(dataset.name) : owned_ref(dataset.owned))
                .to_string();
    }
    return std::optional((*row)->text(0));
  }

  Status add_schemas(const Met& dataset, std::int64_t job, Reported& out) {
    for (const Instant until : {trained_, kNow}) {
      const auto text = newest(dataset, job, "schema", until, out.ref);
      if (!text) return text.error();
      if (!*text) continue;
      auto columns = columns_of(**text);
      if (!columns) return std::move(columns).error();
      (until == kNow ? out.schema_now : out.schema_then) = *std::move(columns);
    }
    return {};
  }

  Status add_rows(const Met& dataset, std::int64_t job, Reported& out) {
    for (const Instant until : {trained_, kNow}) {
      const auto text = newest(dataset, job, "rows", until, out.ref);
      if (!text) return text.error();
      if (!*text) continue;
      const auto rows = parse_json(**text);
      if (!rows) return rows.error().wrap("a kept row count cannot be read");
      (until == kNow ? out.rows_now : out.rows_then) = rows->as_int();
    }
    return {};
  }

  Status add_failures(const Met& dataset, std::int64_t job, Reported& out) {
    const auto text = newest(dataset, job, "quality", kNow, out.ref);
    if (!text) return text.error();
    if (!*text) return {};
    auto failed = failures_of(**text);
    if (!failed) return std::move(failed).error();
    out.failed = *std::move(failed);
    return {};
  }

  static constexpr Instant kNow{INT64_MAX};

  Reader& reader_;
  const ProjectId& project_;
  Instant trained_;
  Upstream out_;
  std::set<std::string> subjects_;
  std::set<std::int64_t> seen_, jobs_;
  std::deque<Met> queue_;
};

}  // namespace

Task<Result<Upstream>> ExternalLineage::upstream(const ProjectId& project,
                                                 std::vector<std::string> owned, Instant trained) {
  auto load = [&](Reader& reader) -> Result<Upstream> {
    Climb climb(reader, project, trained);
    for (const auto& one : owned)
      STRATA_TRY(climb.begin(one));
    return climb.climb();
  };
  co_return co_await ports_.records.read(load);
}

}  // namespace strata::platform::external
