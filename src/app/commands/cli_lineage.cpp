#include "app/commands/cli_lineage.hpp"

#include <map>
#include <set>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands/cells.hpp"

namespace strata::app {

namespace {

// Draws a lineage graph as a tree from its first node; what was drawn before is only named again.
class Tree {
 public:
  Tree(const Json& graph, bool upstream) {
    for (const auto& node : graph["nodes"].as_array())
      nodes_.emplace(node.text("ref"), node);
    for (const auto& edge : graph["edges"].as_array()) {
      const std::string& from = edge["from"].as_string();
      const std::string& to = edge["to"].as_string();
      next_[upstream ? to : from].emplace_back(upstream ? from : to, edge.text("relation"));
    }
  }

  std::string draw(const std::string& root) {
    line(root, "");
    branch(root, "");
    return std::move(text_);
  }

 private:
  void line(const std::string& ref, const std::string& relation) {
    const auto at = nodes_.find(ref);
    std::string text = relation.empty() ? ref : fmt::format("{}  [{}]", ref, relation);
    if (at != nodes_.end()) {
      const Json& node = at->second;
      if (const std::string digest = node.text("digest"); !digest.empty())
        text += "  " + digest.substr(0, 19);
      if (const std::string owner = node.text("owner"); !owner.empty()) text += "  by " + owner;
      if (const std::string mover = node["facts"].text("moved_by"); !mover.empty())
        text += ", alias moved by " + mover;
      text += "  " + node.text("time");
    }
    text_ += one_line(text) + "\n";
  }

  void branch(const std::string& ref, const std::string& indent) {
    if (!drawn_.insert(ref).second) return;
    const auto& children = next_[ref];
    for (std::size_t i = 0; i < children.size(); ++i) {
      const bool last = i + 1 == children.size();
      text_ += indent + (last ? "`- " : "|- ");
      const bool again = drawn_.contains(children[i].first) && !next_[children[i].first].empty();
      line(children[i].first, children[i].second + (again ? ", see above" : ""));
      branch(children[i].first, indent + (last ? "   " : "|  "));
    }
  }

  std::map<std::string, Json> nodes_;
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> next_;
  std::set<std::string> drawn_;
  std::string text_;
};

Status show(CliContext& context, const Result<Json>& graph, bool upstream) {
  if (!graph) return graph.error();
  if (context.structured()) {
    context.dump(*graph);
    return {};
  }
  const auto& first = (*graph)["nodes"].as_array().front();
  std::printf("%s", Tree(*graph, upstream).draw(first.text("ref")).c_str());
  if (graph->boolean("truncated"))
    std::printf("(cut: the graph is larger than what one answer holds)\n");
  return {};
}

std::string full_name(const Json& id) {
  return fmt::format("{} {}", id.text("namespace"), id.text("name"));
}

std::string full_names(const Json& ids) {
  std::string out;
  for (const auto& id : ids.as_array())
    out += (out.empty() ? "" : ", ") + full_name(id);
  return out;
}

// One line of a table for a job, a run or a dataset.
Json flat(const Json& item) {
  Json out = item;
  const Json& run = item["newest"].is_object() ? item["newest"] : item;
  out.set("state", run.text("state"));
  out.set("run", run.text("id"));
  out.set("ended", run.text("ended"));
  out.set("error", run.text("error"));
  for (const std::string_view list : {"inputs", "outputs", "readers", "writers"}) {
    if (item[list].is_array()) out.set(list, full_names(item[list]));
  }
  return out;
}

using Columns = std::vector<std::pair<std::string, std::string>>;

Status print_list(CliContext& context, const Result<Json>& answer, std::string_view items,
                  const Columns& columns) {
  if (!answer) return answer.error();
  context.print(*answer, items, columns, &flat);
  return {};
}

// strata lineage jobs, runs and datasets: what runs elsewhere.
void add_external_commands(CLI::App& app, CliContext& context) {
  static std::string search, space, name;
  auto* lineage = app.add_subcommand("lineage", "Jobs that run elsewhere, as OpenLineage tells");
  lineage->require_subcommand(1);
  auto* jobs = lineage->add_subcommand("jobs", "Jobs, with their newest run");
  auto* datasets = lineage->add_subcommand("datasets", "What they read and wrote");
  for (auto* command : {jobs, datasets})
    command->add_option("search", search, "A part of the namespace or name");
  jobs->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return print_list(context,
                        client.get("/api/v1/lineage/jobs?search=" + encode_segment(search)), "jobs",
                        {{"namespace", "NAMESPACE"},
                         {"name", "JOB"},
                         {"state", "STATE"},
                         {"ended", "ENDED"},
                         {"run", "RUN"},
                         {"outputs", "OUTPUTS"}});
    });
  });
  datasets->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return print_list(context,
                        client.get("/api/v1/lineage/datasets?search=" + encode_segment(search)),
                        "datasets",
                        {{"namespace", "NAMESPACE"},
                         {"name", "DATASET"},
                         {"joins", "JOINS"},
                         {"writers", "WRITTEN BY"},
                         {"readers", "READ BY"}});
    });
  });
  auto* runs = lineage->add_subcommand("runs", "Runs of one job, the newest first");
  runs->add_option("namespace", space, "Of the job")->required();
  runs->add_option("name", name, "Of the job")->required();
  runs->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return print_list(context,
                        client.get("/api/v1/lineage/runs?namespace=" + encode_segment(space) +
                                   "&name=" + encode_segment(name)),
                        "runs",
                        {{"id", "RUN"},
                         {"state", "STATE"},
                         {"started", "STARTED"},
                         {"ended", "ENDED"},
                         {"error", "ERROR"}});
    });
  });
}

}  // namespace

void add_lineage_commands(CLI::App& app, CliContext& context) {
  static std::string id, ref;
  add_external_commands(app, context);
  auto* why =
      app.add_subcommand("why", "What led to a prediction, endpoint, model, run, table or object");
  why->add_option(
         "id", id,
         "A prediction id, kind:name[@version], or a bare id or name that only one thing has")
      ->required();
  why->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return show(context, client.get("/api/v1/why/" + encode_segment(id)), true);
    });
  });
  auto* impact = app.add_subcommand("impact", "What follows from a table, object, run or model");
  impact->add_option("ref", ref, "kind:name[@version], for example table:raw.flights")->required();
  impact->callback([&context] {
    context.with_client([&](ApiClient& client) {
      return show(context, client.get("/api/v1/impact?ref=" + encode_segment(ref)), false);
    });
  });
}

}  // namespace strata::app
