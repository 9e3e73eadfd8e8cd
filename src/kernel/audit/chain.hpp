#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "kernel/records/records.hpp"

namespace strata::kernel {

// One entry of the audit log as it stands in the records.
struct ChainEntry {
  std::int64_t sequence = 0;
  std::int64_t time_us = 0;
  std::string project, actor, action, target;
  std::string detail;  // the JSON text itself
  std::string hash;    // 64 hexadecimal digits
};

// The newest entry and the hash that covers it and all before it. An empty log has sequence 0 and
// the hash that the first entry follows, 64 zeros.
struct ChainHead {
  std::int64_t sequence = 0;
  std::string hash = std::string(64, '0');
};

// The hash of an entry that follows one with the hash `previous`: SHA-256, in hexadecimal digits,
// over the canonical form of docs/reference/audit-log.md. Pure.
std::string chain_hash(std::string_view previous, const ChainEntry& entry);

// "17:9f86d0...": a head as people keep it. Errors: kInvalidArgument naming "since".
Result<ChainHead> parse_head(std::string_view text);

// The first entry that does not fit, and what was done to the log as far as it shows.
struct ChainFinding {
  enum class Kind : std::uint8_t {
    kChanged,
    kRemoved,
    kInserted,
    kReordered,
    kTruncated,
    kRewritten
  };
  Kind kind = Kind::kChanged;
  std::int64_t sequence = 0;
  std::string message;
};
std::string_view finding_name(ChainFinding::Kind kind);  // "changed"

struct ChainReport {
  std::int64_t entries = 0;  // that were looked at
  ChainHead head;            // the newest that fits
  std::optional<ChainFinding> finding;
};
Json report_json(const ChainReport& report);

// Goes over the chain from its start, a page at a time, so that a long log holds no reader for
// long. Entries that are added meanwhile are seen, too.
class ChainCheck {
 public:
  // With a head that was kept elsewhere the log must also have that entry with that hash.
  explicit ChainCheck(std::optional<ChainHead> kept = {}) : kept_(std::move(kept)) {}

  // Looks at the next page; whether there is more. Blocks on the database.
  Result<bool> step(Reader& reader);
  const ChainReport& report() const { return report_; }

 private:
  Status explain(Reader& reader, const ChainEntry& entry);
  std::optional<ChainFinding> against_kept(const ChainEntry& entry) const;

  std::optional<ChainHead> kept_;
  ChainReport report_;
};

}  // namespace strata::kernel
