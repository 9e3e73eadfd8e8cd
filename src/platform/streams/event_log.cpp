#include "platform/streams/event_log.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "platform/streams/record.hpp"
#include "wire/aws/checksum.hpp"

namespace strata::platform::streams {

namespace {

constexpr std::string_view kMagic = "STRATAF1";
constexpr std::size_t kHead = 16;  // length, checksum, sequence
constexpr std::uint64_t kMaxFile = 64U << 20;

std::string checksum(std::string_view bytes) {
  wire::aws::Checksum sum(wire::aws::ChecksumKind::kCrc32c);
  sum.update(bytes);
  return sum.finish();
}

std::string frame(std::uint64_t sequence, std::string_view record) {
  ByteWriter numbered;
  numbered.u64(sequence);
  const std::string body = std::move(numbered).take() + std::string(record);
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(record.size()));
  return std::move(out).take() + checksum(body) + body;
}

// The whole records of a file, in order; where a record is not whole, or not the next one, ends it.
// The sequence behind the last one.
Result<std::uint64_t> each_record(std::string_view bytes, std::uint64_t next,
                                  const EventLog::Visit& visit) {
  if (!bytes.starts_with(kMagic)) return next;
  bytes.remove_prefix(kMagic.size());
  while (bytes.size() >= kHead) {
    ByteReader head(bytes.substr(0, kHead));
    const std::uint32_t size = head.u32();
    head.u32();
    const std::uint64_t sequence = head.u64();
    if (sequence != next || bytes.size() - kHead < size) break;
    if (checksum(bytes.substr(8, size + 8)) != bytes.substr(4, 4)) break;
    STRATA_TRY(visit(sequence, bytes.substr(kHead, size)));
    bytes.remove_prefix(kHead + size);
    ++next;
  }
  return next;
}

std::string name_of(std::uint64_t first) {
  return fmt::format("{:020}.log", first);
}

}  // namespace

Result<std::unique_ptr<EventLog>> EventLog::open(Files& files, std::string folder) {
  STRATA_TRY(files.make_dirs(folder));
  const auto names = files.list(folder);
  if (!names) return names.error();
  std::unique_ptr<EventLog> log(new EventLog(files, std::move(folder)));
  for (const auto& name : *names) {
    const auto first = to_int(std::string_view(name).substr(0, name.find('.')));
    if (first && *first > 0 && name == name_of(static_cast<std::uint64_t>(*first)))
      log->firsts_.push_back(static_cast<std::uint64_t>(*first));
  }
  if (log->firsts_.empty()) return log;
  const auto bytes = files.read_all(log->folder_ + "/" + name_of(log->firsts_.back()));
  if (!bytes) return bytes.error();
  const auto next = each_record(*bytes, log->firsts_.back(), [](auto, auto) { return Status(); });
  if (!next) return next.error();
  log->last_ = *next - 1;
  return log;
}

Status EventLog::begin_file() {
  const std::uint64_t first = last_ + 1;
  const std::string path = folder_ + "/" + name_of(first);
  // One that is there already has no whole record, or last_ would be greater.
  if (!firsts_.empty() && firsts_.back() == first) STRATA_TRY(files_.remove(path));
  auto file = files_.create(path);
  if (!file) return std::move(file).error();
  STRATA_TRY((*file)->append(kMagic));
  STRATA_TRY((*file)->sync());
  STRATA_TRY(files_.sync_names(folder_));
  file_ = *std::move(file);
  written_ = kMagic.size();
  if (firsts_.empty() || firsts_.back() != first) firsts_.push_back(first);
  return {};
}

Status EventLog::append(const std::vector<std::string>& records) {
  if (!file_ || written_ >= kMaxFile) STRATA_TRY(begin_file());
  std::string bytes;
  std::uint64_t sequence = last_;
  for (const auto& record : records)
    bytes += frame(++sequence, record);
  STRATA_TRY(file_->append(bytes));
  STRATA_TRY(file_->sync());
  written_ += bytes.size();
  last_ = sequence;
  return {};
}

Status EventLog::scan(std::uint64_t first, const Visit& visit) const {
  auto at = std::ranges::upper_bound(firsts_, first);
  if (at != firsts_.begin()) --at;
  if (at != firsts_.end() && *at > std::max<std::uint64_t>(first, 1)) {
    return Error(Code::kDataLoss, fmt::format("{}: records before {} are missing", folder_, *at));
  }
  for (; at != firsts_.end(); ++at) {
    const auto bytes = files_.read_all(folder_ + "/" + name_of(*at));
    if (!bytes) return bytes.error();
    const auto next =
        each_record(*bytes, *at, [&](std::uint64_t sequence, std::string_view record) {
          return sequence < first || sequence > last_ ? Status() : visit(sequence, record);
        });
    if (!next) return next.error();
    const std::uint64_t expected = at + 1 == firsts_.end() ? last_ + 1 : *(at + 1);
    if (*next < expected) {
      return Error(Code::kDataLoss, fmt::format("{}/{}: the record {} is missing or damaged",
                                                folder_, name_of(*at), *next));
    }
  }
  return {};
}

}  // namespace strata::platform::streams
