#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "kernel/identity/identity.hpp"
#include "kernel/records/records.hpp"
#include "runtime/clock.hpp"

namespace strata::kernel {

// One version of one thing. Kinds: object, table, query, task, flow_run, run, scoring,
// dataset, model, endpoint, prediction, commit, environment, stream, feature_view, feature_service.
// `version` tells apart the states of a thing that changes (an object's digest, a table's commit
// number, a model's version); it is empty for things that never change (a run).
struct NodeRef {
  std::string kind;
  std::string name;
  std::string version;
  auto operator<=>(const NodeRef&) const = default;
  // "model:flights@3"; what people type and what URLs carry.
  std::string to_string() const;
  // Reads s3://bucket/key as object:bucket/key. Errors: kInvalidArgument when there is no known
  // kind before the colon.
  static Result<NodeRef> parse(std::string_view text);
};

struct LineageNode {
  NodeRef ref;
  std::string digest;  // "sha256:..." or empty where there is no content
  std::string owner;   // user name
  Instant time;
  Json facts = Json::object();  // what the kind knows: commit, row count, metric ...
};

// `to` was made with the help of `from`: data and control flow in this direction.
struct LineageEdge {
  NodeRef from;
  NodeRef to;
  std::string
      relation;  // "read", "wrote", "trained", "logged", "registered", "deployed", "answered"
  Instant time;
};

struct LineageGraph {
  std::vector<LineageNode> nodes;  // the first is the one asked for
  std::vector<LineageEdge> edges;
  bool truncated = false;
};

enum class Direction : std::uint8_t { kUpstream, kDownstream };

// The graph of what was made from what. Every room reports its edges in the transaction that makes
// the thing; nothing is reconstructed later. Nodes and edges are never changed or removed;
// reporting one again is no error. Cost: walk() is at most two indexed queries per visited
// node, at most kMaxNodes.
class Lineage {
 public:
  static constexpr std::size_t kMaxNodes = 2000;

  Lineage(Records& records, const Clock& clock);
  static std::span<const Migration> migrations();

  // A node that stands already keeps its time; facts, owner and digest are filled in where they
  // were empty.
  Status report(Writer& writer, const ProjectId& project, const LineageNode& node);
  Status report(Writer& writer, const ProjectId& project, const LineageEdge& edge);

  // The newest node of that kind and name (at most as old as `as_of`) when `ref.version` is empty.
  // Errors: kNotFound.
  Task<Result<LineageNode>> find(const ProjectId& project, const NodeRef& ref,
                                 std::optional<Instant> as_of = {});
  // What a text without a kind names: the one thing of that name (or name@version), of whatever
  // kind. Errors: kNotFound, and kInvalidArgument when things of several kinds have it; both say
  // how to write it.
  Task<Result<NodeRef>> named(const ProjectId& project, std::string_view text);
  // All that leads to `start` (upstream) or follows from it (downstream), breadth first. Of several
  // writers of the same content, only the one whose content was read.
  Task<Result<LineageGraph>> walk(const ProjectId& project, const NodeRef& start,
                                  Direction direction, std::optional<Instant> as_of = {});

 private:
  Records& records_;
  const Clock& clock_;
};

}  // namespace strata::kernel
