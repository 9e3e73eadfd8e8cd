#include "runtime/files.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/clock.hpp"

namespace strata {

namespace {

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }
  PosixFile(const PosixFile&) = delete;

  Result<std::size_t> read_at(std::span<char> out, std::uint64_t offset) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return from_errno(errno, "read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return from_errno(errno, "write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

  Status sync() override {
    if (::fdatasync(fd_) != 0) return from_errno(errno, "fdatasync", path_);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) return from_errno(errno, "stat", path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

  int descriptor() const override { return fd_; }

 private:
  int fd_;
  std::string path_;
};

std::string parent(const std::string& path) {
  const std::size_t at = path.rfind('/');
  if (at == std::string::npos) return ".";
  return at == 0 ? "/" : path.substr(0, at);
}

Result<std::unique_ptr<File>> open_with(const std::string& path, int flags, unsigned mode = 0600) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return from_errno(errno, "open", path);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(fd, path));
}

Status copy_file(Files& files, const std::string& from, const std::string& to) {
  auto source = files.open(from);
  if (!source) return std::move(source).error();
  auto target = files.create(to);
  if (!target) return std::move(target).error();
  std::string buffer(1 << 20, '\0');
  std::uint64_t at = 0;
  while (true) {
    const auto got = (*source)->read_at(buffer, at);
    if (!got) return got.error();
    if (*got == 0) return {};
    STRATA_TRY((*target)->append(std::string_view(buffer).substr(0, *got)));
    at += *got;
  }
}

}  // namespace

Status Files::publish(const std::string& from, const std::string& to) {
  STRATA_TRY(rename(from, to));
  STRATA_TRY(sync_names(parent(to)));
  if (parent(from) != parent(to)) return sync_names(parent(from));
  return {};
}

Status Files::replace(const std::string& path, std::string_view content, unsigned mode) {
  static std::atomic<std::uint64_t> count{0};  // several of one path may be at work at a time
  const std::string temporary = fmt::format("{}.{}-{}.tmp", path, ::getpid(), ++count);
  STRATA_TRY(remove(temporary));
  const auto write = [&]() -> Status {
    auto file = create(temporary, mode);
    if (!file) return std::move(file).error();
    STRATA_TRY((*file)->append(content));
    return (*file)->sync();
  };
  auto done = write();
  if (done) done = publish(temporary, path);
  if (!done) (void)remove(temporary);  // what went wrong is told already
  return done;
}

Status Files::make_dirs(const std::string& path) {
  if (path.empty() || path == "/") return {};
  auto made = make_dir(path);
  if (!made && made.error().code == Code::kNotFound) {
    STRATA_TRY(make_dirs(parent(path)));
    made = make_dir(path);
  }
  if (made) return sync_names(parent(path));
  if (made.error().code != Code::kAlreadyExists) return made;
  // Who made it may have been killed before it was durable. Where we may not read we made nothing.
  auto synced = sync_names(parent(path));
  if (!synced && synced.error().code != Code::kPermissionDenied) return synced;
  return {};
}

Result<std::unique_ptr<File>> SystemFiles::open(const std::string& path) {
  return open_with(path, O_RDONLY);
}

Result<std::unique_ptr<File>> SystemFiles::create(const std::string& path, unsigned mode) {
  return open_with(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND, mode);
}

Result<std::unique_ptr<File>> SystemFiles::append_to(const std::string& path) {
  return open_with(path, O_RDWR | O_CREAT | O_APPEND);
}

Status SystemFiles::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return from_errno(errno, "rename", to);
  return {};
}

Status SystemFiles::sync_names(const std::string& dir) {
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return from_errno(errno, "open", dir);
  const int outcome = ::fsync(fd);
  const int number = errno;
  ::close(fd);
  if (outcome != 0) return from_errno(number, "fsync", dir);
  return {};
}

Status SystemFiles::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return from_errno(errno, "unlink", path);
  return {};
}

Status SystemFiles::make_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return from_errno(errno, "mkdir", path);
  return {};
}

Result<std::string> SystemFiles::read_all(const std::string& path) {
  auto file = open(path);
  if (!file) return std::move(file).error();
  std::string content;
  std::string buffer(1 << 16, '\0');
  while (true) {  // not by size: files under /proc report none
    const auto got = (*file)->read_at(buffer, content.size());
    if (!got) return got.error();
    if (*got == 0) return content;
    content.append(buffer, 0, *got);
  }
}

Result<std::vector<std::string>> SystemFiles::list(const std::string& dir) {
  DIR* handle = ::opendir(dir.c_str());
  if (handle == nullptr) return from_errno(errno, "opendir", dir);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(handle)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(handle);
  std::sort(names.begin(), names.end());
  return names;
}

bool SystemFiles::exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Status SystemFiles::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  if (errno == EXDEV || errno == EPERM || errno == EMLINK) return copy_file(*this, from, to);
  return from_errno(errno, "link", to);
}

Result<FileLock> FileLock::acquire(const std::string& path, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kLook{20};
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return from_errno(errno, "open", path);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    if (number == EWOULDBLOCK && patience > std::chrono::milliseconds::zero()) {
      sleep_blocking(kLook);
      patience -= kLook;
      continue;
    }
    ::close(fd);
    if (number == EWOULDBLOCK) {
      return Error(Code::kConflict, fmt::format("another process holds {}", path));
    }
    return from_errno(number, "flock", path);
  }
  return FileLock(fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace strata
