#include "runtime/random.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include <sys/random.h>

#include "base/bytes.hpp"

namespace strata {

Instant SystemClock::now() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return Instant{std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

std::chrono::steady_clock::time_point SystemClock::steady() const {
  return std::chrono::steady_clock::now();
}

void sleep_blocking(std::chrono::milliseconds duration) {
  std::this_thread::sleep_for(duration);
}

std::uint64_t Random::u64() {
  const std::string raw = bytes(8);
  std::uint64_t value = 0;
  std::memcpy(&value, raw.data(), 8);
  return value;
}

std::string Random::hex(std::size_t count) {
  return to_hex(bytes(count));
}

std::string Random::alphanumeric(std::size_t count) {
  constexpr std::string_view kLetters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  while (out.size() < count) {
    for (const char c : bytes(count + 16)) {
      // 248 = 4 * 62: larger bytes would favour the first letters.
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 248 && out.size() < count) out += kLetters[byte % 62];
    }
  }
  return out;
}

std::string Random::uuid7(Instant now) {
  std::string raw = bytes(16);
  const auto ms = static_cast<std::uint64_t>(now.millis());
  for (std::size_t i = 0; i < 6; ++i)
    raw[i] = static_cast<char>((ms >> (8 * (5 - i))) & 0xFF);
  raw[6] = static_cast<char>((raw[6] & 0x0F) | 0x70);
  raw[8] = static_cast<char>((raw[8] & 0x3F) | 0x80);
  std::string text = to_hex(raw);
  for (const std::size_t at : {20U, 16U, 12U, 8U})
    text.insert(at, 1, '-');
  return text;
}

std::string SystemRandom::bytes(std::size_t count) {
  std::string out(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = getrandom(out.data() + done, count - done, 0);
    if (got < 0) std::abort();  // the kernel cannot refuse these flags
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::string SeededRandom::bytes(std::size_t count) {
  const std::lock_guard lock(mutex_);
  std::string out;
  while (out.size() < count) {
    const std::uint64_t word = engine_();
    out.append(reinterpret_cast<const char*>(&word), 8);
  }
  out.resize(count);
  return out;
}

}  // namespace strata
