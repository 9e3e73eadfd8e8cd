#include "platform/features/features.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/features/aggregates.hpp"
#include "platform/features/records.hpp"

namespace strata::platform::features {

using kernel::Caller;
using kernel::Reader;
using kernel::Writer;

namespace {

constexpr int kApplyTries = 5;
constexpr int kMaxPage = 1000;

// The stored definitions of a project, read by the same rules as those that come in.
Result<Catalog> catalog_of(const std::vector<Listed>& listed) {
  const std::map<std::string_view, std::string_view> groups = {{"entity", "entities"},
                                                               {"source", "sources"},
                                                               {"view", "views"},
                                                               {"on_demand", "on_demand"},
                                                               {"service", "services"}};
  std::map<std::string_view, Json::Object> members;
  for (const auto& one : listed)
    members[groups.at(one.kind)].emplace_back(one.name, one.definition);
  Json document = Json::object();
  for (auto& [group, all] : members)
    document.set(group, Json(std::move(all)));
  const auto read = read_features_json(document);
  if (!read) return read.error();
  return make_catalog(read->definitions);
}

std::string version_in(const Catalog& catalog, const Listed& one) {
  if (one.kind == "service") return catalog.services.at(one.name).version;
  const auto view = catalog.views.find(one.name);
  return one.kind == "view" || one.kind == "on_demand" ? view->second.version : std::string();
}

bool has_text(const Listed& one, const std::string& wanted) {
  return to_lower(one.name).contains(wanted) || to_lower(one.definition.dump()).contains(wanted);
}

// Whether an expression of the view reads the column, or a service or on-demand view one that does.
bool reads_column(const Catalog& catalog, const Listed& one, const std::string& column) {
  if (one.kind == "source") return catalog.definitions.sources.at(one.name).find(column) != nullptr;
  if (one.kind == "service") {
    return std::ranges::any_of(catalog.services.at(one.name).features, [&](const auto& feature) {
      const auto inputs = catalog.views.at(feature.view).find(feature.feature)->inputs();
      return std::ranges::any_of(inputs, [&](const auto& input) { return input.name == column; });
    });
  }
  const auto view = catalog.views.find(one.name);
  if (one.kind == "entity" || view == catalog.views.end()) return false;
  return std::ranges::any_of(view->second.features, [&](const auto& feature) {
    const auto inputs = feature.inputs();
    return std::ranges::any_of(inputs, [&](const auto& input) { return input.name == column; });
  });
}

bool matches(const Catalog& catalog, const Listed& one, const Search& search) {
  if (!search.kind.empty() && one.kind != search.kind) return false;
  if (!search.owner.empty() && one.definition.text("owner") != search.owner) return false;
  if (!search.text.empty() && !has_text(one, to_lower(search.text))) return false;
  return search.column.empty() || reads_column(catalog, one, search.column);
}

std::vector<std::string> readers_of(const Catalog& catalog, const std::string& view) {
  std::vector<std::string> out;
  for (const auto& [name, other] : catalog.views) {
    if (std::ranges::find(other.reads, view) != other.reads.end())
      out.push_back("on_demand:" + name);
  }
  for (const auto& [name, service] : catalog.services) {
    if (std::ranges::any_of(service.features, [&](const auto& one) { return one.view == view; }))
      out.push_back("service:" + name);
  }
  return out;
}

Json changed_json(const Change& change) {
  return Json::object({{"kind", change.kind},
                       {"change", change_name(change.what)},
                       {"version", change.version},
                       {"previous", change.previous}});
}

std::string subject_of(const Change& change) {
  if (change.kind == "service") return "feature_service:" + change.name;
  if (change.kind == "entity") return "feature_entity:" + change.name;
  if (change.kind == "source") return "feature_source:" + change.name;
  return "feature_view:" + change.name;
}

}  // namespace

bool Planned::any() const {
  return std::ranges::any_of(changes,
                             [](const Change& c) { return c.what != Change::What::kSame; });
}

std::span<const kernel::Migration> Features::migrations() {
  return feature_migrations();
}

std::shared_ptr<const Features::State> Features::state(const ProjectId& project) const {
  static const auto empty = std::make_shared<const State>();
  const std::shared_lock lock(mutex_);
  const auto at = states_.find(project.str());
  return at == states_.end() ? empty : at->second;
}

std::shared_ptr<const Catalog> Features::catalog(const ProjectId& project) const {
  return state(project)->catalog;
}

Result<std::shared_ptr<Features::State>> Features::read_state(Reader& reader,
                                                              const std::string& project) {
  auto out = std::make_shared<State>();
  auto revision =
      reader.first("SELECT revision FROM feature_projects WHERE project = ?", {project});
  if (!revision) return std::move(revision).error();
  if (*revision) out->revision = (*revision)->integer(0);
  auto listed = read_listed(reader, project);
  if (!listed) return std::move(listed).error();
  auto catalog = catalog_of(*listed);
  if (!catalog) return catalog.error().wrap("features: stored definitions cannot be read");
  for (auto& one : *listed) {
    if (version_in(*catalog, one) != one.version) {
      return Error(Code::kDataLoss,
                   fmt::format("features: {} {} of project {} was {} and gives {}", one.kind,
                               one.name, project, one.version, version_in(*catalog, one)));
    }
    for (const auto& [other, view] : catalog->views) {
      const bool equal = !one.version.empty() && view.version == one.version;
      if (equal && other != one.name) one.equal_to.push_back(other);
    }
    auto key = std::pair(one.kind, one.name);
    out->listed.emplace(std::move(key), std::move(one));
  }
  out->catalog = std::make_shared<const Catalog>(*std::move(catalog));
  return out;
}

Status Features::load() {
  return ports_.records.read_blocking([this](Reader& reader) -> Status {
    const auto projects = reader.query("SELECT project FROM feature_projects");
    if (!projects) return projects.error();
    for (const auto& row : *projects) {
      auto read = read_state(reader, row.text(0));
      if (!read) return std::move(read).error();
      const std::unique_lock lock(mutex_);
      states_[row.text(0)] = *std::move(read);
    }
    return {};
  });
}

Task<std::vector<std::vector<std::string>>> Features::models_of(
    const Caller& caller, const std::vector<Change>& changes) {
  std::vector<std::vector<std::string>> out;
  for (const auto& change : changes) {
    std::set<std::string> models;
    if (change.what == Change::What::kVersion) {
      const kernel::NodeRef node{change.kind == "service" ? "feature_service" : "feature_view",
                                 change.name, change.previous};
      const auto graph =
          co_await ports_.lineage.walk(caller.project, node, kernel::Direction::kDownstream);
      if (graph) {
        for (const auto& one : graph->nodes) {
          if (one.ref.kind == "model") models.insert(one.ref.to_string());
        }
      }
    }
    out.emplace_back(models.begin(), models.end());
  }
  co_return out;
}

Task<Result<Planned>> Features::plan(const Caller& caller, const Definitions& given) {
  const auto now = state(caller.project);
  auto all = merged(now->catalog->definitions, given);
  if (!all) co_return std::move(all).error();
  const auto next = make_catalog(*std::move(all));
  if (!next) co_return next.error();
  Planned out;
  out.changes = changes(*now->catalog, *next, given);
  out.models = co_await models_of(caller, out.changes);
  co_return out;
}

Task<Result<Planned>> Features::apply(const Caller& caller, const Definitions& given) {
  for (int tried = 0; tried < kApplyTries; ++tried) {
    const auto now = state(caller.project);
    auto all = merged(now->catalog->definitions, given);
    if (!all) co_return std::move(all).error();
    auto next = make_catalog(*std::move(all));
    if (!next) co_return std::move(next).error();
    Planned out;
    out.changes = changes(*now->catalog, *next, given);
    out.models = co_await models_of(caller, out.changes);
    if (!out.any()) co_return out;
    // Before anyone can see a view, there are states to answer with.
    for (auto& set : new_key_sets(*now->catalog, *next, caller.project))
      STRATA_CO_TRY(co_await ports_.streams.keep(std::move(set)));
    for (auto& [set, kept] : event_sets(*next, caller.project))
      STRATA_CO_TRY(co_await ports_.streams.keep_events(set, kept));
    bool overtaken = false;
    const auto commit = [&](Writer& writer) -> Status {
      const Instant time = ports_.clock.now();
      const std::string project = caller.project.str();
      const auto moved = writer.execute(
          "INSERT INTO feature_projects (project, revision) VALUES (?, ?) ON CONFLICT (project) DO "
          "UPDATE SET revision = excluded.revision WHERE feature_projects.revision = ?",
          {project, now->revision + 1, now->revision});
      if (!moved) return moved.error();
      overtaken = *moved == 0;
      if (overtaken) return Error(Code::kConflict, "the definitions have changed meanwhile");
      for (const auto& change : out.changes) {
        if (change.what == Change::What::kSame) continue;
        STRATA_TRY(write_change(writer, caller, *next, change, time));
        STRATA_TRY(report_lineage(writer, ports_.lineage, caller, *next, change, time));
        STRATA_TRY(ports_.audit.record(writer, caller, "feature.apply", subject_of(change),
                                       changed_json(change)));
        STRATA_TRY(ports_.events.publish(writer, caller.project, "feature.applied",
                                         subject_of(change), changed_json(change)));
      }
      auto read = read_state(writer, project);
      if (!read) return std::move(read).error();
      writer.after_commit([this, project, fresh = *std::move(read)]() mutable {
        const std::unique_lock lock(mutex_);
        auto& slot = states_[project];
        if (!slot || slot->revision < fresh->revision) slot = std::move(fresh);
      });
      return {};
    };
    const auto done = co_await ports_.records.write(commit);
    if (done) co_return out;
    if (!overtaken) co_return done.error();
  }
  co_return Error(Code::kConflict,
                  "the definitions of this project change all the time; try again");
}

Task<Result<Page>> Features::list(const Caller& caller, const Search& search) {
  const auto now = state(caller.project);
  Page out;
  if (search.limit < 1 || search.limit > kMaxPage)
    co_return invalid("limit", fmt::format("limit: has to be from 1 to {}", kMaxPage));
  if (!search.expression.empty()) {
    auto found = same_computation(*now->catalog, search.expression, search.source);
    if (!found) co_return std::move(found).error();
    out.features = *std::move(found);
  }
  for (const auto& [key, one] : now->listed) {
    const std::string place = key.first + ":" + key.second;
    if (!search.after.empty() && place <= search.after) continue;
    if (!matches(*now->catalog, one, search)) continue;
    const bool computes =
        search.expression.empty() || std::ranges::any_of(out.features, [&](const auto& feature) {
          return one.kind == "view" && feature.starts_with(one.name + ".");
        });
    if (!computes) continue;
    if (out.items.size() == static_cast<std::size_t>(search.limit)) {
      out.next = out.items.back().kind + ":" + out.items.back().name;
      break;
    }
    out.items.push_back(one);
  }
  co_return out;
}

Task<Result<Shown>> Features::show(const Caller& caller, const std::string& kind,
                                   const std::string& name) {
  const auto now = state(caller.project);
  const auto at = now->listed.find({kind, name});
  if (at == now->listed.end()) {
    std::vector<std::string> names;
    for (const auto& [key, one] : now->listed) {
      if (key.first == kind) names.push_back(key.second);
    }
    const std::string nearest = did_you_mean(name, names);
    co_return not_found(fmt::format("there is no {} '{}' among the features{}", printable(kind),
                                    printable(name),
                                    nearest.empty() ? "" : ". Did you mean '" + nearest + "'?"));
  }
  Shown out;
  out.listed = at->second;
  if (kind == "service") {
    const PlannedService& service = now->catalog->services.at(name);
    out.features = service.features;
    out.keys = service.keys;
    out.request = service.request;
  } else if (kind == "view" || kind == "on_demand") {
    const PlannedView& view = now->catalog->views.at(name);
    for (const auto& feature : view.features)
      out.features.push_back({name, feature.name, feature.type()});
    out.keys = view.keys;
    out.request = view.request;
    out.readers = readers_of(*now->catalog, name);
  }
  const auto versions = [&](Reader& reader) {
    return read_versions(reader, caller.project.str(), kind, name);
  };
  auto read = co_await ports_.records.read(versions);
  if (!read) co_return std::move(read).error();
  out.versions = *std::move(read);
  co_return out;
}

}  // namespace strata::platform::features
