#include "app/maintenance/fsck.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "engines/files/file_blob_store.hpp"
#include "engines/sqlite/sqlite_records.hpp"
#include "kernel/audit/audit.hpp"
#include "platform/streams/streams.hpp"
#include "storage/lake/lake.hpp"

namespace strata::app {

namespace {

namespace fs = std::filesystem;
using storage::lake::Lake;

constexpr std::size_t kPiece = 1U << 20;

// The files below `folder`, none when it is not there; `note` is called with each path.
Status each_file(const std::string& folder, const std::function<Status(const fs::path&)>& note) {
  std::error_code fault;
  for (auto entry = fs::recursive_directory_iterator(folder, fault);
       !fault && entry != fs::recursive_directory_iterator(); entry.increment(fault)) {
    if (entry->is_regular_file(fault)) STRATA_TRY(note(entry->path()));
  }
  if (fault && fault != std::errc::no_such_file_or_directory)
    return from_errno(fault.value(), "read", folder);
  return {};
}

Result<std::string> hash_of(Files& files, const std::string& path) {
  const auto file = files.open(path);
  if (!file) return file.error();
  Digest digest(DigestKind::kSha256);
  std::string piece(kPiece, '\0');
  for (std::uint64_t at = 0;;) {
    const auto got = (*file)->read_at(piece, at);
    if (!got) return got.error();
    if (*got == 0) return to_hex(digest.finish());
    digest.update(std::string_view(piece).substr(0, *got));
    at += *got;
  }
}

Status check_records(kernel::Records& records, FsckReport& report) {
  for (const auto* pragma : {"PRAGMA integrity_check(100)", "PRAGMA foreign_key_check"}) {
    const auto rows =
        records.read_blocking([&](kernel::Reader& reader) { return reader.query(pragma); });
    if (!rows) {
      report.findings.push_back("records: " + rows.error().to_string());
      continue;
    }
    for (const auto& row : *rows) {
      if (row.text(0) != "ok") report.findings.push_back("records: " + row.text(0));
    }
  }
  return {};
}

// Packages and outputs of pipelines are named by what they hold.
Status check_contents(Files& files, const std::string& data, FsckReport& report) {
  return each_file(data + "/flows/content", [&](const fs::path& path) -> Status {
    const std::string name = path.filename();
    if (name.size() != 64) return {};  // unfinished
    ++report.contents;
    const auto hash = hash_of(files, path);
    if (!hash) report.findings.push_back(path.string() + ": " + hash.error().message);
    if (hash && *hash != name)
      report.findings.push_back(fmt::format("{}: its bytes give sha256:{}", path.string(), *hash));
    return {};
  });
}

// Whether a file begins, and ends, as its format says: what a torn copy does not.
Status check_ends(Files& files, const fs::path& path, std::string_view magic, std::uint64_t at,
                  bool also_at_end, FsckReport& report) {
  const auto file = files.open(path);
  if (!file) return file.error();
  const auto size = (*file)->size();
  if (!size) return size.error();
  std::string head(magic.size(), '\0');
  std::string tail(magic.size(), '\0');
  const auto read = (*file)->read_at(head, at);
  if (!read) return read.error();
  bool whole = *size >= at + magic.size() && head == magic;
  if (whole && also_at_end) {
    const auto end = (*file)->read_at(tail, *size - magic.size());
    if (!end) return end.error();
    whole = tail == magic;
  }
  if (!whole)
    report.findings.push_back(path.string() + ": is damaged: it does not begin or end as it must");
  return {};
}

Status check_tables_and_predictions(Files& files, const std::string& data, FsckReport& report) {
  for (const auto& folder : {data + "/warehouse", data + "/projects"}) {
    STRATA_TRY(each_file(folder, [&](const fs::path& path) -> Status {
      if (path.extension() != ".duckdb") return {};
      return check_ends(files, path, "DUCK", 8, false, report);
    }));
  }
  for (const auto& folder : {data + "/predictions", data + "/exposures", data + "/labels"}) {
    STRATA_TRY(each_file(folder, [&](const fs::path& path) -> Status {
      if (path.extension() != ".parquet") return {};
      return check_ends(files, path, "PAR1", 0, true, report);
    }));
  }
  return {};
}

}  // namespace

Result<FsckReport> check_unused_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress,
    std::optional<kernel::ChainHead> kept) {
  SystemFiles files;
  SystemRandom random;
  BlockingPool pool(1);
  if (!files.exists(data + "/records.db")) return not_found("there is no server's data in " + data);
  FsckReport report;
  auto records = engines::sqlite::SqliteRecords::open(data + "/records.db", 1);
  if (!records) return std::move(records).error();
  STRATA_TRY(check_records(**records, report));
  auto chain = kernel::Audit::verify_unused(**records, std::move(kept));
  if (!chain) return std::move(chain).error();
  report.audit = *std::move(chain);
  if (report.audit && report.audit->finding)
    report.findings.push_back("audit log: " + report.audit->finding->message);
  if (files.exists(data + "/lake/files")) {
    engines::files::FileBlobStore blobs(files, random, pool, data + "/lake");
    const Lake::CheckListener listener{
        [&](std::string finding) { report.findings.push_back(std::move(finding)); }, progress};
    const auto checked = Lake::check(**records, blobs, listener);
    if (!checked) return checked.error();
    report.objects = checked->objects;
    report.bytes = checked->bytes;
    report.orphans = checked->orphans;
  }
  STRATA_TRY(check_contents(files, data, report));
  STRATA_TRY(check_tables_and_predictions(files, data, report));
  const auto log = platform::streams::Streams::check(files, data + "/features");
  report.findings.insert(report.findings.end(), log.findings.begin(), log.findings.end());
  return report;
}

Result<FsckReport> check_data(
    const std::string& data,
    const std::function<void(std::uint64_t done, std::uint64_t all)>& progress,
    std::optional<kernel::ChainHead> kept) {
  SystemFiles files;
  if (!files.exists(data + "/records.db")) return not_found("there is no server's data in " + data);
  STRATA_TRY(files.make_dirs(data + "/run"));
  const auto lock = FileLock::acquire(data + "/run/lock");
  if (!lock && lock.error().code == Code::kConflict) {
    return Error(Code::kConflict,
                 fmt::format("a server runs on {}: stop it first, or make a backup, which is "
                             "checked as it is made",
                             data));
  }
  if (!lock) return lock.error();
  return check_unused_data(data, progress, std::move(kept));
}

}  // namespace strata::app
