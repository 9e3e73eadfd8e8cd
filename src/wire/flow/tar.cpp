#include "wire/flow/tar.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kName = 100;               // bytes of a name in a header
constexpr std::uint64_t kMaxExtended = 1 << 20;  // of a pax header or a GNU long name

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

// A size of a header: octal, or base 256 where GNU's tar has one that octal cannot hold.
std::optional<std::uint64_t> number(std::string_view block, std::size_t at, std::size_t length) {
  if ((static_cast<unsigned char>(block[at]) & 0x80U) == 0) return octal(field(block, at, length));
  std::uint64_t value = static_cast<unsigned char>(block[at]) & 0x7FU;
  for (std::size_t i = 1; i < length; ++i) {
    if (value >> 55U != 0) return std::nullopt;
    value = (value << 8U) | static_cast<unsigned char>(block[at + i]);
  }
  return value;
}

// What a pax header says of the file behind it.
struct Extended {
  std::string path;
  std::optional<std::uint64_t> size;
};

// Lines of "LENGTH KEY=VALUE\n".
Status read_pax(std::string_view records, Extended& into) {
  const auto malformed = [] {
    return Error(Code::kMalformed, "a pax header of the tar archive is malformed");
  };
  while (!records.empty()) {
    const auto space = records.find(' ');
    if (space == std::string_view::npos) return malformed();
    const auto length = to_int(records.substr(0, space));
    if (!length || *length <= static_cast<std::int64_t>(space) + 1 ||
        static_cast<std::size_t>(*length) > records.size()) {
      return malformed();
    }
    const auto whole = static_cast<std::size_t>(*length);
    const std::string_view record = records.substr(space + 1, whole - space - 2);
    if (record.starts_with("path=")) into.path = record.substr(5);
    if (record.starts_with("GNU.sparse."))
      return invalid("package", "the archive holds a sparse file; pack it without --sparse");
    if (record.starts_with("size=")) {
      const auto size = to_int(record.substr(5));
      if (!size || *size < 0) return malformed();
      into.size = static_cast<std::uint64_t>(*size);
    }
    records.remove_prefix(whole);
  }
  return {};
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

// One header block. `name` has 100 bytes at most and `prefix` 155.
std::string block_of(std::string_view name, std::string_view prefix, std::uint64_t size, char type,
                     bool executable) {
  std::string block(kBlock, '\0');
  std::ranges::copy(name, block.begin());
  put_octal(block, kMode, 8, executable ? 0755 : 0644);
  put_octal(block, 108, 8, 0);
  put_octal(block, 116, 8, 0);
  put_octal(block, kSize, 12, size);
  put_octal(block, 136, 12, 0);
  block[kType] = type;
  block.replace(kMagic, 8,
                std::string_view("ustar\0"
                                 "00",
                                 8));
  std::ranges::copy(prefix, block.begin() + kPrefix);
  const std::string sum = fmt::format("{:06o}", checksum(block));
  block.replace(kSum, 8, sum + std::string("\0 ", 2));
  return block;
}

// "LENGTH KEY=VALUE\n", where the length counts its own digits too.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length)
    length = rest + std::to_string(length).size();
  return fmt::format("{} {}={}\n", length, key, value);
}

// Reads an archive header by header.
class TarReader {
 public:
  TarReader(const TarSource& archive, std::size_t most) : archive_(archive), most_(most) {}

  Result<std::vector<TarEntry>> all() {
    while (archive_.size - at_ >= kBlock) {
      const auto block = archive_.read(at_, kBlock);
      if (!block) return block.error();
      if (block->find_first_not_of('\0') == std::string::npos) return std::move(entries_);
      STRATA_TRY(take(*block));
    }
    return Error(Code::kMalformed, "the tar archive has no end");
  }

 private:
  Status take(std::string_view block) {
    const auto sum = octal(field(block, kSum, 8));
    const auto size = number(block, kSize, 12);
    if (!sum || *sum != checksum(block) || !size)
      return Error(Code::kMalformed, "the package is no tar archive (wrong header checksum)");
    const char type = block[kType];
    if (type == 'x' || type == 'L' || type == 'g' || type == 'K') return take_extended(type, *size);
    const Extended said = std::exchange(extended_, Extended());
    const std::uint64_t bytes = said.size.value_or(*size);
    const std::uint64_t content = at_ + kBlock;
    STRATA_TRY(skip(bytes));
    std::string raw = said.path;
    if (raw.empty()) {
      const std::string_view prefix = field(block, kPrefix, 155);
      if (block.substr(kMagic, 5) == "ustar" && !prefix.empty()) raw = fmt::format("{}/", prefix);
      raw += field(block, 0, 100);
    }
    if (type == '5') return {};
    if (type != '0' && type != '\0') {
      return invalid("package",
                     fmt::format("'{}' is a link or device; only files and folders can be packed",
                                 printable(raw)));
    }
    auto path = safe_path(raw);
    if (!path) return path.error();
    if (!paths_.insert(*path).second)
      return invalid("package", fmt::format("'{}' is in the archive twice", printable(*path)));
    if (entries_.size() >= most_)
      return Error(Code::kTooLarge, fmt::format("the archive has more than {} files", most_));
    const auto mode = octal(field(block, kMode, 8)).value_or(0644);
    entries_.push_back({*std::move(path), content, bytes, (mode & 0100) != 0});
    return {};
  }

  // What says more of the file that follows. 'K' is the target of a link, which is refused then.
  Status take_extended(char type, std::uint64_t size) {
    if (size > kMaxExtended)
      return Error(Code::kMalformed, "a header of the tar archive is larger than 1 MiB");
    const std::uint64_t content = at_ + kBlock;
    STRATA_TRY(skip(size));
    const auto text = archive_.read(content, size);
    if (!text) return text.error();
    if (type == 'L') {
      extended_.path = text->substr(0, text->find('\0'));
    } else if (type == 'x') {
      return read_pax(*text, extended_);
    } else if (type == 'g') {
      Extended all;
      STRATA_TRY(read_pax(*text, all));
      if (!all.path.empty() || all.size)
        return invalid("package", "a header for all files of the archive names a path or size");
    }
    return {};
  }

  // Goes to the header behind `size` bytes of content.
  Status skip(std::uint64_t size) {
    const std::uint64_t left = archive_.size - at_ - kBlock;
    if (size > left) return Error(Code::kMalformed, "the tar archive is cut off");
    at_ += kBlock + std::min(left, (size + kBlock - 1) / kBlock * kBlock);
    return {};
  }

  const TarSource& archive_;
  std::size_t most_;
  std::uint64_t at_ = 0;
  Extended extended_;
  std::vector<TarEntry> entries_;
  std::unordered_set<std::string> paths_;
};

}  // namespace

Result<std::vector<TarEntry>> list_tar(const TarSource& archive, std::size_t most) {
  return TarReader(archive, most).all();
}

Result<std::vector<TarFile>> read_tar(std::string_view archive) {
  const TarSource source{archive.size(), [archive](std::uint64_t offset, std::size_t count) {
                           return Result<std::string>(std::string(archive.substr(offset, count)));
                         }};
  auto entries = list_tar(source, archive.size() / kBlock);
  if (!entries) return std::move(entries).error();
  std::vector<TarFile> files;
  for (auto& entry : *entries) {
    files.push_back({std::move(entry.path), std::string(archive.substr(entry.offset, entry.size)),
                     entry.executable});
  }
  return files;
}

std::string tar_header(std::string_view path, std::uint64_t size, bool executable) {
  constexpr std::uint64_t kMaxOctal = (std::uint64_t{1} << 33U) - 1;
  std::string_view name = path;
  std::string_view prefix;
  std::string records;
  if (name.size() > kName) {
    const auto slash = path.find('/', path.size() - kName - 1);
    if (slash == std::string_view::npos || slash > 155 || slash == 0) {
      records = pax_record("path", path);
      name = path.substr(path.size() - kName);  // for readers that know no pax
      while (!name.empty() && (static_cast<unsigned char>(name.front()) & 0xC0U) == 0x80U)
        name.remove_prefix(1);
    } else {
      prefix = path.substr(0, slash);
      name = path.substr(slash + 1);
    }
  }
  if (size > kMaxOctal) records += pax_record("size", std::to_string(size));
  std::string out;
  if (!records.empty()) {
    out = block_of("PaxHeader", "", records.size(), 'x', false) + records;
    out += tar_padding(records.size());
  }
  return out + block_of(name, prefix, size > kMaxOctal ? 0 : size, '0', executable);
}

std::string tar_padding(std::uint64_t size) {
  return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

std::string tar_end() {
  return std::string(2 * kBlock, '\0');
}

Result<std::string> write_tar(const std::vector<TarFile>& files) {
  std::string out;
  for (const TarFile& file : files) {
    out += tar_header(file.path, file.content.size(), file.executable);
    out += file.content;
    out += tar_padding(file.content.size());
  }
  return out + tar_end();
}

}  // namespace strata::wire
