#include "kernel/audit/chain.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/text.hpp"

namespace strata::kernel {

namespace {

using Kind = ChainFinding::Kind;

constexpr std::size_t kPage = 1000;
constexpr std::int64_t kShifts = 64;  // so far apart may renumbered entries lie and be told as such

Result<std::vector<ChainEntry>> entries_after(Reader& reader, std::int64_t sequence,
                                              std::size_t limit) {
  const auto rows = reader.query(
      "SELECT sequence, time, project, actor, action, target, detail, hash FROM audit WHERE "
      "sequence > ? ORDER BY sequence LIMIT ?",
      {sequence, static_cast<std::int64_t>(limit)});
  if (!rows) return rows.error();
  std::vector<ChainEntry> entries;
  entries.reserve(rows->size());
  for (const auto& row : *rows) {
    entries.push_back({row.integer(0), row.integer(1), row.text(2), row.text(3), row.text(4),
                       row.text(5), row.text(6), row.text(7)});
  }
  return entries;
}

// Whether the entry is what was hashed when it had the number `sequence` and followed `previous`.
bool fits(std::string_view previous, const ChainEntry& entry, std::int64_t sequence) {
  ChainEntry as_was = entry;
  as_was.sequence = sequence;
  return chain_hash(previous, as_was) == entry.hash;
}

// The number that an entry had where its hash was made, when the entry before that still stands.
Result<std::optional<std::int64_t>> home_of(Reader& reader, const ChainEntry& entry) {
  ChainHead before;
  while (true) {
    const auto page = entries_after(reader, before.sequence, kPage);
    if (!page) return page.error();
    for (const auto& other : *page) {
      if (fits(before.hash, entry, before.sequence + 1) && before.sequence + 1 != entry.sequence)
        return std::optional(before.sequence + 1);
      before = {other.sequence, other.hash};
    }
    if (page->size() < kPage) return std::optional<std::int64_t>();
  }
}

// How far the entries behind `entry` were renumbered; 0 when they were not.
std::int64_t shift_behind(const ChainEntry& entry, const ChainEntry& next) {
  for (std::int64_t shift = 1; shift <= kShifts; ++shift) {
    if (fits(entry.hash, next, next.sequence + shift)) return shift;
    if (fits(entry.hash, next, next.sequence - shift)) return -shift;
  }
  return 0;
}

// What the next entry says of one that does not fit behind `before`, if anything.
std::optional<ChainFinding> by_next(const ChainHead& before, const ChainEntry& entry,
                                    const ChainEntry& next) {
  const std::int64_t n = entry.sequence;
  if (fits(before.hash, next, n)) {
    if (fits(next.hash, entry, next.sequence)) {
      return ChainFinding{
          Kind::kReordered, n,
          fmt::format("entries {} and {} stand in the other order", n, next.sequence)};
    }
    return ChainFinding{
        Kind::kInserted, n,
        fmt::format("entry {} was inserted: the one behind it was written as {}", n, n)};
  }
  const std::int64_t shift = shift_behind(entry, next);
  if (shift > 0) {
    return ChainFinding{Kind::kRemoved, n,
                        fmt::format("{} entries before entry {} were removed, and those behind "
                                    "them renumbered",
                                    shift, n)};
  }
  if (shift == 0) return {};
  return ChainFinding{
      Kind::kInserted, n,
      fmt::format("entry {} was written as {}: what stands before it was inserted", n, n + shift)};
}

}  // namespace

std::string chain_hash(std::string_view previous, const ChainEntry& entry) {
  std::string text =
      fmt::format("strata-audit-1\n{}\n{}\n{}\n", previous, entry.sequence, entry.time_us);
  for (const auto* field :
       {&entry.project, &entry.actor, &entry.action, &entry.target, &entry.detail})
    text += fmt::format("{}:{}\n", field->size(), *field);
  return to_hex(sha256(text));
}

Result<ChainHead> parse_head(std::string_view text) {
  const auto colon = text.find(':');
  const auto sequence = to_int(text.substr(0, colon));
  const std::string_view hash = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const bool hex = hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == hash.npos;
  if (sequence && *sequence >= 0 && hex) return ChainHead{*sequence, std::string(hash)};
  return invalid("since", fmt::format("since: '{}' is no head of an audit log; write it as "
                                      "SEQUENCE:HASH, as `strata audit head` prints it",
                                      printable(std::string(text.substr(0, 100)))));
}

std::string_view finding_name(Kind kind) {
  constexpr std::array<std::string_view, 6> kNames = {"changed",   "removed",   "inserted",
                                                      "reordered", "truncated", "rewritten"};
  return kNames[static_cast<std::size_t>(kind)];
}

Json report_json(const ChainReport& report) {
  Json finding;
  if (report.finding) {
    finding = Json::object({{"kind", finding_name(report.finding->kind)},
                            {"sequence", report.finding->sequence},
                            {"message", report.finding->message}});
  }
  return Json::object(
      {{"sound", !report.finding.has_value()},
       {"entries", report.entries},
       {"head", Json::object({{"sequence", report.head.sequence}, {"hash", report.head.hash}})},
       {"finding", std::move(finding)}});
}

// The log has the kept entry, with another hash: what came up to it was made anew.
std::optional<ChainFinding> ChainCheck::against_kept(const ChainEntry& entry) const {
  if (!kept_ || kept_->sequence != entry.sequence || kept_->hash == entry.hash) return {};
  return ChainFinding{Kind::kRewritten, entry.sequence,
                      fmt::format("entry {} has the hash {} and not that of the kept head: the log "
                                  "was written anew, from that entry or from an earlier one",
                                  entry.sequence, entry.hash)};
}

Result<bool> ChainCheck::step(Reader& reader) {
  const auto page = entries_after(reader, report_.head.sequence, kPage);
  if (!page) return page.error();
  for (const auto& entry : *page) {
    const std::int64_t expected = report_.head.sequence + 1;
    ++report_.entries;
    if (entry.sequence != expected) {
      report_.finding = ChainFinding{Kind::kRemoved, expected,
                                     fmt::format("entry {} is missing: after {} comes {}", expected,
                                                 expected - 1, entry.sequence)};
      return false;
    }
    if (!fits(report_.head.hash, entry, entry.sequence)) {
      STRATA_TRY(explain(reader, entry));
      return false;
    }
    report_.finding = against_kept(entry);
    if (report_.finding) return false;
    report_.head = {entry.sequence, entry.hash};
  }
  if (page->size() == kPage) return true;
  if (kept_ && kept_->sequence > report_.head.sequence) {
    report_.finding = ChainFinding{
        Kind::kTruncated, report_.head.sequence + 1,
        fmt::format("the log ends with entry {}, the kept head is entry {}: its end was cut off",
                    report_.head.sequence, kept_->sequence)};
  }
  return false;
}

// What was done, as far as the neighbours show. Whoever makes the hashes behind a change anew
// leaves nothing to find but another head.
Status ChainCheck::explain(Reader& reader, const ChainEntry& entry) {
  const auto tell = [&](Kind kind, std::string message) {
    report_.finding = ChainFinding{kind, entry.sequence, std::move(message)};
    return Status();
  };
  const std::int64_t n = entry.sequence;
  const auto behind = entries_after(reader, n, 1);
  if (!behind) return behind.error();
  if (!behind->empty() && fits(entry.hash, behind->front(), n + 1)) {
    return tell(Kind::kChanged,
                fmt::format("entry {} is not what its hash was made of: it was changed", n));
  }
  if (!behind->empty()) {
    auto told = by_next(report_.head, entry, behind->front());
    if (told) {
      report_.finding = std::move(told);
      return {};
    }
  }
  const auto home = home_of(reader, entry);
  if (!home) return home.error();
  if (*home) {
    return tell(Kind::kReordered,
                fmt::format("entry {} was written as entry {}: entries were moved", n, **home));
  }
  return tell(Kind::kChanged,
              fmt::format("entry {} is not what its hash was made of, nor does the next one follow "
                          "it: it was changed, or put in the place of another",
                          n));
}

}  // namespace strata::kernel
