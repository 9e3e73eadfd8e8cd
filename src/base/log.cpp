#include "base/log.hpp"

#include <array>
#include <atomic>
#include <memory>

namespace strata::log {

namespace {
struct Target {
  Sink sink;
  Level least;
};
std::atomic<std::shared_ptr<const Target>> target;
}  // namespace

void install(Sink sink, Level least) {
  target.store(sink ? std::make_shared<const Target>(Target{std::move(sink), least}) : nullptr);
}

void write(Level level, std::string_view event, Json fields) {
  constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};
  const auto to = target.load();
  if (!to || level < to->least) return;
  Json line = Json::object(
      {{"level", kLevels[static_cast<std::size_t>(level)]}, {"event", std::string(event)}});
  for (auto& [name, value] : fields.as_object())
    line.as_object().emplace_back(name, std::move(value));
  to->sink(line.dump());
}

}  // namespace strata::log
