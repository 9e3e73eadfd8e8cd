#include "storage/compute/measure.hpp"

#include <algorithm>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/pool.hpp"

namespace strata::storage::compute {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kTriadBytes =
    96U << 20U;  // of all three arrays together: beyond what caches hold
constexpr std::size_t kDiskBytes = 64U << 20U;
constexpr std::size_t kDiskBlock = 1U << 20U;
constexpr auto kSyncTime = std::chrono::milliseconds(600);
constexpr int kMaxSyncs = 200;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void triad(double* a, const double* b, const double* c, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    a[i] = b[i] + 3.0 * c[i];
}

double measure_memory() {
  const std::size_t threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 64);
  const std::size_t each = kTriadBytes / sizeof(double) / 3 / threads;
  constexpr int kRounds = 5;
  std::vector<double> best(threads, 0);
  std::barrier together(static_cast<std::ptrdiff_t>(threads));
  {
    BlockingPool workers(threads);
    for (std::size_t t = 0; t < threads; ++t) {
      workers.submit([&, t] {
        // Each thread touches its own part first, so that it lies in the memory next to its core.
        std::vector<double> a(each, 0), b(each, 1), c(each, 2);
        for (int round = 0; round < kRounds; ++round) {
          together.arrive_and_wait();
          const auto begin = Clock::now();
          triad(a.data(), b.data(), c.data(), each);
          best[t] = std::max(best[t], static_cast<double>(each) * 24.0 / seconds_since(begin));
        }
      });
    }
  }
  double sum = 0;
  for (const double bytes : best)
    sum += bytes;
  return sum / 1e9;
}

// Eight independent chains of vectors hide the latency of the operation. The compiler sees plain
// vectors and picks the widest instructions that the function's target allows.
template <class T, int Lanes>
struct Vector {
  typedef T Type __attribute__((vector_size(sizeof(T) * Lanes)));
};

template <class V, class T>
[[gnu::always_inline]] inline double chains(std::size_t rounds, T factor) {
  V x[8];
  for (int i = 0; i < 8; ++i)
    x[i] = V{} + static_cast<T>(i + 1);
  // Without effects seen from outside, a call could be moved away from the clocks around it, or be
  // made once for all attempts; and lanes that nobody reads could go. A statement without outputs
  // stays where it is.
  asm("" : : "r"(x) : "memory");
  const V m = V{} + factor;
  const V s = V{} + static_cast<T>(1e-6);
  for (std::size_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < 8; ++i)
      x[i] = x[i] * m + s;
  }
  asm("" : : "r"(x) : "memory");
  V all = V{};
  for (int i = 0; i < 8; ++i)
    all += x[i];
  return static_cast<double>(all[0]);
}

#pragma clang fp contract(fast)
#if defined(__x86_64__)
__attribute__((target("avx512f"), noinline)) double chains_avx512_f32(std::size_t n) {
  return chains<Vector<float, 16>::Type>(n, 0.999F);
}
__attribute__((target("avx512f"), noinline)) double chains_avx512_f64(std::size_t n) {
  return chains<Vector<double, 8>::Type>(n, 0.999);
}
__attribute__((target("avx2,fma"), noinline)) double chains_avx2_f32(std::size_t n) {
  return chains<Vector<float, 8>::Type>(n, 0.999F);
}
__attribute__((target("avx2,fma"), noinline)) double chains_avx2_f64(std::size_t n) {
  return chains<Vector<double, 4>::Type>(n, 0.999);
}
#endif
__attribute__((noinline)) double chains_plain_f32(std::size_t n) {
  return chains<Vector<float, 4>::Type>(n, 0.999F);
}
__attribute__((noinline)) double chains_plain_f64(std::size_t n) {
  return chains<Vector<double, 2>::Type>(n, 0.999);
}

double gflops(double (*kernel)(std::size_t), int lanes) {
  constexpr std::size_t kRounds = 2'000'000;
  double best = 0;
  double sum = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto begin = Clock::now();
    sum += kernel(kRounds);
    best =
        std::max(best, static_cast<double>(kRounds) * 8 * lanes * 2 / seconds_since(begin) / 1e9);
  }
  return sum > 0 ? best : 0;
}

void measure_flops(Measurements& out) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    out.fp32_gflops = gflops(chains_avx512_f32, 16);
    out.fp64_gflops = gflops(chains_avx512_f64, 8);
    return;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    out.fp32_gflops = gflops(chains_avx2_f32, 8);
    out.fp64_gflops = gflops(chains_avx2_f64, 4);
    return;
  }
#endif
  out.fp32_gflops = gflops(chains_plain_f32, 4);
  out.fp64_gflops = gflops(chains_plain_f64, 2);
}

// A file without a name: it is gone with the process, however that ends.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& folder) {
    int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
      std::string path = folder + "/.measure-XXXXXX";
      fd = ::mkostemp(path.data(), O_CLOEXEC);
      if (fd >= 0) ::unlink(path.c_str());
    }
    if (fd < 0) return from_errno(errno, "open", folder);
    return Scratch(fd);
  }
  Scratch(Scratch&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~Scratch() {
    if (fd >= 0) ::close(fd);
  }
  int fd;

 private:
  explicit Scratch(int number) : fd(number) {}
};

Status measure_sequential(int fd, const std::string& folder, Measurements& out) {
  std::vector<char> block(kDiskBlock);
  for (std::size_t i = 0; i < block.size(); ++i)
    block[i] = static_cast<char>(i * 2654435761U >> 13U);  // not all zeros
  auto begin = Clock::now();
  std::size_t written = 0;
  while (written < kDiskBytes && seconds_since(begin) < 0.6) {
    const ssize_t put = ::pwrite(fd, block.data(), block.size(), static_cast<off_t>(written));
    if (put <= 0) return from_errno(errno, "write", folder);
    written += static_cast<std::size_t>(put);
  }
  if (::fdatasync(fd) != 0) return from_errno(errno, "fdatasync", folder);
  out.disk_write_gb_s = static_cast<double>(written) / seconds_since(begin) / 1e9;
  if (::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
    return {};  // reading would measure the cache
  begin = Clock::now();
  std::size_t read = 0;
  while (read < written && seconds_since(begin) < 0.6) {
    const ssize_t got = ::pread(fd, block.data(), block.size(), static_cast<off_t>(read));
    if (got <= 0) return from_errno(errno, "read", folder);
    read += static_cast<std::size_t>(got);
  }
  out.disk_read_gb_s = static_cast<double>(read) / seconds_since(begin) / 1e9;
  return {};
}

Status measure_syncs(int fd, const std::string& folder, Measurements& out) {
  const std::vector<char> block(4096, 'x');
  std::vector<double> times;
  off_t at = 0;
  const auto begin = Clock::now();
  while (times.size() < kMaxSyncs && Clock::now() - begin < kSyncTime) {
    if (::pwrite(fd, block.data(), block.size(), at) < 0) return from_errno(errno, "write", folder);
    at += static_cast<off_t>(block.size());
    const auto one = Clock::now();
    if (::fdatasync(fd) != 0) return from_errno(errno, "fdatasync", folder);
    times.push_back(seconds_since(one) * 1e6);
  }
  std::sort(times.begin(), times.end());
  out.fdatasync_p50_us = times[times.size() / 2];
  out.fdatasync_p99_us = times[std::min(times.size() - 1, times.size() * 99 / 100)];
  return {};
}

}  // namespace

Result<Measurements> measure(const std::string& folder) {
  Measurements out;
  out.memory_gb_s = measure_memory();
  measure_flops(out);
  auto large = Scratch::make(folder);
  if (!large) return std::move(large).error();
  STRATA_TRY(measure_sequential(large->fd, folder, out));
  auto small = Scratch::make(folder);
  if (!small) return std::move(small).error();
  STRATA_TRY(measure_syncs(small->fd, folder, out));
  return out;
}

Json to_json(const Measurements& m) {
  return Json::object({{"memory_gb_s", m.memory_gb_s},
                       {"disk_write_gb_s", m.disk_write_gb_s},
                       {"disk_read_gb_s", m.disk_read_gb_s},
                       {"fdatasync_p50_us", m.fdatasync_p50_us},
                       {"fdatasync_p99_us", m.fdatasync_p99_us},
                       {"fp32_gflops_per_core", m.fp32_gflops},
                       {"fp64_gflops_per_core", m.fp64_gflops}});
}

Measurements measurements_from(const Json& json) {
  return {json.number("memory_gb_s"),         json.number("disk_write_gb_s"),
          json.number("disk_read_gb_s"),      json.number("fdatasync_p50_us"),
          json.number("fdatasync_p99_us"),    json.number("fp32_gflops_per_core"),
          json.number("fp64_gflops_per_core")};
}

}  // namespace strata::storage::compute
