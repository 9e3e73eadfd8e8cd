#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "platform/alerts/alarm.hpp"

namespace strata::platform::alerts {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostName = 100;
constexpr std::size_t kMostUrl = 2000;
constexpr std::size_t kMostSecret = 4000;
constexpr milliseconds kMostGroupWait{300'000};
constexpr milliseconds kLeastRepeat{1000};
constexpr milliseconds kMostRepeat{7 * 86'400'000};
constexpr milliseconds kAlertmanagerRepeat{60'000};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostName && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// Visible ASCII, so that nothing in it ends a line of a request.
bool is_visible(std::string_view text, char least) {
  return std::ranges::all_of(text, [least](char c) { return c >= least && c <= '~'; });
}

Status check_url(const std::string& url) {
  const auto wrong = [&](std::string_view why) {
    return invalid("url", fmt::format("url: '{}' {}; give one such as "
                                      "https://alerts.example.com/hook",
                                      printable(url), why));
  };
  const std::size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
  if (scheme == 0) return wrong("must begin with http:// or https://");
  if (url.size() > kMostUrl) return wrong("is longer than 2000 bytes");
  if (!is_visible(url, '!')) return wrong("has spaces or characters that need encoding");
  if (url.contains('#')) return wrong("has a fragment (#), which is never sent");
  const std::string authority = url.substr(scheme, url.find_first_of("/?", scheme) - scheme);
  if (authority.contains('@'))
    return wrong("names a user; give credentials as bearer or header instead");
  if (authority.contains('[')) return wrong("has an IPv6 address, which is not known here");
  const auto colon = authority.find(':');
  if (colon == 0 || authority.empty()) return wrong("names no host");
  if (url.find_first_of("/?", scheme) != std::string::npos &&
      url[url.find_first_of("/?", scheme)] == '?')
    return wrong("has a query without a path");
  if (colon != std::string::npos) {
    const auto port = to_int(authority.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) return wrong("has no port from 1 to 65535");
  }
  return {};
}

Result<std::string> text_of(const Json& json, std::string_view field) {
  const Json& value = json[field];
  if (value.is_null()) return std::string();
  if (!value.is_string()) {
    return invalid(std::string(field),
                   fmt::format("{}: a text is needed, not {}", field, value.type_name()));
  }
  return value.as_string();
}

Result<milliseconds> duration_of(const Json& json, std::string_view field, milliseconds fallback,
                                 milliseconds least, milliseconds most) {
  const auto text = text_of(json, field);
  if (!text) return text.error();
  if (text->empty()) return fallback;
  const auto parsed = parse_duration(*text);
  if (parsed && *parsed >= least && *parsed <= most) return *parsed;
  return invalid(std::string(field),
                 fmt::format("{}: '{}' is no duration from {} to {}, such as 30s or 4h", field,
                             printable(*text), show_duration(least), show_duration(most)));
}

// "bearer" is the header Authorization; "header" is "Name: value".
Status take_secret(const Json& json, Route& route) {
  const auto bearer = text_of(json, "bearer"), header = text_of(json, "header");
  if (!bearer) return bearer.error();
  if (!header) return header.error();
  if (!bearer->empty() && !header->empty())
    return invalid("header", "header: give bearer or header, not both");
  if (!bearer->empty()) {
    if (!is_visible(*bearer, '!') || bearer->size() > kMostSecret)
      return invalid("bearer", "bearer: a token of visible ASCII without spaces is needed");
    route.header = "Authorization";
    route.secret = "Bearer " + *bearer;
  }
  if (header->empty()) return {};
  const auto colon = header->find(':');
  const std::string name(trim(header->substr(0, colon)));
  const std::string value(colon == std::string::npos ? "" : trim(header->substr(colon + 1)));
  static const std::vector<std::string> kOwn = {"host", "content-length", "content-type",
                                                "connection", "transfer-encoding"};
  const bool own = std::ranges::find(kOwn, to_lower(name)) != kOwn.end();
  if (!is_name(name) || own || value.empty() || !is_visible(value, ' ') ||
      value.size() > kMostSecret) {
    return invalid("header",
                   "header: 'Name: value' in visible ASCII is needed, and no header that the "
                   "request has anyway, for example 'X-Api-Key: ...'");
  }
  route.header = name;
  route.secret = value;
  return {};
}

}  // namespace

Result<Route> Route::parse(const Json& json) {
  static const std::vector<std::string> kFields = {
      "name", "kind", "url", "matchers", "send_resolved", "wait", "repeat", "bearer", "header"};
  if (!json.is_object()) return invalid("body", "a JSON object is needed");
  for (const auto& [field, value] : json.as_object()) {
    if (std::ranges::find(kFields, field) != kFields.end()) continue;
    const auto near = did_you_mean(field, kFields);
    return invalid(field, fmt::format("{}: a route has no such field{}", printable(field),
                                      near.empty() ? "" : ". Did you mean '" + near + "'?"));
  }
  Route route;
  const auto name = text_of(json, "name"), kind = text_of(json, "kind"), url = text_of(json, "url");
  if (!name) return name.error();
  if (!kind) return kind.error();
  if (!url) return url.error();
  if (!is_name(*name)) {
    return invalid("name", fmt::format("name: '{}' must be 1 to {} letters, digits, '-', '_', '.'",
                                       printable(*name), kMostName));
  }
  if (*kind != "webhook" && *kind != "alertmanager") {
    return invalid("kind",
                   fmt::format("kind: '{}' is neither webhook nor alertmanager", printable(*kind)));
  }
  STRATA_TRY(check_url(*url));
  route.name = *name;
  route.url = *url;
  route.kind = *kind == "webhook" ? RouteKind::kWebhook : RouteKind::kAlertmanager;
  auto matchers = parse_matchers(json["matchers"], "matchers");
  if (!matchers) return std::move(matchers).error();
  route.matchers = *std::move(matchers);
  if (!json["send_resolved"].is_null() && !json["send_resolved"].is_bool())
    return invalid("send_resolved", "send_resolved: true or false is needed");
  route.send_resolved = json.boolean("send_resolved", true);
  const auto wait = duration_of(json, "wait", route.wait, milliseconds(0), kMostGroupWait);
  if (!wait) return wait.error();
  const auto repeat = duration_of(
      json, "repeat", route.kind == RouteKind::kWebhook ? route.repeat : kAlertmanagerRepeat,
      kLeastRepeat, kMostRepeat);
  if (!repeat) return repeat.error();
  route.wait = *wait;
  route.repeat = *repeat;
  STRATA_TRY(take_secret(json, route));
  return route;
}

Json Route::to_json() const {
  return Json::object({{"name", name},
                       {"kind", kind == RouteKind::kWebhook ? "webhook" : "alertmanager"},
                       {"url", url},
                       {"matchers", matchers_json(matchers)},
                       {"send_resolved", send_resolved},
                       {"wait_ms", wait.count()},
                       {"repeat_ms", repeat.count()},
                       {"header", header.empty() ? Json() : Json(header)},
                       {"actor", actor},
                       {"created", to_rfc3339(created)}});
}

}  // namespace strata::platform::alerts
