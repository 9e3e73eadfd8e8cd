#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include "base/text.hpp"
#include "resources/orchestrator/orchestrator.hpp"

namespace strata::resources::orchestrator {
namespace {

Json texts(const std::vector<std::string>& values) {
  Json out = Json::array();
  for (const auto& value : values)
    out.push(value);
  return out;
}

std::vector<std::string> texts_from(const Json& json) {
  std::vector<std::string> out;
  if (!json.is_array()) return out;
  for (const Json& item : json.as_array()) {
    if (item.is_string()) out.push_back(item.as_string());
  }
  return out;
}

// The first word of a file of /sys or /proc as a number.
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return to_int(word);
}

std::int64_t cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::int64_t millis = 1000;
  if (sched_getaffinity(0, sizeof set, &set) == 0) millis = std::int64_t{1000} * CPU_COUNT(&set);
  // A container's share: quota and period in microseconds.
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  std::int64_t period = 0;
  if (v2 >> quota >> period && period > 0) {
    if (const auto share = to_int(quota)) millis = std::min(millis, *share * 1000 / period);
  }
  return std::max<std::int64_t>(millis, 1);
}

std::int64_t memory() {
  std::int64_t bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  for (const auto* const path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    if (const auto limit = number_in(path)) bytes = std::min(bytes, *limit);
  }
  return bytes;
}

int gpus() {
  int count = 0;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/dev", failed)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("nvidia") && to_int(name.substr(6))) ++count;
  }
  return count;
}

}  // namespace

Json Launch::to_json() const {
  return Json::object({{"token", token},
                       {"directory", directory},
                       {"argv", texts(argv)},
                       {"environment", texts(environment)},
                       {"package", package},
                       {"timeout_ms", timeout.count()},
                       {"log_limit", log_limit}});
}

Result<Launch> Launch::from_json(const Json& json) {
  Launch out;
  out.token = json.text("token");
  out.directory = json.text("directory");
  out.argv = texts_from(json["argv"]);
  out.environment = texts_from(json["environment"]);
  out.package = json.text("package");
  out.timeout = std::chrono::milliseconds(json.integer("timeout_ms"));
  out.log_limit = static_cast<std::uint64_t>(json.integer("log_limit"));
  if (out.token.empty() || !out.directory.starts_with('/') || out.argv.empty()) {
    return Error(Code::kMalformed, "a launch needs token, directory and argv");
  }
  return out;
}

Result<std::string> attempt_directory(const std::string& data, const std::string& token) {
  const auto parsed = scheduler::Token::parse(token);
  if (!parsed || token.contains('/')) {
    return invalid("token", fmt::format("'{}' names no attempt", token));
  }
  return fmt::format("{}/tasks/{}.{}/{}", data, parsed->run, parsed->step, parsed->number);
}

scheduler::Resources node_capacity() {
  return {cores(), memory(), gpus()};
}

}  // namespace strata::resources::orchestrator
