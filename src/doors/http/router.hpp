#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "doors/http/http.hpp"

namespace strata::http {

// A route with its door, ready to be matched and checked.
struct BoundRoute {
  Door* door = nullptr;
  Route route;
  std::vector<std::string> segments;  // of the pattern; "{name}" and "{name+}" stand for parameters
  std::optional<Json> request_schema;
};

struct Match {
  const BoundRoute* bound = nullptr;
  Pairs params;
};

// All routes of one port. Built before the port opens, then only read.
class Router {
 public:
  // Errors: kInternal for a pattern or schema that is wrong in our own table, or a second route
  // with equal conditions.
  Status add(Door& door);

  // Lets the doors move what their protocol says outside the path into it; before match().
  void rewrite(Request& request) const;
  // The route for a request. Errors: kNotFound, kMethodNotAllowed (its field names the allowed
  // methods), kMalformed for a path that cannot be decoded.
  Result<Match> match(const Request& request) const;
  // The door whose error form fits a path that no route has.
  const Door& door_for(std::string_view path) const;
  const std::vector<std::unique_ptr<BoundRoute>>& routes() const { return routes_; }

 private:
  std::vector<const Door*> doors_;
  std::vector<std::unique_ptr<BoundRoute>> routes_;
  std::unordered_map<std::string, std::vector<const BoundRoute*>> literal_;  // by whole path
  std::vector<const BoundRoute*> patterns_;
};

// Decodes %XX once. Errors: kMalformed for a broken escape; a NUL byte is refused.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Splits and decodes a query string.
Result<Pairs> parse_query(std::string_view raw);

}  // namespace strata::http
