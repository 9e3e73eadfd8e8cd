#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "doors/http/http.hpp"

namespace strata::http {

// A route with its door, ready to be matched and checked.
struct BoundRoute {
  Door* door = nullptr;
  Route route;
  std::size_t index = 0;                // its place in Router::routes()
  std::vector<std::string> segments;    // of the pattern; "{name}" and "{name+}" are parameters
  std::vector<std::string> parameters;  // their names, in the pattern's order
  std::optional<Json> request_schema;
};

struct Match {
  const BoundRoute* bound = nullptr;
  Pairs params;
};

// All routes of one port, as a tree of their patterns' segments. Built before the port opens, then
// only read: a match costs one look-up for each segment of the path, whatever the number of routes.
//
// A literal segment goes before a parameter and a parameter before "{name+}", from left to right;
// among the routes of one pattern, those with conditions before the one that takes the rest.
// Segments are compared as they were sent, parameters decoded once. A parameter is never empty, and
// a slash at the end makes another path.
class Router {
 public:
  static constexpr std::size_t kMaxParameters = 8;

  Router();
  ~Router();
  Router(const Router&) = delete;

  // Errors: kInternal for a pattern or schema that is wrong in our own table, or a second route
  // with equal conditions.
  Status add(Door& door);

  // Lets the doors move what their protocol says outside the path into it; before match().
  void rewrite(Request& request) const;
  // The route for a request; a HEAD that has none takes the route of GET. Errors: kNotFound,
  // kMethodNotAllowed (its field names the allowed methods), kMalformed for a parameter that cannot
  // be decoded or holds a NUL byte.
  Result<Match> match(const Request& request) const;
  // The door whose error form fits a path that no route has: the one that it resembles most, but
  // the browsers' for one of them, unless the path lies where only others have routes.
  const Door& door_for(const Request& request) const;
  const std::vector<std::unique_ptr<BoundRoute>>& routes() const { return routes_; }

 private:
  struct Node;
  struct Search;

  Status place(const BoundRoute& bound);
  const Door* browsers_door(const Request& request) const;
  static const BoundRoute* find(const Node& node, std::size_t at, Search& search);

  std::vector<const Door*> doors_;
  std::vector<std::unique_ptr<BoundRoute>> routes_;
  std::unique_ptr<Node> root_;
};

}  // namespace strata::http
