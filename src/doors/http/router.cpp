#include "doors/http/router.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/uri.hpp"

namespace strata::http {

namespace {

bool is_param(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}
bool is_rest(std::string_view segment) {
  return is_param(segment) && segment.ends_with("+}");
}

bool holds(const Route& route, const Request& request) {
  if (!route.when_query.empty() && !request.has_query(route.when_query)) return false;
  return route.when_header.empty() || request.headers.find(route.when_header).has_value();
}

int strictness(const Route& route) {
  return (route.when_query.empty() ? 0 : 2) + (route.when_header.empty() ? 0 : 1);
}

std::string_view without_root(std::string_view path) {
  return path.substr(path.starts_with('/') ? 1 : 0);
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

// The routes of one pattern, by method; those with more conditions first.
using Leaf = std::array<std::vector<const BoundRoute*>, kMethods>;

Status add_to(Leaf& leaf, const BoundRoute& added) {
  auto& list = leaf[static_cast<std::size_t>(added.route.method)];
  const auto same = [&](const BoundRoute* other) {
    return other->route.when_query == added.route.when_query &&
           other->route.when_header == added.route.when_header;
  };
  if (std::ranges::any_of(list, same)) {
    return internal(
        fmt::format("two routes for {} {}", method_name(added.route.method), added.route.pattern));
  }
  const auto wider = [&](const BoundRoute* other) {
    return strictness(other->route) < strictness(added.route);
  };
  list.insert(std::ranges::find_if(list, wider), &added);
  return {};
}

Status read_pattern(BoundRoute& bound) {
  const std::string& pattern = bound.route.pattern;
  if (!pattern.starts_with('/')) return internal("a route must start with '/': " + pattern);
  bound.segments = split(without_root(pattern), '/');
  for (const std::string& segment : bound.segments) {
    if (!is_param(segment)) continue;
    const bool rest = is_rest(segment);
    if (rest && &segment != &bound.segments.back())
      return internal("only the last segment may take the rest: " + pattern);
    bound.parameters.push_back(segment.substr(1, segment.size() - (rest ? 3 : 2)));
  }
  if (bound.parameters.size() > Router::kMaxParameters)
    return internal("too many parameters in " + pattern);
  if (bound.route.doc.request_schema.empty()) return {};
  auto schema = parse_json(bound.route.doc.request_schema);
  if (!schema) return schema.error().wrap("the request schema of " + pattern);
  bound.request_schema = *std::move(schema);
  return {};
}

}  // namespace

struct Router::Node {
  std::unordered_map<std::string, std::unique_ptr<Node>, TextHash, std::equal_to<>> literals;
  std::unique_ptr<Node> parameter;
  Leaf here;  // the pattern ends here
  Leaf rest;  // it ends with "{name+}" below this node
};

// One walk for one method. Each node of the tree is visited at most once.
struct Router::Search {
  const Request& request;
  std::string_view path;  // without its first slash
  Method method;
  std::array<std::string_view, kMaxParameters> values{};
  std::size_t count = 0;
  std::array<bool, kMethods>& others;  // methods that fit the path and not the request

  const BoundRoute* pick(const Leaf& leaf) {
    for (std::size_t i = 0; i < kMethods; ++i)
      others[i] = others[i] || (!leaf[i].empty() && i != static_cast<std::size_t>(method));
    for (const BoundRoute* bound : leaf[static_cast<std::size_t>(method)]) {
      if (holds(bound->route, request)) return bound;
    }
    return nullptr;
  }
};

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;

void Router::rewrite(Request& request) const {
  for (const Door* door : doors_)
    door->rewrite(request);
}

Status Router::place(const BoundRoute& bound) {
  Node* node = root_.get();
  for (const std::string& segment : bound.segments) {
    if (is_rest(segment)) return add_to(node->rest, bound);
    auto& child = is_param(segment) ? node->parameter : node->literals[segment];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
  }
  return add_to(node->here, bound);
}

Status Router::add(Door& door) {
  doors_.push_back(&door);
  for (auto& route : door.routes()) {
    auto bound = std::make_unique<BoundRoute>(
        BoundRoute{&door, std::move(route), routes_.size(), {}, {}, {}});
    STRATA_TRY(read_pattern(*bound));
    STRATA_TRY(place(*bound));
    routes_.push_back(std::move(bound));
  }
  return {};
}

// `at` is where the next segment begins; one past the path's end once all are used.
const BoundRoute* Router::find(const Node& node, std::size_t at, Search& search) {
  const std::string_view path = search.path;
  if (at > path.size()) return search.pick(node.here);
  const std::size_t end = std::min(path.find('/', at), path.size());
  const std::string_view segment = path.substr(at, end - at);
  if (const auto child = node.literals.find(segment); child != node.literals.end()) {
    if (const auto* found = find(*child->second, end + 1, search)) return found;
  }
  if (node.parameter && !segment.empty()) {
    search.values[search.count++] = segment;
    if (const auto* found = find(*node.parameter, end + 1, search)) return found;
    --search.count;
  }
  if (at == path.size()) return nullptr;
  const auto* found = search.pick(node.rest);
  if (found != nullptr) search.values[search.count++] = path.substr(at);
  return found;
}

Result<Match> Router::match(const Request& request) const {
  std::array<bool, kMethods> others{};
  Search search{request, without_root(request.path), request.method, {}, 0, others};
  const BoundRoute* bound = find(*root_, 0, search);
  if (bound == nullptr && request.method == Method::kHead) {
    search.method = Method::kGet;
    bound = find(*root_, 0, search);
  }
  if (bound == nullptr) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kMethods; ++i) {
      if (others[i]) names.emplace_back(method_name(static_cast<Method>(i)));
    }
    if (names.empty())
      return not_found(fmt::format("there is nothing at '{}'", printable(request.path)));
    std::ranges::sort(names);
    Error error(Code::kMethodNotAllowed,
                fmt::format("{} is not allowed here; use {}", method_name(request.method),
                            join(names, ", ")));
    error.field = join(names, ", ");
    return error;
  }
  Match match{bound, {}};
  match.params.reserve(search.count);
  for (std::size_t i = 0; i < search.count; ++i) {
    auto value = wire::percent_decode(search.values[i]);
    if (!value) return std::move(value).error();
    if (value->contains('\0')) return Error(Code::kMalformed, "the path holds a NUL byte");
    match.params.emplace_back(bound->parameters[i], *std::move(value));
  }
  return match;
}

const Door* Router::browsers_door(const Request& request) const {
  if (!wants_page(request)) return nullptr;
  const std::string_view path = without_root(request.path);
  const std::string_view first = path.substr(0, path.find('/'));
  bool of_others = false;
  for (const auto& bound : routes_) {
    if (bound->segments.empty() || bound->segments.front() != first) continue;
    if (bound->door->for_browsers()) return bound->door;
    of_others = true;
  }
  if (of_others) return nullptr;
  const auto found = std::ranges::find_if(doors_, [](const Door* d) { return d->for_browsers(); });
  return found == doors_.end() ? nullptr : *found;
}

const Door& Router::door_for(const Request& request) const {
  if (const Door* door = browsers_door(request)) return *door;
  const std::string_view path = request.path;
  const BoundRoute* best = routes_.front().get();
  std::size_t best_length = 0;
  for (const auto& bound : routes_) {
    const std::string_view lead =
        std::string_view(bound->route.pattern).substr(0, bound->route.pattern.find('{'));
    const auto common = static_cast<std::size_t>(
        std::mismatch(lead.begin(), lead.end(), path.begin(), path.end()).first - lead.begin());
    if (common > best_length) {
      best = bound.get();
      best_length = common;
    }
  }
  return *best->door;
}

}  // namespace strata::http
