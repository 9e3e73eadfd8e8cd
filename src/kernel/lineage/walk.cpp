#include "kernel/lineage/walk.hpp"

#include <algorithm>
#include <array>

namespace strata::kernel {

namespace {

constexpr std::string_view kWrote = "wrote";
constexpr std::string_view kProduced = "produced";
constexpr std::string_view kRead = "read";
constexpr std::string_view kFed = "fed";
constexpr std::string_view kTask = "task";
constexpr std::string_view kQuery = "query";

// Things that happen once, at the time of the edges that lead into them; all others are states,
// which last.
bool happens(const NodeRef& ref) {
  constexpr std::array<std::string_view, 6> kEvents = {"task",  "flow_run",   "run",
                                                       "query", "prediction", "external_run"};
  return std::find(kEvents.begin(), kEvents.end(), ref.kind) != kEvents.end();
}

}  // namespace

Result<LineageNode> read_lineage_node(const Row& row) {
  auto facts = parse_json(row.text(6));
  if (!facts) return facts.error();
  return LineageNode{{row.text(0), row.text(1), row.text(2)},
                     row.text(3),
                     row.text(4),
                     Instant{row.integer(5)},
                     *facts};
}

LineageWalk::LineageWalk(Reader& reader, Direction direction, Instant as_of)
    : reader_(reader),
      upstream_(direction == Direction::kUpstream),
      as_of_(as_of) {}

Result<LineageGraph> LineageWalk::from(const Row& start) {
  auto first = read_lineage_node(start);
  if (!first) return first.error();
  const auto id = start.integer(7);
  queue_.push_back({id, first->ref, {}});
  seen_.insert({id, {}});
  shown_.insert(id);
  graph_.nodes.push_back(*std::move(first));
  while (!queue_.empty()) {
    const Stop stop = std::move(queue_.front());
    queue_.pop_front();
    STRATA_TRY(visit(stop));
  }
  return std::move(graph_);
}

Status LineageWalk::visit(const Stop& stop) {
  const auto edges = edges_of(stop.id);
  if (!edges) return edges.error();
  return upstream_ ? visit_upstream(stop, **edges) : visit_downstream(stop, **edges);
}

Status LineageWalk::visit_upstream(const Stop& stop, const std::vector<Edge>& edges) {
  // The last before the window ends; the first of all if none is.
  const Edge *writer = nullptr, *producer = nullptr;
  for (const auto& edge : edges) {
    const bool made = stop.ref.kind == "object" && edge.relation == kWrote;
    if (!made && edge.relation != kProduced) continue;
    const Edge*& last = made ? writer : producer;
    if (last == nullptr || edge.time < stop.window.end) last = &edge;
  }
  for (const auto& edge : edges) {
    if (writer != nullptr && edge.relation == kWrote && &edge != writer) continue;
    if (edge.relation == kProduced && &edge != producer) continue;
    if (stop.ref.kind == kTask && (edge.relation == kRead || edge.relation == kFed)) {
      const bool tells_no_data = stop.window.end == std::numeric_limits<std::int64_t>::min();
      if (tells_no_data || (edge.relation == kRead && edge.time >= stop.window.end)) continue;
    }
    Window window = stop.window;
    if (happens(stop.ref)) window = {.begin = Window().begin, .end = edge.time + 1};
    if (edge.ref.kind == kTask) window = task_above(stop, edge, edges);
    follow(stop, edge, window);
  }
  return {};
}

LineageWalk::Window LineageWalk::task_above(const Stop& stop, const Edge& edge,
                                            const std::vector<Edge>& edges) const {
  Window window;
  if (stop.ref.kind == kQuery) {
    const bool reads = std::any_of(edges.begin(), edges.end(),
                                   [](const Edge& other) { return other.relation == kRead; });
    window.end = reads ? std::numeric_limits<std::int64_t>::min() : edge.time + 1;
  } else if (edge.relation == kWrote) {
    window.end = edge.time + 1;
  }
  return window;
}

Status LineageWalk::visit_downstream(const Stop& stop, const std::vector<Edge>& edges) {
  for (const auto& edge : edges) {
    const bool happened = happens(edge.ref);
    if (stop.ref.kind == kTask) {
      const auto rests = rests_upon_read(stop, edge);
      if (!rests) return rests.error();
      if (!*rests) continue;
    } else if (happened && (edge.time < stop.window.begin || edge.time >= stop.window.end)) {
      continue;
    }
    Window window = happened || stop.ref.kind == kTask ? Window() : stop.window;
    if (edge.ref.kind == kTask && (edge.relation == kRead || edge.relation == kFed))
      window = {.begin = edge.relation == kRead ? edge.time : Window().begin, .read = true};
    const bool made = edge.ref.kind == "object" && edge.relation == kWrote;
    if (made || edge.relation == kProduced) {
      const auto next = next_writing(edge.id, edge.relation, edge.time);
      if (!next) return next.error();
      window = {edge.time, *next};
    }
    follow(stop, edge, window);
  }
  return {};
}

Result<bool> LineageWalk::rests_upon_read(const Stop& task, const Edge& made) {
  if (!task.window.read) return true;
  const bool query = made.ref.kind == kQuery;
  if ((query || made.relation == kWrote) && made.time < task.window.begin) return false;
  if (!query) return true;
  const auto sources = has_sources(made.id);
  if (!sources) return sources.error();
  return !*sources;
}

// A step is met once for each thing that it read, and its queries with it.
Result<bool> LineageWalk::has_sources(std::int64_t query) {
  const auto known = has_sources_.find(query);
  if (known != has_sources_.end()) return known->second;
  const auto row = reader_.first(
      "SELECT 1 FROM lineage_edges WHERE target = ? AND relation = ? LIMIT 1", {query, kRead});
  if (!row) return row.error();
  return has_sources_.emplace(query, row->has_value()).first->second;
}

void LineageWalk::follow(const Stop& from, const Edge& edge, Window window) {
  if (drawn_.insert({from.id, edge.id, edge.relation}).second) {
    graph_.edges.push_back(
        upstream_ ? LineageEdge{edge.ref, from.ref, edge.relation, Instant{edge.time}}
                  : LineageEdge{from.ref, edge.ref, edge.relation, Instant{edge.time}});
  }
  if (!shown_.contains(edge.id)) {
    if (graph_.nodes.size() >= Lineage::kMaxNodes) {
      graph_.truncated = true;
      return;
    }
    shown_.insert(edge.id);
    graph_.nodes.push_back(std::move(met_.extract(edge.id).mapped()));
  }
  // What happens once is the same whenever it is reached; a task makes one thing after the other.
  if (happens(edge.ref) && edge.ref.kind != kTask) window = {};
  if (seen_.insert({edge.id, window}).second) queue_.push_back({edge.id, edge.ref, window});
}

Result<const std::vector<LineageWalk::Edge>*> LineageWalk::edges_of(std::int64_t id) {
  constexpr std::string_view kUp =
      "SELECT n.kind, n.name, n.version, n.digest, n.owner, n.time, n.facts, n.id, e.relation, "
      "e.time FROM lineage_edges e JOIN lineage_nodes n ON n.id = e.source WHERE e.target = ? AND "
      "e.time <= ? ORDER BY e.time, n.id";
  constexpr std::string_view kDown =
      "SELECT n.kind, n.name, n.version, n.digest, n.owner, n.time, n.facts, n.id, e.relation, "
      "e.time FROM lineage_edges e JOIN lineage_nodes n ON n.id = e.target WHERE e.source = ? AND "
      "e.time <= ? ORDER BY e.time, n.id";
  const auto known = edges_.find(id);
  if (known != edges_.end()) return &known->second;
  const auto rows = reader_.query(upstream_ ? kUp : kDown, {id, as_of_.micros});
  if (!rows) return rows.error();
  std::vector<Edge> edges;
  for (const auto& row : *rows) {
    auto node = read_lineage_node(row);
    if (!node) return node.error();
    edges.push_back({row.integer(7), node->ref, row.text(8), row.integer(9)});
    if (!shown_.contains(row.integer(7))) met_.try_emplace(row.integer(7), *std::move(node));
  }
  return &edges_.emplace(id, std::move(edges)).first->second;
}

// When the thing got the same content again, or never.
Result<std::int64_t> LineageWalk::next_writing(std::int64_t thing, const std::string& relation,
                                               std::int64_t after) {
  const auto row = reader_.first(
      "SELECT min(time) FROM lineage_edges WHERE target = ? AND relation = ? AND time > ?",
      {thing, relation, after});
  if (!row) return row.error();
  if (!*row || (**row).is_null(0)) return Window().end;
  return (**row).integer(0);
}

}  // namespace strata::kernel
