#pragma once

#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace strata::storage::compute {

// How fast a node is, measured and not read from a data sheet. Zero where it could not be measured.
struct Measurements {
  double memory_gb_s =
      0;  // triad a[i] = b[i] + s * c[i] on all cores (STREAM's counting: 24 bytes an element)
  double disk_write_gb_s = 0;   // sequential, with the final fdatasync
  double disk_read_gb_s = 0;    // sequential, after the page cache was told to forget
  double fdatasync_p50_us = 0;  // of 4 KiB appends
  double fdatasync_p99_us = 0;
  double fp32_gflops = 0;  // fused multiply-add on one core
  double fp64_gflops = 0;
};

// Measures this machine in at most three seconds, on all cores and in `folder`, where it needs 64
// MiB for that time. Takes about 100 MiB of memory, so the server lets a child process do it.
// Blocks. Errors: what the file system reports.
Result<Measurements> measure(const std::string& folder);

Json to_json(const Measurements& measured);
Measurements measurements_from(const Json& json);

}  // namespace strata::storage::compute
