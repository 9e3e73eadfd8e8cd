#include "doors/http/router.hpp"

#include <set>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::http {

namespace {

bool is_param(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}
bool is_rest(std::string_view segment) {
  return segment.ends_with("+}");
}

// The parameters of `path` under the pattern, or nothing when it does not fit.
std::optional<Pairs> fit(const BoundRoute& bound, const std::vector<std::string_view>& path) {
  Pairs params;
  for (std::size_t i = 0; i < bound.segments.size(); ++i) {
    const std::string_view segment = bound.segments[i];
    if (is_rest(segment)) {
      if (i >= path.size()) return std::nullopt;
      const char* begin = path[i].data();
      const auto& last = path.back();
      params.emplace_back(
          segment.substr(1, segment.size() - 3),
          std::string(begin, static_cast<std::size_t>(last.data() + last.size() - begin)));
      if (params.back().second.empty()) return std::nullopt;
      return params;
    }
    if (i >= path.size()) return std::nullopt;
    if (is_param(segment)) {
      if (path[i].empty()) return std::nullopt;
      params.emplace_back(segment.substr(1, segment.size() - 2), std::string(path[i]));
    } else if (segment != path[i]) {
      return std::nullopt;
    }
  }
  if (path.size() != bound.segments.size()) return std::nullopt;
  return params;
}

bool holds(const BoundRoute& bound, const Request& request) {
  if (!bound.route.when_query.empty() && !request.has_query(bound.route.when_query)) return false;
  return bound.route.when_header.empty() ||
         request.headers.find(bound.route.when_header).has_value();
}

int strictness(const Route& route) {
  return (route.when_query.empty() ? 0 : 2) + (route.when_header.empty() ? 0 : 1);
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const std::size_t at = path.find('/');
    out.push_back(path.substr(0, at));
    if (at == std::string_view::npos) return out;
    path.remove_prefix(at + 1);
  }
}

std::optional<unsigned> hex_pair(std::string_view text, std::size_t at) {
  if (at + 2 > text.size()) return std::nullopt;
  const auto byte = from_hex(text.substr(at, 2));
  if (!byte) return std::nullopt;
  return static_cast<unsigned char>((*byte)[0]);
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto byte = hex_pair(text, i + 1);
      if (!byte || *byte == 0) {
        return Error(Code::kMalformed,
                     fmt::format("'{}' has a broken percent escape", printable(text)));
      }
      out += static_cast<char>(*byte);
      i += 2;
    }
  }
  return out;
}

Result<Pairs> parse_query(std::string_view raw) {
  Pairs pairs;
  if (raw.empty()) return pairs;
  for (const auto& piece : split(raw, '&')) {
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    auto name = percent_decode(std::string_view(piece).substr(0, equals), true);
    if (!name) return std::move(name).error();
    auto value = equals == std::string::npos
                     ? Result<std::string>(std::string())
                     : percent_decode(std::string_view(piece).substr(equals + 1), true);
    if (!value) return std::move(value).error();
    pairs.emplace_back(*std::move(name), *std::move(value));
  }
  return pairs;
}

void Router::rewrite(Request& request) const {
  for (const Door* door : doors_)
    door->rewrite(request);
}

Status Router::add(Door& door) {
  doors_.push_back(&door);
  for (auto& route : door.routes()) {
    auto bound = std::make_unique<BoundRoute>(BoundRoute{&door, std::move(route), {}, {}});
    const std::string& pattern = bound->route.pattern;
    if (!pattern.starts_with('/')) return internal("a route must start with '/': " + pattern);
    bool literal = true;
    for (const auto& segment : segments_of(pattern)) {
      bound->segments.emplace_back(segment);
      literal = literal && !is_param(segment);
    }
    if (!bound->route.doc.request_schema.empty()) {
      auto schema = parse_json(bound->route.doc.request_schema);
      if (!schema) return schema.error().wrap("the request schema of " + pattern);
      bound->request_schema = *std::move(schema);
    }
    const BoundRoute* added = bound.get();
    routes_.push_back(std::move(bound));
    auto& list = literal ? literal_[pattern] : patterns_;
    // Routes with conditions come before the one that takes the rest; a pattern with fewer
    // parameters before a wider one.
    const auto wider = [&](const BoundRoute* other) {
      return strictness(other->route) < strictness(added->route);
    };
    list.insert(std::find_if(list.begin(), list.end(), wider), added);
  }
  return {};
}

Result<Match> Router::match(const Request& request) const {
  std::set<std::string> allowed;
  const auto try_route = [&](const BoundRoute& bound, Method method) {
    if (bound.route.method != method) {
      allowed.emplace(method_name(bound.route.method));
      return false;
    }
    return holds(bound, request);
  };
  const auto path = segments_of(request.path);
  const auto find = [&](Method method) -> std::optional<Match> {
    if (const auto at = literal_.find(request.path); at != literal_.end()) {
      for (const auto* bound : at->second) {
        if (try_route(*bound, method)) return Match{bound, {}};
      }
    }
    for (const auto* bound : patterns_) {
      auto params = fit(*bound, path);
      if (params && try_route(*bound, method)) return Match{bound, *std::move(params)};
    }
    return std::nullopt;
  };
  auto found = find(request.method);
  if (!found && request.method == Method::kHead) found = find(Method::kGet);
  if (!found) {
    if (allowed.empty())
      return not_found(fmt::format("there is nothing at '{}'", printable(request.path)));
    const std::vector<std::string> names(allowed.begin(), allowed.end());
    Error error(Code::kMethodNotAllowed,
                fmt::format("{} is not allowed here; use {}", method_name(request.method),
                            join(names, ", ")));
    error.field = join(names, ", ");
    return error;
  }
  for (auto& [name, value] : found->params) {
    auto decoded = percent_decode(value, false);
    if (!decoded) return std::move(decoded).error();
    value = *std::move(decoded);
  }
  return *std::move(found);
}

const Door& Router::door_for(std::string_view path) const {
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
