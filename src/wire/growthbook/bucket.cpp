#include "wire/growthbook/bucket.hpp"

#include <algorithm>
#include <memory>

#include <openssl/evp.h>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "wire/growthbook/js_value.hpp"

namespace strata::wire::growthbook {

namespace {

constexpr std::size_t kBlock = 16;  // AES-128: key, block and iv

std::uint32_t fnv1a(std::string_view text) {
  std::uint32_t hash = 0x811C9DC5U;
  for (const char16_t unit : utf16(text))
    hash = (hash ^ unit) * 0x01000193U;
  return hash;
}

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

Result<std::string> run_cipher(bool encrypting, std::string_view text, std::string_view key,
                               std::string_view iv) {
  const Error failed = invalid("key", "the text is not encrypted with this key (AES-128-CBC)");
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  std::string out(text.size() + kBlock, '\0');
  auto* const to = reinterpret_cast<unsigned char*>(out.data());
  int done = 0;
  int last = 0;
  if (!cipher || EVP_CipherInit_ex(cipher.get(), EVP_aes_128_cbc(), nullptr, raw(key), raw(iv),
                                   encrypting ? 1 : 0) != 1)
    return failed;
  if (EVP_CipherUpdate(cipher.get(), to, &done, raw(text), static_cast<int>(text.size())) != 1)
    return failed;
  if (EVP_CipherFinal_ex(cipher.get(), to + done, &last) != 1) return failed;
  out.resize(static_cast<std::size_t>(done + last));
  return out;
}

Result<std::string> key_bytes(std::string_view key) {
  auto bytes = from_base64(key);
  if (bytes && bytes->size() == kBlock) return bytes;
  return invalid("key", "the key must be 16 bytes in base64");
}

// parseInt of JavaScript for what can be an index.
std::optional<int> leading_integer(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto end = std::ranges::find_if_not(text, [](char c) { return c >= '0' && c <= '9'; });
  const auto value = to_int(text.substr(0, static_cast<std::size_t>(end - text.begin())));
  if (!value || *value > 1'000'000) return {};
  return static_cast<int>(*value);
}

}  // namespace

std::optional<double> bucket_of(std::string_view seed, std::string_view value, int version) {
  if (version == 2) {
    const auto inner = fnv1a(std::string(seed) + std::string(value));
    return static_cast<double>(fnv1a(std::to_string(inner)) % 10'000) / 10'000;
  }
  if (version == 1)
    return static_cast<double>(fnv1a(std::string(value) + std::string(seed)) % 1'000) / 1'000;
  return {};
}

std::vector<double> equal_weights(int count) {
  if (count <= 0) return {};
  return std::vector<double>(static_cast<std::size_t>(count), 1.0 / count);
}

bool in_range(double n, const BucketRange& range) {
  return n >= range.first && n < range.second;
}

int choose_variation(double n, const std::vector<BucketRange>& ranges) {
  const auto found =
      std::ranges::find_if(ranges, [n](const auto& range) { return in_range(n, range); });
  return found == ranges.end() ? -1 : static_cast<int>(found - ranges.begin());
}

std::vector<BucketRange> bucket_ranges(int variations, double coverage,
                                       const std::vector<double>& weights) {
  coverage = std::clamp(coverage, 0.0, 1.0);
  double total = 0;
  for (const double weight : weights)
    total += weight;
  const bool fits =
      weights.size() == static_cast<std::size_t>(variations) && total >= 0.99 && total <= 1.01;
  std::vector<BucketRange> out;
  double start = 0;
  for (const double weight : fits ? weights : equal_weights(variations)) {
    out.emplace_back(start, start + coverage * weight);
    start += weight;
  }
  return out;
}

bool in_namespace(std::string_view value, std::string_view name, double start, double end) {
  const auto n = bucket_of("__" + std::string(name), value, 1);
  return n && in_range(*n, {start, end});
}

std::optional<int> query_string_override(std::string_view key, std::string_view url,
                                         int variations) {
  const auto mark = url.find('?');
  if (mark == std::string_view::npos) return {};
  url = url.substr(mark + 1);
  url = url.substr(0, std::min(url.find('?'), url.find('#')));
  for (const auto& pair : split(url, '&')) {
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != key) continue;
    if (equals == std::string::npos) return {};
    const auto rest = std::string_view(pair).substr(equals + 1);
    const auto index = leading_integer(rest.substr(0, rest.find('=')));
    if (index && *index < variations) return index;
    return {};
  }
  return {};
}

Result<std::string> encrypt(std::string_view text, std::string_view key, std::string_view iv) {
  const auto bytes = key_bytes(key);
  if (!bytes) return bytes.error();
  if (iv.size() != kBlock) return invalid("iv", "the iv must be 16 bytes");
  const auto sealed = run_cipher(true, text, *bytes, iv);
  if (!sealed) return sealed;
  return to_base64(iv) + "." + to_base64(*sealed);
}

Result<std::string> decrypt(std::string_view text, std::string_view key) {
  const auto bytes = key_bytes(key);
  if (!bytes) return bytes.error();
  const auto dot = text.find('.');
  const auto iv = from_base64(text.substr(0, dot));
  if (dot == std::string_view::npos || !iv || iv->size() != kBlock)
    return invalid("text", "an encrypted text is base64(iv), a point and base64 of the rest");
  const auto sealed = from_base64(text.substr(dot + 1));
  if (!sealed) return sealed;
  auto plain = run_cipher(false, *sealed, *bytes, *iv);
  if (plain && !is_utf8(*plain))
    return invalid("key", "the text is not encrypted with this key (AES-128-CBC)");
  return plain;
}

}  // namespace strata::wire::growthbook
