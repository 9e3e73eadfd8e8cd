#include "runtime/logs/log_file.hpp"

#include <fmt/format.h>

namespace strata {

namespace {

// What is not there needs no change.
Status unless_missing(Status done) {
  if (!done && done.error().code == Code::kNotFound) return {};
  return done;
}

}  // namespace

LogFile::LogFile(std::string path, std::uint64_t size, Fault fault)
    : path_(std::move(path)),
      size_(size),
      fault_(std::move(fault)) {}

Result<std::unique_ptr<LogFile>> LogFile::open(std::string path, std::uint64_t size, Fault fault) {
  std::unique_ptr<LogFile> log(new LogFile(std::move(path), size, std::move(fault)));
  STRATA_TRY(log->attach());
  return log;
}

void LogFile::write(std::string_view line) {
  const std::scoped_lock lock(mutex_);
  line_.assign(line).push_back('\n');
  if (is_full()) tell(rotate());
  tell(file_->append(line_));
  written_ += line_.size();
}

void LogFile::reopen() {
  const std::scoped_lock lock(mutex_);
  tell(attach());
}

void LogFile::tell(const Status& done) const {
  if (!done) fault_(done.error());
}

Status LogFile::attach() {
  auto file = files_.append_to(path_);
  if (!file) return std::move(file).error();
  const auto held = (*file)->size();
  if (!held) return held.error();
  use(*std::move(file), *held);
  return {};
}

void LogFile::use(std::unique_ptr<File> file, std::uint64_t held) {
  file_ = std::move(file);
  written_ = held;
  rotate_at_ = size_;
}

// Whether the line in hand belongs into a new file. Who copies a log and empties it leaves less in
// it than we wrote.
bool LogFile::is_full() {
  const auto fits = [this] {
    return written_ == 0 || written_ + line_.size() <= rotate_at_;
  };
  if (fits()) return false;
  written_ = file_->size().value_or(written_);
  return !fits();
}

// The new file takes the place of the old one in one step, which has its second name by then.
Status LogFile::rotate() {
  rotate_at_ = written_ + size_;  // when this fails, the next try is not at the next line
  const std::string fresh = path_ + ".new";
  STRATA_TRY(files_.remove(fresh));
  auto file = files_.create(fresh);
  if (!file) return std::move(file).error();
  for (int number = kKept - 1; number > 0; --number) {
    STRATA_TRY(unless_missing(files_.rename(numbered(number), numbered(number + 1))));
  }
  STRATA_TRY(unless_missing(files_.link(path_, numbered(1))));
  STRATA_TRY(files_.rename(fresh, path_));
  use(*std::move(file), 0);
  return {};
}

std::string LogFile::numbered(int number) const {
  return fmt::format("{}.{}", path_, number);
}

}  // namespace strata
