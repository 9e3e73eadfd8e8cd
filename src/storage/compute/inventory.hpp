#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace strata::storage::compute {

struct Disk {
  std::string device;  // "nvme0n1p1", "overlay"
  std::string holds;   // what of ours lies on it: "data"
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

struct Gpu {
  std::string name;
  std::uint64_t memory_bytes = 0;
  std::string driver;
};

// What a node is made of, as the operating system tells it.
struct Inventory {
  std::string name;
  std::string cpu;
  int cores = 0;  // that this process may use
  std::vector<std::string>
      isa;  // instruction sets that matter for our work: "avx2", "avx512f", "sha_ni"
  std::uint64_t memory_bytes = 0;  // what this process may use: a container's limit counts
  int numa_nodes = 1;
  std::vector<Disk> disks;
  std::vector<Gpu> gpus;
  int landlock = 0;  // version of the kernel's Landlock, which confines the SQL engine; 0 for none
};

// What this process may use of the machine's memory: a container's limit counts.
std::uint64_t usable_memory();

// 0 where the kernel has no Landlock, or it is switched off.
int landlock_version();

// Looks at this machine; `data` is the data directory. Blocks for milliseconds, up to a second
// where NVML is installed.
Inventory take_inventory(const std::string& data);

Json to_json(const Inventory& inventory);

// Parts of /proc, for take_inventory and tests.
std::string parse_cpu_model(std::string_view cpuinfo);
std::vector<std::string> parse_isa(std::string_view cpuinfo);
std::uint64_t parse_memory_total(std::string_view meminfo);

}  // namespace strata::storage::compute
