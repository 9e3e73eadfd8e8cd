#include "base/log.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include <fmt/format.h>

namespace strata::log {

namespace {
struct Target {
  Sink sink;
  Level least;
};
std::mutex target_mutex;
std::shared_ptr<const Target> target;
constexpr int kNothing = 1 + static_cast<int>(Level::kError);
std::atomic<int> least_kept{kNothing};

std::string_view level_name(Level level) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};
  return kLevels[static_cast<std::size_t>(level)];
}

void hand_over(Level level, std::string_view line) {
  const auto to = [] {
    const std::scoped_lock lock(target_mutex);
    return target;
  }();
  if (to && level >= to->least) to->sink(line);
}
}  // namespace

void install(Sink sink, Level least) {
  least_kept = sink ? static_cast<int>(least) : kNothing;
  auto next = sink ? std::make_shared<const Target>(Target{std::move(sink), least}) : nullptr;
  const std::scoped_lock lock(target_mutex);
  target.swap(next);  // the former goes when the lock is open again
}

bool enabled(Level level) {
  return static_cast<int>(level) >= least_kept.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view event, Json fields) {
  if (!enabled(level)) return;
  Json line = Json::object({{"level", level_name(level)}, {"event", std::string(event)}});
  for (auto& [name, value] : fields.as_object())
    line.as_object().emplace_back(name, std::move(value));
  hand_over(level, line.dump());
}

Line::Line(Level level, std::string_view event) : level_(level) {
  constexpr std::size_t kUsual = 512;
  text_.reserve(kUsual);
  text_ += R"({"level":")";
  text_ += level_name(level);
  text_ += R"(","event":)";
  append_json_string(text_, event);
}

void Line::name(std::string_view name) {
  text_ += ',';
  append_json_string(text_, name);
  text_ += ':';
}

Line& Line::text(std::string_view field, std::string_view value) {
  name(field);
  append_json_string(text_, value);
  return *this;
}

Line& Line::number(std::string_view field, std::int64_t value) {
  name(field);
  fmt::format_to(std::back_inserter(text_), "{}", value);
  return *this;
}

Line& Line::number(std::string_view field, double value) {
  name(field);
  append_json_double(text_, value);
  return *this;
}

void Line::write() {
  text_ += '}';
  if (enabled(level_)) hand_over(level_, text_);
}

}  // namespace strata::log
