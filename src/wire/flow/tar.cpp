#include "wire/flow/tar.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::size_t kBlock = 512;

// Offsets of the fields of a header (POSIX.1-1988, ustar).
constexpr std::size_t kMode = 100, kSize = 124, kSum = 148, kType = 156, kMagic = 257,
                      kPrefix = 345;

std::string_view field(std::string_view block, std::size_t at, std::size_t length) {
  const std::string_view text = block.substr(at, length);
  return text.substr(0, text.find('\0'));
}

std::optional<std::uint64_t> octal(std::string_view text) {
  std::uint64_t value = 0;
  bool any = false;
  for (const char c : trim(text)) {
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
    any = true;
  }
  if (!any) return std::nullopt;
  return value;
}

std::uint64_t checksum(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    sum += i >= kSum && i < kSum + 8 ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

// The path in a pax header: lines of "LENGTH KEY=VALUE\n".
std::string pax_path(std::string_view records) {
  std::string path;
  while (!records.empty()) {
    const auto space = records.find(' ');
    if (space == std::string_view::npos) break;
    const auto length = to_int(records.substr(0, space));
    if (!length || *length <= static_cast<std::int64_t>(space) + 1 ||
        static_cast<std::size_t>(*length) > records.size()) {
      break;
    }
    const std::string_view record =
        records.substr(space + 1, static_cast<std::size_t>(*length) - space - 2);
    if (record.starts_with("path=")) path = record.substr(5);
    records.remove_prefix(static_cast<std::size_t>(*length));
  }
  return path;
}

Result<std::string> safe_path(std::string_view raw) {
  while (raw.starts_with("./"))
    raw.remove_prefix(2);
  if (raw.empty() || raw.starts_with('/') || raw.contains('\0') || !is_utf8(raw)) {
    return invalid("package", fmt::format("'{}' is no relative path", printable(raw)));
  }
  for (const std::string& part : split(raw, '/')) {
    if (part == ".." || part == "." || part.empty()) {
      return invalid("package", fmt::format("'{}' leads outside of the archive or is not in its "
                                            "plain form",
                                            printable(raw)));
    }
  }
  return std::string(raw);
}

void put_octal(std::string& block, std::size_t at, std::size_t width, std::uint64_t value) {
  const std::string digits = fmt::format("{:0{}o}", value, width - 1);
  std::ranges::copy(digits, block.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

Result<std::vector<TarFile>> read_tar(std::string_view archive) {
  std::vector<TarFile> files;
  std::string long_path;
  while (archive.size() >= kBlock) {
    const std::string_view block = archive.substr(0, kBlock);
    if (block.find_first_not_of('\0') == std::string_view::npos) return files;
    const auto sum = octal(field(block, kSum, 8));
    const auto size = octal(field(block, kSize, 12));
    if (!sum || *sum != checksum(block) || !size) {
      return Error(Code::kMalformed, "the package is no tar archive (wrong header checksum)");
    }
    if (*size > archive.size() - kBlock)
      return Error(Code::kMalformed, "the tar archive is cut off");
    const std::string_view content = archive.substr(kBlock, *size);
    const std::size_t padded =
        std::min<std::size_t>(archive.size(), kBlock + (*size + kBlock - 1) / kBlock * kBlock);
    archive.remove_prefix(padded);
    const char type = block[kType];
    if (type == 'x') {
      long_path = pax_path(content);
      continue;
    }
    if (type == 'L') {
      long_path = std::string(content.substr(0, content.find('\0')));
      continue;
    }
    if (type == 'g') continue;
    std::string raw = std::exchange(long_path, "");
    if (raw.empty()) {
      const std::string_view prefix = field(block, kPrefix, 155);
      if (block.substr(kMagic, 5) == "ustar" && !prefix.empty()) raw = fmt::format("{}/", prefix);
      raw += field(block, 0, 100);
    }
    if (type == '5') continue;
    if (type != '0' && type != '\0') {
      return invalid("package",
                     fmt::format("'{}' is a link or device; only files and folders can be "
                                 "packed",
                                 printable(raw)));
    }
    auto path = safe_path(raw);
    if (!path) return path.error();
    const auto mode = octal(field(block, kMode, 8)).value_or(0644);
    files.push_back({std::move(*path), std::string(content), (mode & 0100) != 0});
  }
  return Error(Code::kMalformed, "the tar archive has no end");
}

Result<std::string> write_tar(const std::vector<TarFile>& files) {
  std::string out;
  for (const TarFile& file : files) {
    std::string name = file.path;
    std::string prefix;
    if (name.size() > 100) {
      const auto slash = name.find('/', name.size() - 101);
      if (slash == std::string::npos || slash > 155) {
        return invalid("source", fmt::format("the path '{}' is too long for a package", file.path));
      }
      prefix = name.substr(0, slash);
      name.erase(0, slash + 1);
    }
    std::string block(kBlock, '\0');
    std::ranges::copy(name, block.begin());
    put_octal(block, kMode, 8, file.executable ? 0755 : 0644);
    put_octal(block, 108, 8, 0);
    put_octal(block, 116, 8, 0);
    put_octal(block, kSize, 12, file.content.size());
    put_octal(block, 136, 12, 0);
    block[kType] = '0';
    block.replace(kMagic, 8,
                  std::string_view("ustar\0"
                                   "00",
                                   8));
    std::ranges::copy(prefix, block.begin() + kPrefix);
    const std::string sum = fmt::format("{:06o}", checksum(block));
    block.replace(kSum, 8, sum + std::string("\0 ", 2));
    out += block;
    out += file.content;
    out.resize((out.size() + kBlock - 1) / kBlock * kBlock, '\0');
  }
  out.append(2 * kBlock, '\0');
  return out;
}

}  // namespace strata::wire
