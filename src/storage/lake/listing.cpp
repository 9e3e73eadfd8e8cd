#include <fmt/format.h>

#include "storage/lake/lake.hpp"
#include "storage/lake/rows.hpp"

namespace strata::storage::lake {

using kernel::Permission;
using kernel::Reader;
using kernel::Rows;

namespace {

// The common prefix that `key` belongs to, when there is one.
std::optional<std::string> common_prefix(std::string_view key, const ListOptions& options) {
  if (options.delimiter.empty() || key.size() < options.prefix.size()) return std::nullopt;
  const std::size_t at = key.find(options.delimiter, options.prefix.size());
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(key.substr(0, at + options.delimiter.size()));
}

// Walks the keys of a bucket in order and leaps over what a common prefix already covers, so that a
// page costs as many index seeks as it has entries, however many keys lie under them.
class Walk {
 public:
  Walk(Reader& reader, std::int64_t bucket, const ListOptions& options)
      : reader_(reader),
        bucket_(bucket),
        options_(options),
        end_(behind_prefix(options.prefix)) {}

  Result<Listing> run() {
    if (options_.limit == 0) return out_;
    if (!start()) return out_;
    while (true) {
      const std::size_t batch = options_.delimiter.empty() ? options_.limit - count() + 1 : kBatch;
      const auto rows = fetch(batch);
      if (!rows) return rows.error();
      for (const auto& row : *rows) {
        const auto more = take(row);
        if (!more) return more.error();
        if (!*more) return std::move(out_);
      }
      if (rows->size() < batch) return std::move(out_);
      from_ = std::max(rows->back().blob(0) + '\0', leap_);
    }
  }

 private:
  static constexpr std::size_t kBatch = 64;
  std::size_t count() const { return out_.objects.size() + out_.prefixes.size(); }

  // Where to begin; false when nothing can follow.
  bool start() {
    from_ = options_.prefix;
    if (options_.after.empty()) return true;
    from_ = std::max(from_, options_.after + '\0');
    // A page that ended with a common prefix goes on behind all that it covers.
    if (!options_.after.starts_with(options_.prefix)) return true;
    const auto covered = common_prefix(options_.after, options_);
    if (!covered) return true;
    const auto behind = behind_prefix(*covered);
    if (!behind) return false;
    from_ = std::max(from_, *behind);
    return true;
  }

  Result<Rows> fetch(std::size_t batch) {
    static const std::string kOpen = fmt::format(
        "SELECT {} FROM lake_objects WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?",
        kObjectColumns);
    static const std::string kClosed = fmt::format(
        "SELECT {} FROM lake_objects WHERE bucket = ? AND key >= ? AND key < ? ORDER BY key LIMIT "
        "?",
        kObjectColumns);
    if (!end_) return reader_.query(kOpen, {bucket_, blob(from_), batch});
    return reader_.query(kClosed, {bucket_, blob(from_), blob(*end_), batch});
  }

  // Adds the row's key or its common prefix; false when the page is full or nothing can follow.
  Result<bool> take(const kernel::Row& row) {
    auto key = row.blob(0);
    if (key < leap_) return true;
    auto prefix = common_prefix(key, options_);
    if (count() == options_.limit) {
      out_.truncated = true;
      return false;
    }
    if (prefix) {
      out_.next = *prefix;
      auto behind = behind_prefix(*prefix);
      out_.prefixes.push_back(*std::move(prefix));
      if (!behind) return false;
      leap_ = *std::move(behind);
      return true;
    }
    auto object = read_object(row);
    if (!object) return std::move(object).error();
    out_.next = std::move(key);
    out_.objects.push_back(std::move(object->info));
    return true;
  }

  Reader& reader_;
  std::int64_t bucket_;
  const ListOptions& options_;
  std::optional<std::string> end_;
  std::string from_;
  std::string leap_;  // keys before this one are covered
  Listing out_;
};

}  // namespace

Task<Result<Listing>> Lake::list(const Caller& caller, std::string bucket, ListOptions options) {
  STRATA_CO_TRY(require(caller, Permission::kLakeRead));
  const auto look = [&](Reader& reader) -> Result<Listing> {
    const auto id = find_bucket(reader, caller, bucket);
    if (!id) return id.error();
    return Walk(reader, *id, options).run();
  };
  co_return co_await ports_.records.read(look);
}

}  // namespace strata::storage::lake
