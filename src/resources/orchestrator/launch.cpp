#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include "base/text.hpp"
#include "resources/orchestrator/orchestrator.hpp"
#include "runtime/files.hpp"

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

// The words of a file of /sys or /proc; none when it cannot be read.
std::vector<std::string> words_of(const std::string& path) {
  SystemFiles files;
  const auto text = files.read_all(path);
  return text ? split(trim(*text), ' ') : std::vector<std::string>();
}

std::int64_t cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::int64_t millis = 1000;
  if (sched_getaffinity(0, sizeof set, &set) == 0) millis = std::int64_t{1000} * CPU_COUNT(&set);
  // A container's share: quota and period in microseconds.
  const auto v2 = words_of("/sys/fs/cgroup/cpu.max");
  const auto quota = v2.size() == 2 ? to_int(v2[0]) : std::nullopt;
  const auto period = v2.size() == 2 ? to_int(v2[1]) : std::nullopt;
  if (quota && period && *period > 0) millis = std::min(millis, *quota * 1000 / *period);
  return std::max<std::int64_t>(millis, 1);
}

std::int64_t memory() {
  std::int64_t bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  for (const auto* const path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const auto words = words_of(path);
    const auto limit = words.empty() ? std::nullopt : to_int(words[0]);
    if (limit) bytes = std::min(bytes, *limit);
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
