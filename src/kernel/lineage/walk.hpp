#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "kernel/lineage/lineage.hpp"

namespace strata::kernel {

inline constexpr std::string_view kLineageNodeColumns =
    "kind, name, version, digest, owner, time, facts, id";
// Of kLineageNodeColumns. Errors: kMalformed for facts that are no JSON.
Result<LineageNode> read_lineage_node(const Row& row);

// One breadth-first visit of the graph in the chosen direction. Private to the room.
//
// An object's version is its content, so several writers may have made the same one, each in its
// turn. A reader got the one that was written last before it read: only that one led to it, and
// only those who read before the next one follow from it. Without this every run of a pipeline over
// the same data would descend from all the others.
// What runs elsewhere say that they produced is taken the same way, of things of any kind.
//
// A step of a pipeline makes many things one after the other. What it read leads to what it wrote
// later, and to a SQL statement that it ran only where that statement reads nothing itself: a
// statement that does has its own sources, and the step tells no more than who ran it.
class LineageWalk {
 public:
  LineageWalk(Reader& reader, Direction direction, Instant as_of);
  Result<LineageGraph> from(const Row& start);  // of kLineageNodeColumns

 private:
  // When the thing on the way was in use: from `begin`, before `end`.
  struct Window {
    std::int64_t begin = std::numeric_limits<std::int64_t>::min();
    std::int64_t end = std::numeric_limits<std::int64_t>::max();
    bool read = false;  // downstream, of a task: met as the reader of something, from `begin` on
    auto operator<=>(const Window&) const = default;
  };
  struct Edge {
    std::int64_t id = 0;  // of the node at its other end
    NodeRef ref;
    std::string relation;
    std::int64_t time = 0;
  };
  struct Stop {
    std::int64_t id = 0;
    NodeRef ref;
    Window window;
  };

  Status visit(const Stop& stop);
  Status visit_upstream(const Stop& stop, const std::vector<Edge>& edges);
  Status visit_downstream(const Stop& stop, const std::vector<Edge>& edges);
  // How a task is looked at that was met over `edge` from `stop`, whose edges these are.
  Window task_above(const Stop& stop, const Edge& edge, const std::vector<Edge>& edges) const;
  // Whether something behind a task that read rests upon what it read.
  Result<bool> rests_upon_read(const Stop& task, const Edge& made);
  Result<bool> has_sources(std::int64_t query);  // of its own
  // Takes the edge and the node behind it into the graph, and goes on there.
  void follow(const Stop& from, const Edge& edge, Window window);
  Result<const std::vector<Edge>*> edges_of(std::int64_t id);
  Result<std::int64_t> next_writing(std::int64_t thing, const std::string& relation,
                                    std::int64_t after);

  Reader& reader_;
  bool upstream_;
  Instant as_of_;
  LineageGraph graph_;
  std::map<std::int64_t, std::vector<Edge>> edges_;  // of the nodes that were visited
  std::map<std::int64_t, LineageNode> met_;          // behind them, not yet in the graph
  std::map<std::int64_t, bool> has_sources_;
  std::set<std::int64_t> shown_;                                         // nodes in the graph
  std::set<std::tuple<std::int64_t, std::int64_t, std::string>> drawn_;  // edges in the graph
  std::set<std::pair<std::int64_t, Window>> seen_;
  std::deque<Stop> queue_;
};

}  // namespace strata::kernel
