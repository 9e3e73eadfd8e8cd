#include "engines/files/file_blob_store.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/log.hpp"
#include "engines/files/pack_format.hpp"
#include "runtime/loop.hpp"

namespace strata::engines::files {

namespace {

constexpr std::size_t kMaxOpenPacks = 128;
constexpr std::size_t kMaxGroupBytes = 8U << 20;
constexpr std::uint64_t kCopyPiece = 1U << 20;

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t number = 0;
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (fault != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> pack_number(std::string_view name) {
  if (!name.ends_with(".pack")) return std::nullopt;
  return parse_number(name.substr(0, name.size() - 5), 10);
}

}  // namespace

// One small blob that waits for its group.
struct FileBlobStore::Append {
  std::string record;
  std::size_t payload_at = 0;
  std::uint64_t payload_size = 0;
  BlobRef ref;
  Status outcome;
  std::coroutine_handle<> waiter;
  Loop* home = nullptr;

  void wake() {
    const auto handle = waiter;  // resuming may end this object
    if (home != nullptr) {
      home->resume(handle);
    } else {
      handle.resume();
    }
  }
};

struct FileBlobStore::AppendAwaiter {
  FileBlobStore* store;
  Append* append;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    append->waiter = handle;
    append->home = Loop::current();
    store->submit(*append);
  }
  void await_resume() const noexcept {}
};

class FileBlobStore::Writer final : public BlobWriter {
 public:
  Writer(FileBlobStore& store, std::uint64_t number, std::unique_ptr<File> file, std::string path)
      : store_(store),
        number_(number),
        file_(std::move(file)),
        path_(std::move(path)) {}

  ~Writer() override {
    if (finished_) return;
    file_.reset();
    if (const auto removed = store_.files_.remove(path_); !removed) {
      log::warn("lake.incoming.remove", Json::object({{"error", removed.error().to_string()}}));
    }
    const std::lock_guard lock(store_.mutex_);
    store_.new_files_.erase(number_);
  }

  Status append(std::string_view bytes) override {
    size_ += bytes.size();
    return file_->append(bytes);
  }

  Result<NewBlob> finish() override {
    STRATA_TRY(file_->sync());
    STRATA_TRY(store_.make_shard(number_));
    STRATA_TRY(store_.files_.publish(path_, store_.file_path(number_)));
    finished_ = true;
    return NewBlob(store_, BlobRef{0, number_, size_});
  }

 private:
  FileBlobStore& store_;
  std::uint64_t number_;
  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t size_ = 0;
  bool finished_ = false;
};

FileBlobStore::FileBlobStore(Files& files, Random& random, BlockingPool& pool,
                             std::string directory)
    : files_(files),
      random_(random),
      pool_(pool),
      directory_(std::move(directory)) {}

FileBlobStore::~FileBlobStore() {
  std::unique_lock lock(mutex_);
  drained_.wait(lock, [&] { return !draining_; });
}

Status FileBlobStore::start() {
  for (const auto* name : {"", "/packs", "/files", "/incoming"}) {
    STRATA_TRY(files_.make_dirs(directory_ + name));
  }
  // The newest pack takes more blobs; a kill may have come between its name and the name's sync.
  STRATA_TRY(files_.sync_names(directory_ + "/packs"));
  const auto unfinished = files_.list(directory_ + "/incoming");
  if (!unfinished) return unfinished.error();
  for (const auto& name : *unfinished)
    STRATA_TRY(files_.remove(directory_ + "/incoming/" + name));
  const auto packs = files_.list(directory_ + "/packs");
  if (!packs) return packs.error();
  for (const auto& name : *packs)
    newest_pack_ = std::max(newest_pack_, pack_number(name).value_or(0));
  return {};
}

std::string FileBlobStore::pack_path(std::uint64_t number) const {
  return fmt::format("{}/packs/{:08}.pack", directory_, number);
}

std::string FileBlobStore::shard_path(std::uint64_t number) const {
  return fmt::format("{}/files/{:02x}", directory_, number >> 56);
}

std::string FileBlobStore::file_path(std::uint64_t number) const {
  return fmt::format("{}/{:016x}", shard_path(number), number);
}

Status FileBlobStore::make_shard(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (shards_.contains(number >> 56)) return {};
  }
  STRATA_TRY(files_.make_dirs(shard_path(number)));
  const std::lock_guard lock(mutex_);
  shards_.insert(number >> 56);
  return {};
}

Task<Result<NewBlob>> FileBlobStore::put(std::string bytes, std::string owner) {
  if (bytes.size() > kMaxPacked) {
    co_return internal(
        fmt::format("a packed blob of {} bytes; the most is {}", bytes.size(), kMaxPacked));
  }
  Append append;
  append.payload_size = bytes.size();
  append.record = pack_record(owner, bytes);
  append.payload_at = append.record.size() - bytes.size();
  AppendAwaiter awaiter{this, &append};
  co_await awaiter;
  if (!append.outcome) co_return std::move(append.outcome).error();
  co_return NewBlob(*this, append.ref);
}

void FileBlobStore::submit(Append& append) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(&append);
  if (draining_) return;
  draining_ = true;
  pool_.submit([this] { drain(); });
}

// Runs on one pool thread for as long as blobs wait: while a group syncs, the next one gathers.
void FileBlobStore::drain() {
  std::vector<Append*> group;
  while (true) {
    group.clear();
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) {
        draining_ = false;
        drained_.notify_all();
        return;
      }
      for (std::size_t bytes = 0; !queue_.empty() && bytes < kMaxGroupBytes; queue_.pop_front()) {
        group.push_back(queue_.front());
        bytes += queue_.front()->record.size();
      }
    }
    const Status outcome = write_group(group);
    if (!outcome) {
      pack_.reset();
      log::error("lake.pack.write", Json::object({{"error", outcome.error().to_string()}}));
    }
    for (Append* append : group) {
      if (!outcome) append->outcome = Error(outcome.error());
      append->wake();
    }
  }
}

Status FileBlobStore::write_group(const std::vector<Append*>& group) {
  if (!pack_ || pack_size_ >= pack_limit_) STRATA_TRY(begin_pack());
  const std::string* bytes = &group.front()->record;
  std::string joined;
  if (group.size() > 1) {
    for (const Append* append : group)
      joined += append->record;
    bytes = &joined;
  }
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = newest_pack_;
  }
  STRATA_TRY(pack_->append(*bytes));
  STRATA_TRY(pack_->sync());
  const std::lock_guard lock(mutex_);
  for (Append* append : group) {
    append->ref = BlobRef{number, pack_size_ + append->payload_at, append->payload_size};
    pack_size_ += append->record.size();
    ++new_in_pack_[number];
  }
  return {};
}

// Goes on with the newest pack after a start; else makes the next one, whose name is durable before
// a blob lies in it.
Status FileBlobStore::begin_pack() {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = newest_pack_;
  }
  const bool first_since_start = pack_ == nullptr && pack_size_ == 0 && number != 0;
  if (first_since_start) {
    auto file = files_.append_to(pack_path(number));
    if (!file) return std::move(file).error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (*size < pack_limit_) {
      pack_ = *std::move(file);
      pack_size_ = *size;
      return {};
    }
  }
  ++number;
  const auto incoming = fmt::format("{}/incoming/{:08}.pack", directory_, number);
  STRATA_TRY(files_.remove(incoming));
  auto file = files_.create(incoming);
  if (!file) return std::move(file).error();
  STRATA_TRY((*file)->append(kPackHeader));
  STRATA_TRY((*file)->sync());
  STRATA_TRY(files_.publish(incoming, pack_path(number)));
  pack_ = *std::move(file);
  pack_size_ = kPackHeader.size();
  const std::lock_guard lock(mutex_);
  newest_pack_ = number;
  return {};
}

Result<std::unique_ptr<BlobWriter>> FileBlobStore::create() {
  const std::uint64_t number = random_.u64();
  auto path = fmt::format("{}/incoming/{:016x}", directory_, number);
  auto file = files_.create(path);
  if (!file) return std::move(file).error();
  {
    const std::lock_guard lock(mutex_);
    new_files_.insert(number);
  }
  return std::unique_ptr<BlobWriter>(
      std::make_unique<Writer>(*this, number, *std::move(file), std::move(path)));
}

Result<std::shared_ptr<File>> FileBlobStore::open_pack(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = open_packs_.find(number); found != open_packs_.end())
      return found->second;
  }
  auto opened = files_.open(pack_path(number));
  if (!opened) return std::move(opened).error();
  std::shared_ptr<File> file = *std::move(opened);
  const std::lock_guard lock(mutex_);
  if (open_packs_.size() >= kMaxOpenPacks) open_packs_.erase(open_packs_.begin());
  open_packs_[number] = file;
  return file;
}

Result<BlobSlice> FileBlobStore::open(const BlobRef& ref) {
  if (ref.packed()) {
    auto file = open_pack(ref.pack);
    if (!file) return std::move(file).error();
    return BlobSlice{*std::move(file), ref.place, ref.size};
  }
  auto file = files_.open(file_path(ref.place));
  if (!file) return std::move(file).error();
  return BlobSlice{*std::move(file), 0, ref.size};
}

Status FileBlobStore::materialise(std::span<const BlobRef> refs, const std::string& target) {
  if (refs.size() == 1 && !refs.front().packed())
    return files_.link(file_path(refs.front().place), target);
  std::vector<BlobSlice> slices;
  for (const auto& ref : refs) {
    auto slice = open(ref);
    if (!slice) return std::move(slice).error();
    slices.push_back(*std::move(slice));
  }
  auto file = files_.create(target);
  if (!file) return std::move(file).error();
  std::string buffer;
  for (const auto& slice : slices) {
    for (std::uint64_t done = 0; done < slice.length; done += buffer.size()) {
      buffer.resize(
          static_cast<std::size_t>(std::min<std::uint64_t>(kCopyPiece, slice.length - done)));
      const auto got = slice.file->read_at(buffer, slice.offset + done);
      if (!got) return got.error();
      if (*got != buffer.size())
        return Error(Code::kDataLoss, "a stored blob is shorter than its record says");
      STRATA_TRY((*file)->append(buffer));
    }
  }
  return {};
}

void FileBlobStore::remove(const BlobRef& ref) {
  if (ref.packed()) return;
  pool_.submit([&files = files_, path = file_path(ref.place)] {
    if (const auto removed = files.remove(path); !removed) {
      log::warn("lake.blob.remove", Json::object({{"error", removed.error().to_string()}}));
    }
  });
}

void FileBlobStore::settle(const BlobRef& ref, bool kept) {
  {
    const std::lock_guard lock(mutex_);
    if (ref.packed()) {
      const auto found = new_in_pack_.find(ref.pack);
      if (found != new_in_pack_.end() && --found->second == 0) new_in_pack_.erase(found);
      return;
    }
    new_files_.erase(ref.place);
  }
  if (!kept) remove(ref);
}

Result<std::vector<PackInfo>> FileBlobStore::sealed_packs() {
  const auto names = files_.list(directory_ + "/packs");
  if (!names) return names.error();
  std::vector<PackInfo> packs;
  for (const auto& name : *names) {
    const auto number = pack_number(name);
    if (!number) continue;
    {
      const std::lock_guard lock(mutex_);
      if (*number >= newest_pack_ || new_in_pack_.contains(*number)) continue;
    }
    const auto file = files_.open(pack_path(*number));
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    packs.push_back({*number, *size});
  }
  return packs;
}

Status FileBlobStore::scan(std::uint64_t pack, const Visit& visit) {
  auto file = files_.open(pack_path(pack));
  if (!file) return std::move(file).error();
  return scan_pack(**file, pack, visit);
}

Status FileBlobStore::remove_pack(std::uint64_t pack) {
  {
    const std::lock_guard lock(mutex_);
    open_packs_.erase(pack);
  }
  return files_.remove(pack_path(pack));
}

// The order makes it safe: the name is listed first, then looked up among the new, then among the
// records. A blob that was committed meanwhile is found by the last look; one that was made
// meanwhile is not listed.
Result<std::size_t> FileBlobStore::sweep(const IsAlive& is_alive) {
  std::size_t removed = 0;
  const auto shards = files_.list(directory_ + "/files");
  if (!shards) return shards.error();
  for (const auto& shard : *shards) {
    const auto names = files_.list(directory_ + "/files/" + shard);
    if (!names) return names.error();
    for (const auto& name : *names) {
      const auto number = parse_number(name, 16);
      if (!number) continue;
      {
        const std::lock_guard lock(mutex_);
        if (new_files_.contains(*number)) continue;
      }
      const auto alive = is_alive(BlobRef{0, *number, 0});
      if (!alive) return alive.error();
      if (*alive) continue;
      STRATA_TRY(files_.remove(file_path(*number)));
      ++removed;
    }
  }
  return removed;
}

}  // namespace strata::engines::files
