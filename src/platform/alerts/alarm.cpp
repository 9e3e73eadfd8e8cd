#include "platform/alerts/alarm.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"
#include "wire/uri.hpp"

namespace strata::platform::alerts {

namespace {

constexpr std::chrono::milliseconds kFirstWait{1000};
constexpr std::chrono::milliseconds kLongestWait{300'000};
constexpr int kExpiresAfter = 4;  // repetitions
constexpr std::size_t kMostMatchers = 20;
constexpr std::size_t kMostText = 500;
// Alertmanager's way to say that an alert has not ended.
constexpr std::string_view kNoEnd = "0001-01-01T00:00:00Z";

const std::vector<std::string> kLabelNames = {"alertname", "severity", "project", "subject",
                                              "endpoint",  "feature",  "model",   "alias",
                                              "version",   "question"};

std::string name_in(const std::string& subject) {
  return subject.substr(std::min(subject.find(':'), subject.size() - 1) + 1);
}

Json labels_json(const Labels& labels) {
  Json out = Json::object();
  for (const auto& [name, value] : labels)
    out.set(name, value);
  return out;
}

Alarm drift_alarm(const kernel::Event& event) {
  const std::string endpoint = name_in(event.subject), feature = event.data.text("feature");
  Alarm alarm;
  alarm.labels = {{"alertname", "Drift"},     {"severity", "warning"},
                  {"subject", event.subject}, {"project", event.project.str()},
                  {"endpoint", endpoint},     {"feature", feature}};
  alarm.annotations = {
      {"summary", fmt::format("{} of endpoint {} drifts from its reference", feature, endpoint)},
      {"description",
       fmt::format("Population stability index {:.3g}, p-value {:.3g}, over {} rows of version {}.",
                   event.data.number("psi"), event.data.number("p_value"),
                   event.data.integer("rows"), event.data.text("version"))}};
  return alarm;
}

// Of a model as an alias or a version names it.
Labels verdict_labels(const kernel::Event& event, const std::string& model) {
  const std::string standing = event.data.text("subject");
  Labels labels = {{"alertname", "ModelVerdictBad"},
                   {"severity", "critical"},
                   {"subject", "model:" + model},
                   {"project", event.project.str()},
                   {"model", model},
                   {"question", event.data.text("question")}};
  if (standing.starts_with('@'))
    labels["alias"] = standing.substr(1);
  else
    labels["version"] = standing;
  return labels;
}

Alarm verdict_alarm(const kernel::Event& event) {
  const std::string model = name_in(event.subject), question = event.data.text("question");
  Alarm alarm;
  alarm.labels = verdict_labels(event, model);
  std::vector<std::string> codes;
  if (event.data["codes"].is_array()) {
    for (const Json& code : event.data["codes"].as_array()) {
      if (code.is_string()) codes.push_back(code.as_string());
    }
  }
  alarm.annotations = {{"summary", fmt::format("The question '{}' about model {} ({}) is bad",
                                               question, model, event.data.text("subject"))},
                       {"description", fmt::format("Evidence: {}. Version {}.", join(codes, ", "),
                                                   event.data.integer("version"))}};
  return alarm;
}

Change closing(const kernel::Event& event, Labels labels) {
  Change change{Change::Kind::kCloses, {}, event.subject};
  change.alarm.labels = std::move(labels);
  return change;
}

}  // namespace

std::string fingerprint_of(const Labels& labels) {
  return to_hex(sha256(labels_json(labels).dump())).substr(0, 16);
}

std::optional<Change> change_of(const kernel::Event& event) {
  std::optional<Change> change;
  if (event.type == "drift.detected") {
    change = Change{Change::Kind::kOpens, drift_alarm(event), event.subject};
  } else if (event.type == "drift.resolved") {
    change = closing(event, {{"alertname", "Drift"}});
    // Without one: all of them.
    if (event.data["feature"].is_string())
      change->alarm.labels["feature"] = event.data.text("feature");
  } else if (event.type == "endpoint.deleted" || event.type == "model.deleted") {
    change = closing(event, {});
  } else if (event.type == "verdict.changed" && event.data.text("to") == "bad") {
    change = Change{Change::Kind::kOpens, verdict_alarm(event), event.subject};
  } else if (event.type == "verdict.changed") {
    change = closing(event, verdict_labels(event, name_in(event.subject)));
  } else if (event.type == "alias.moved" && event.data["to"].is_null()) {
    change =
        closing(event, {{"alertname", "ModelVerdictBad"}, {"alias", event.data.text("alias")}});
  } else if (event.type == "model.renamed") {
    change = Change{Change::Kind::kMoves, {}, event.subject};
    const std::string name = event.data.text("new_name");
    change->alarm.labels = {{"model", name}, {"subject", "model:" + name}};
  }
  if (!change) return change;
  change->alarm.project = event.project.str();
  change->alarm.subject = event.subject;
  change->alarm.starts = event.time;
  return change;
}

Result<Matcher> Matcher::parse(std::string_view text, const std::string& field) {
  const auto at = text.find('=');
  if (at == std::string_view::npos || at == 0 || text.size() > kMostText) {
    return invalid(field, fmt::format("'{}' is no condition; write label=value or label!=value, "
                                      "for example endpoint=flights",
                                      printable(text)));
  }
  Matcher matcher;
  matcher.equal = text[at - 1] != '!';
  matcher.name = trim(text.substr(0, matcher.equal ? at : at - 1));
  matcher.value = trim(text.substr(at + 1));
  if (matcher.value.starts_with('~')) {
    return invalid(field, fmt::format("'{}': regular expressions are not known here; use = or !=",
                                      printable(text)));
  }
  if (std::ranges::find(kLabelNames, matcher.name) == kLabelNames.end()) {
    const auto near = did_you_mean(matcher.name, kLabelNames);
    return invalid(
        field,
        fmt::format("no alarm has the label '{}'{}; labels are {}", printable(matcher.name),
                    near.empty() ? "" : ". Did you mean '" + near + "'?", join(kLabelNames, ", ")));
  }
  return matcher;
}

bool matches(const Matchers& matchers, const Labels& labels) {
  return std::ranges::all_of(matchers, [&](const Matcher& matcher) {
    const auto label = labels.find(matcher.name);
    return (label == labels.end() ? matcher.value.empty() : label->second == matcher.value) ==
           matcher.equal;
  });
}

Json matchers_json(const Matchers& matchers) {
  Json out = Json::array();
  for (const auto& matcher : matchers)
    out.push(matcher.text());
  return out;
}

Result<Matchers> parse_matchers(const Json& list, const std::string& field) {
  Matchers out;
  if (list.is_null()) return out;
  if (!list.is_array() || list.size() > kMostMatchers) {
    return invalid(field, fmt::format("{}: a list of at most {} texts such as endpoint=flights",
                                      field, kMostMatchers));
  }
  for (const Json& one : list.as_array()) {
    if (!one.is_string())
      return invalid(field, fmt::format("{}: '{}' is no text", field, printable(one.dump())));
    auto matcher = Matcher::parse(one.as_string(), field);
    if (!matcher) return std::move(matcher).error();
    out.push_back(*std::move(matcher));
  }
  return out;
}

Act next_act(const Route& route, const Alarm& alarm, const Told& told, bool silenced, Instant now) {
  if (!matches(route.matchers, alarm.labels)) return Act::kNothing;
  if (!alarm.open()) {
    const bool owed = route.send_resolved && told.firing && !told.resolved;
    return owed ? Act::kResolved : Act::kNothing;
  }
  if (silenced || told.waiting) return Act::kNothing;
  if (!told.firing || now - *told.firing >= route.repeat) return Act::kFiring;
  return Act::kNothing;
}

std::optional<Instant> next_look(const Route& route, const Alarm& alarm, const Told& told,
                                 bool silenced) {
  if (!alarm.open() || silenced || told.waiting || !told.firing) return std::nullopt;
  if (!matches(route.matchers, alarm.labels)) return std::nullopt;
  return *told.firing + route.repeat;
}

std::chrono::milliseconds backoff(int attempts, double chance) {
  const auto doubled = kFirstWait * (std::int64_t{1} << std::clamp(attempts - 1, 0, 20));
  const auto whole = std::min<std::chrono::milliseconds>(doubled, kLongestWait);
  return std::chrono::milliseconds(
      std::llround(static_cast<double>(whole.count()) * (1 - chance / 2)));
}

Outcome outcome_of(int status) {
  if (status >= 200 && status < 300) return Outcome::kArrived;
  if (status >= 500 || status == 408 || status == 429) return Outcome::kTryAgain;
  return Outcome::kRefused;
}

namespace {

std::string page_of(const Alarm& alarm, const std::string& server) {
  const auto endpoint = alarm.labels.find("endpoint");
  if (endpoint != alarm.labels.end())
    return server + "/monitors/" + wire::percent_encode(endpoint->second);
  const auto model = alarm.labels.find("model");
  if (model == alarm.labels.end()) return server + "/";
  return server + "/models/" + wire::percent_encode(model->second);
}

// What all have in common.
Labels common(const std::vector<Notice>& notices, Labels Alarm::* member) {
  Labels out = notices.front().alarm.*member;
  for (const auto& notice : notices) {
    std::erase_if(out, [&](const auto& pair) {
      const auto& other = notice.alarm.*member;
      const auto found = other.find(pair.first);
      return found == other.end() || found->second != pair.second;
    });
  }
  return out;
}

Json alert_json(const Alarm& alarm, std::string_view ends, const std::string& server) {
  return Json::object({{"labels", labels_json(alarm.labels)},
                       {"annotations", labels_json(alarm.annotations)},
                       {"startsAt", to_rfc3339(alarm.starts)},
                       {"endsAt", ends},
                       {"generatorURL", page_of(alarm, server)}});
}

}  // namespace

Json webhook_body(const Route& route, const std::vector<Notice>& notices,
                  const std::string& server) {
  Json alerts = Json::array();
  bool firing = false;
  for (const auto& notice : notices) {
    firing = firing || !notice.resolved();
    Json one = Json::object({{"status", notice.resolved() ? "resolved" : "firing"}});
    const std::string ends =
        notice.resolved() ? to_rfc3339(*notice.alarm.ends) : std::string(kNoEnd);
    for (auto& [name, value] : alert_json(notice.alarm, ends, server).as_object())
      one.set(name, std::move(value));
    one.set("fingerprint", fingerprint_of(notice.alarm.labels));
    alerts.push(std::move(one));
  }
  const std::string subject = notices.front().alarm.subject;
  return Json::object(
      {{"version", "4"},
       {"groupKey", fmt::format(R"({{}}/{{route="{}"}}:{{subject="{}"}})", route.name, subject)},
       {"truncatedAlerts", 0},
       {"status", firing ? "firing" : "resolved"},
       {"receiver", route.name},
       {"groupLabels", Json::object({{"subject", subject}})},
       {"commonLabels", labels_json(common(notices, &Alarm::labels))},
       {"commonAnnotations", labels_json(common(notices, &Alarm::annotations))},
       {"externalURL", server},
       {"alerts", std::move(alerts)}});
}

Json alertmanager_body(const Route& route, const std::vector<Notice>& notices,
                       const std::string& server, Instant now) {
  Json alerts = Json::array();
  for (const auto& notice : notices) {
    const Instant ends = notice.alarm.ends.value_or(now + kExpiresAfter * route.repeat);
    alerts.push(alert_json(notice.alarm, to_rfc3339(ends), server));
  }
  return alerts;
}

}  // namespace strata::platform::alerts
