#include "storage/compute/inventory.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <linux/landlock.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.hpp"
#include "runtime/dynamic_library.hpp"
#include "runtime/files.hpp"

namespace strata::storage::compute {

namespace {

constexpr std::array kIsa = {"sse4_2",    "avx",        "avx2",     "fma",         "f16c",
                             "avx512f",   "avx512bw",   "avx512vl", "avx512_vnni", "avx512_bf16",
                             "amx_tile",  "amx_int8",   "amx_bf16", "avx_vnni",    "aes",
                             "pclmulqdq", "vpclmulqdq", "sha_ni",   "bmi2",        "asimd",
                             "sve",       "sve2",       "crc32",    "sha2"};

// What cannot be read is as good as empty: each fact has a default.
std::string read_file(const std::string& path) {
  return SystemFiles().read_all(path).value_or("");
}

// The value behind "name : " of the first line that has it.
std::string field_of(std::string_view text, std::string_view name) {
  for (const auto& line : split(text, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || trim(std::string_view(line).substr(0, colon)) != name)
      continue;
    return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  int cores = CPU_COUNT(&set);
  // A container's quota: "max 100000" or "200000 100000" (cgroup v2).
  const auto quota = split(trim(read_file("/sys/fs/cgroup/cpu.max")), ' ');
  if (quota.size() == 2) {
    const auto share = to_int(quota[0]);
    const auto period = to_int(quota[1]);
    if (share && period && *period > 0)
      cores = std::min(cores, std::max(1, static_cast<int>(*share / *period)));
  }
  return std::max(1, cores);
}

int count_numa_nodes() {
  int count = 0;
  std::error_code fault;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/node", fault)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("node") && name.size() > 4 && name[4] >= '0' && name[4] <= '9') ++count;
  }
  return std::max(1, count);
}

// The device whose mount point is the longest that `path` lies below.
std::string device_of(const std::string& path) {
  std::string device;
  std::size_t longest = 0;
  for (const auto& line : split(read_file("/proc/self/mounts"), '\n')) {
    const auto parts = split(line, ' ');
    if (parts.size() < 3) continue;
    const bool below = path == parts[1] || path.starts_with(parts[1] == "/" ? "/" : parts[1] + "/");
    if (!below || parts[1].size() < longest) continue;
    longest = parts[1].size();
    device = parts[0].starts_with("/dev/") ? parts[0].substr(5) : parts[2];
  }
  return device;
}

Disk look_at_disk(const std::string& path, std::string holds) {
  Disk disk{device_of(path), std::move(holds), 0, 0};
  struct statvfs space{};
  if (::statvfs(path.c_str(), &space) == 0) {
    disk.total_bytes = static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize;
    disk.free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  }
  return disk;
}

// NVML by its documented C calls; nothing where the driver is not installed.
std::vector<Gpu> find_gpus() {
  std::vector<Gpu> out;
  const auto nvml = DynamicLibrary::open("libnvidia-ml.so.1");
  if (!nvml) return out;
  struct Memory {
    unsigned long long total, free, used;
  };
  auto* init = nvml->function<int()>("nvmlInit_v2");
  auto* shutdown = nvml->function<int()>("nvmlShutdown");
  auto* count = nvml->function<int(unsigned*)>("nvmlDeviceGetCount_v2");
  auto* handle = nvml->function<int(unsigned, void**)>("nvmlDeviceGetHandleByIndex_v2");
  auto* name = nvml->function<int(void*, char*, unsigned)>("nvmlDeviceGetName");
  auto* memory = nvml->function<int(void*, Memory*)>("nvmlDeviceGetMemoryInfo");
  auto* driver = nvml->function<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  if (!init || !shutdown || !count || !handle || !name || !memory || !driver || init() != 0)
    return out;
  unsigned devices = 0;
  std::array<char, 96> text{};
  std::string version;
  if (driver(text.data(), text.size()) == 0) version = text.data();
  if (count(&devices) != 0) devices = 0;
  for (unsigned i = 0; i < devices; ++i) {
    void* device = nullptr;
    Memory bytes{};
    if (handle(i, &device) != 0 || name(device, text.data(), text.size()) != 0) continue;
    if (memory(device, &bytes) != 0) bytes.total = 0;
    out.push_back({text.data(), bytes.total, version});
  }
  shutdown();
  return out;
}

}  // namespace

std::uint64_t usable_memory() {
  std::uint64_t memory = parse_memory_total(read_file("/proc/meminfo"));
  for (const auto* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const auto limit = to_int(trim(read_file(path)));
    if (limit && *limit > 0) memory = std::min(memory, static_cast<std::uint64_t>(*limit));
  }
  return memory;
}

int landlock_version() {
  const auto version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

std::string parse_cpu_model(std::string_view cpuinfo) {
  const std::string model = field_of(cpuinfo, "model name");
  return model.empty() ? field_of(cpuinfo, "CPU part") : model;
}

std::vector<std::string> parse_isa(std::string_view cpuinfo) {
  std::string flags = field_of(cpuinfo, "flags");
  if (flags.empty()) flags = field_of(cpuinfo, "Features");
  const auto words = split(flags, ' ');
  std::vector<std::string> out;
  for (const auto* name : kIsa) {
    if (std::find(words.begin(), words.end(), name) != words.end()) out.emplace_back(name);
  }
  return out;
}

std::uint64_t parse_memory_total(std::string_view meminfo) {
  const auto parts = split(field_of(meminfo, "MemTotal"), ' ');
  return parts.empty() ? 0 : static_cast<std::uint64_t>(to_int(parts[0]).value_or(0)) * 1024;
}

Inventory take_inventory(const std::string& data) {
  Inventory out;
  std::array<char, 256> host{};
  out.name =
      ::gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0' ? host.data() : "local";
  const std::string cpuinfo = read_file("/proc/cpuinfo");
  out.cpu = parse_cpu_model(cpuinfo);
  out.isa = parse_isa(cpuinfo);
  out.cores = usable_cores();
  out.memory_bytes = usable_memory();
  out.numa_nodes = count_numa_nodes();
  out.disks.push_back(look_at_disk(data, "data"));
  out.gpus = find_gpus();
  out.landlock = landlock_version();
  return out;
}

Json to_json(const Inventory& inventory) {
  Json isa = Json::array();
  for (const auto& name : inventory.isa)
    isa.push(name);
  Json disks = Json::array();
  for (const auto& disk : inventory.disks) {
    disks.push(Json::object({{"device", disk.device},
                             {"holds", disk.holds},
                             {"total_bytes", disk.total_bytes},
                             {"free_bytes", disk.free_bytes}}));
  }
  Json gpus = Json::array();
  for (const auto& gpu : inventory.gpus) {
    gpus.push(Json::object(
        {{"name", gpu.name}, {"memory_bytes", gpu.memory_bytes}, {"driver", gpu.driver}}));
  }
  return Json::object({{"name", inventory.name},
                       {"cpu", inventory.cpu},
                       {"cores", inventory.cores},
                       {"isa", std::move(isa)},
                       {"memory_bytes", inventory.memory_bytes},
                       {"numa_nodes", inventory.numa_nodes},
                       {"landlock", inventory.landlock},
                       {"disks", std::move(disks)},
                       {"gpus", std::move(gpus)}});
}

}  // namespace strata::storage::compute
