#include "app/maintenance/backup.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines/sqlite/sqlite_records.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::app {

namespace {

namespace fs = std::filesystem;

constexpr int kPasses = 5;
constexpr std::chrono::seconds kEngineWait{60};
constexpr std::chrono::milliseconds kEngineLook{100};
constexpr std::size_t kPiece = 4U << 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return number_; }
  bool open() const { return number_ >= 0; }

 private:
  int number_;
};

// The bytes of an open file into a new one, durable: shared with it where the file system can.
Result<std::uint64_t> copy_open_file(int from, const std::string& name, const std::string& to) {
  struct stat facts{};
  if (::fstat(from, &facts) != 0) return from_errno(errno, "stat", name);
  const Descriptor target(
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, facts.st_mode & 0777));
  if (!target.open()) return from_errno(errno, "create", to);
  if (::ioctl(target.get(), FICLONE, from) != 0) {
    std::string piece(kPiece, '\0');
    for (off_t at = 0;;) {
      const ssize_t got = ::pread(from, piece.data(), piece.size(), at);
      if (got < 0) return from_errno(errno, "read", name);
      if (got == 0) break;
      for (ssize_t done = 0; done < got;) {
        const ssize_t put =
            ::write(target.get(), piece.data() + done, static_cast<std::size_t>(got - done));
        if (put < 0) return from_errno(errno, "write", to);
        done += put;
      }
      at += got;
    }
  }
  if (::fsync(target.get()) != 0) return from_errno(errno, "fsync", to);
  return static_cast<std::uint64_t>(facts.st_size);
}

// Also by way of symbolic links.
bool lies_within(const std::string& inner, const std::string& outer) {
  std::error_code fault;
  const auto from = fs::canonical(outer, fault);
  if (fault) return false;
  const auto to = fs::weakly_canonical(inner, fault);
  return !fault && std::ranges::mismatch(from, to).in1 == from.end();
}

class Backup {
 public:
  Backup(std::string data, std::string out) : data_(std::move(data)), out_(std::move(out)) {}

  Status prepare() {
    std::error_code fault;
    if (!files_.exists(data_ + "/records.db"))
      return not_found("there is no server's data in " + data_);
    if (lies_within(out_, data_)) {
      return invalid("out", fmt::format("{} lies in the data directory itself, {}; name one beside "
                                        "it, better on another disk",
                                        out_, data_));
    }
    if (fs::exists(out_, fault) && !fs::is_empty(out_, fault)) {
      return Error(Code::kAlreadyExists, out_ + " is there already; name a new directory", "out");
    }
    STRATA_TRY(files_.make_dirs(out_));
    if (::chmod(out_.c_str(), 0700) != 0) return from_errno(errno, "chmod", out_);
    return {};
  }

  Status copy_records() {
    STRATA_TRY(files_.remove(out_ + "/records.db"));
    for (const auto* rest : {"-wal", "-shm"})
      STRATA_TRY(files_.remove(out_ + "/records.db" + rest));
    const auto records = engines::sqlite::SqliteRecords::open(data_ + "/records.db", 1);
    if (!records) return records.error();
    STRATA_TRY((*records)->backup(out_ + "/records.db"));
    const Descriptor copy(::open((out_ + "/records.db").c_str(), O_RDONLY | O_CLOEXEC));
    if (!copy.open() || ::fsync(copy.get()) != 0)
      return from_errno(errno, "fsync", out_ + "/records.db");
    return {};
  }

  // Files that are only ever added, grown at their end or removed. What goes away beside us is not
  // missed here: the check says whether the records still name it.
  Status copy_tree(const std::string& folder) {
    // A folder that is removed while it is read ends the walk: then it begins anew.
    for (int round = 0; round < kPasses; ++round) {
      const auto whole = walk(folder);
      if (!whole) return whole.error();
      if (*whole) return {};
    }
    return Error(Code::kUnavailable, data_ + "/" + folder + " changes faster than it is copied");
  }

  Result<bool> walk(const std::string& folder) {
    const std::string root = data_ + "/" + folder;
    if (!files_.exists(root)) return true;
    STRATA_TRY(files_.make_dirs(out_ + "/" + folder));
    std::error_code fault;
    for (auto entry = fs::recursive_directory_iterator(root, fault);
         !fault && entry != fs::recursive_directory_iterator(); entry.increment(fault)) {
      const std::string relative = entry->path().string().substr(data_.size() + 1);
      std::error_code gone;  // what has been removed since it was listed is of no kind
      if (entry->is_symlink(gone)) {
        const auto target = fs::read_symlink(entry->path(), gone);
        if (!gone && !fs::exists(fs::symlink_status(out_ + "/" + relative, gone)))
          fs::create_symlink(target, out_ + "/" + relative, fault);
      } else if (entry->is_directory(gone)) {
        STRATA_TRY(files_.make_dirs(out_ + "/" + relative));
      } else if (entry->is_regular_file(gone)) {
        STRATA_TRY(copy_file(relative));
      }
    }
    if (fault && fault != std::errc::no_such_file_or_directory)
      return from_errno(fault.value(), "read", root);
    return !fault;
  }

  // Logs of predictions are joined as they grow, so the set of files matters: copied until ours is
  // that of the server.
  Status copy_predictions() {
    for (int round = 0; round < kPasses; ++round) {
      STRATA_TRY(copy_tree("predictions"));
      if (names_below(out_ + "/predictions") == names_below(data_ + "/predictions")) return {};
      for (const auto& name : names_below(out_ + "/predictions")) {
        if (!files_.exists(data_ + "/predictions/" + name))
          STRATA_TRY(files_.remove(out_ + "/predictions/" + name));
      }
    }
    return {};
  }

  static std::set<std::string> names_below(const std::string& folder) {
    std::set<std::string> names;
    std::error_code fault;
    for (auto entry = fs::recursive_directory_iterator(folder, fault);
         !fault && entry != fs::recursive_directory_iterator(); entry.increment(fault)) {
      if (entry->is_regular_file(fault))
        names.insert(entry->path().string().substr(folder.size() + 1));
    }
    return names;
  }

  Status copy_file(const std::string& relative) {
    const std::string from = data_ + "/" + relative;
    const std::string to = out_ + "/" + relative;
    const Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!source.open()) return errno == ENOENT ? Status() : Status(from_errno(errno, "open", from));
    struct stat facts{}, known{};
    if (::fstat(source.get(), &facts) != 0) return from_errno(errno, "stat", from);
    const bool same = ::stat(to.c_str(), &known) == 0 && known.st_size == facts.st_size;
    if (same) return {};
    STRATA_TRY(files_.make_dirs(fs::path(to).parent_path()));
    const auto copied = copy_open_file(source.get(), from, to);
    if (!copied) return copied.error();
    copied_ += *copied;
    return {};
  }

  // An engine holds a lock on its database for as long as it has it open, and waits for ours.
  Status copy_database(const std::string& folder, const std::function<Status()>& release) {
    const std::string relative = folder + "/strata.duckdb";
    const Descriptor source(::open((data_ + "/" + relative).c_str(), O_RDWR | O_CLOEXEC));
    if (!source.open()) {
      return errno == ENOENT ? Status() : Status(from_errno(errno, "open", data_ + "/" + relative));
    }
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const SystemClock clock;
    const auto end = clock.steady() + kEngineWait;
    while (::fcntl(source.get(), F_SETLK, &lock) != 0) {
      if (errno != EAGAIN && errno != EACCES) return from_errno(errno, "lock", relative);
      if (clock.steady() > end) {
        return Error(Code::kUnavailable,
                     "the SQL engine is still busy after a minute; try again when its statements "
                     "have ended (strata sql, or the page SQL, lists them)");
      }
      STRATA_TRY(release());
      sleep_blocking(kEngineLook);
    }
    STRATA_TRY(files_.make_dirs(out_ + "/" + folder));
    const auto copied = copy_open_file(source.get(), relative, out_ + "/" + relative);
    if (!copied) return copied.error();
    copied_ += *copied;
    // Only an engine that was killed leaves one; the next start replays it.
    return copy_file(relative + ".wal");
  }

  Status copy_databases(const std::function<Status()>& release) {
    STRATA_TRY(copy_database("warehouse", release));
    if (!files_.exists(data_ + "/projects")) return {};
    const auto projects = files_.list(data_ + "/projects");
    if (!projects) return projects.error();
    for (const auto& project : *projects)
      STRATA_TRY(copy_database("projects/" + project + "/warehouse", release));
    return {};
  }

  std::uint64_t copied() const { return copied_; }

 private:
  SystemFiles files_;
  std::string data_;
  std::string out_;
  std::uint64_t copied_ = 0;
};

}  // namespace

Result<BackupReport> backup_data(const std::string& data, const std::string& out,
                                 const std::function<Status()>& release,
                                 const std::function<void(std::string_view what, std::uint64_t done,
                                                          std::uint64_t all)>& progress) {
  Backup backup(data, out);
  STRATA_TRY(backup.prepare());
  BackupReport report;
  progress("tables", 0, 0);
  STRATA_TRY(backup.copy_databases(release));
  for (const auto* file : {"master.key", "admin.json", "strata.toml"})
    STRATA_TRY(backup.copy_file(file));
  // An object that is removed between the copy of the records and that of its bytes would be
  // missing: then both are copied again, and only what changed since.
  while (++report.passes <= kPasses) {
    progress("records", 0, 0);
    STRATA_TRY(backup.copy_records());
    progress("objects", 0, 0);
    for (const auto* folder : {"lake/packs", "lake/files", "flows", "tasks", "models",
                               "credentials", "features/log", "exposures", "labels"})
      STRATA_TRY(backup.copy_tree(folder));
    STRATA_TRY(backup.copy_predictions());
    const auto checked = check_unused_data(
        out, [&](std::uint64_t done, std::uint64_t all) { progress("check", done, all); });
    if (!checked) return checked.error();
    report.checked = *checked;
    report.copied_bytes = backup.copied();
    if (report.checked.findings.empty()) return report;
  }
  return Error(Code::kDataLoss, fmt::format("the copy in {} is not what its records say: {}", out,
                                            report.checked.findings.front()));
}

}  // namespace strata::app
