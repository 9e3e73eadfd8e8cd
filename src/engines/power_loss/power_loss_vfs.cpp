#include "engines/power_loss/power_loss_vfs.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include <sqlite3.h>

#include "runtime/random.hpp"

namespace strata::engines::power_loss {

namespace {

// What the connections to one database share: locks on the file and the index of its log.
struct Shared {
  int readers = 0;  // that hold SHARED or more
  const void* reserved = nullptr;
  const void* pending = nullptr;
  const void* exclusive = nullptr;

  std::vector<std::unique_ptr<char[]>> regions;
  struct IndexLock {
    int sharers = 0;
    const void* owner = nullptr;
  };
  std::array<IndexLock, SQLITE_SHM_NLOCK> index;
};

bool take(const void*& holder, const void* file) {
  if (holder != nullptr && holder != file) return false;
  holder = file;
  return true;
}

void drop(const void*& holder, const void* file) {
  if (holder == file) holder = nullptr;
}

}  // namespace

struct PowerLossVfs::Impl {
  PowerLossFiles& disk;
  std::string name;
  sqlite3_vfs vfs{};
  std::mutex mutex;  // over the locks
  std::map<std::string, std::shared_ptr<Shared>> shared;
};

namespace {

struct OpenFile {
  sqlite3_file base;  // first: SQLite knows no more
  PowerLossVfs::Impl* vfs;
  PowerLossFiles::Pages* pages;
  std::string* path;
  std::shared_ptr<Shared>* shared;
  int lock;
  bool names_to_sync;  // a new journal: its first sync makes its name durable too
  bool delete_on_close;
  std::uint32_t sharing;  // index locks held together with others
};

OpenFile& self(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}
PowerLossVfs::Impl& impl(sqlite3_vfs* vfs) {
  return *static_cast<PowerLossVfs::Impl*>(vfs->pAppData);
}
std::string folder(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

int close_file(sqlite3_file* file) {
  auto& own = self(file);
  int outcome = SQLITE_OK;
  if (own.delete_on_close && !own.vfs->disk.remove(*own.path)) outcome = SQLITE_IOERR_DELETE;
  delete own.pages;
  delete own.path;
  delete own.shared;
  return outcome;
}

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const std::span<char> wanted(static_cast<char*>(out), static_cast<std::size_t>(size));
  const auto got = self(file).pages->read_at(wanted, static_cast<std::uint64_t>(offset));
  if (!got) return SQLITE_IOERR_READ;
  if (*got == wanted.size()) return SQLITE_OK;
  std::fill(wanted.begin() + static_cast<std::ptrdiff_t>(*got), wanted.end(), '\0');
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  const std::string_view text(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  const auto done = self(file).pages->write_at(text, static_cast<std::uint64_t>(offset));
  return done ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  const auto done = self(file).pages->resize(static_cast<std::uint64_t>(size));
  return done ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int sync_file(sqlite3_file* file, int /*flags*/) {
  auto& own = self(file);
  if (!own.pages->sync()) return SQLITE_IOERR_FSYNC;
  if (own.names_to_sync) {
    if (!own.vfs->disk.sync_names(folder(*own.path))) return SQLITE_IOERR_DIR_FSYNC;
    own.names_to_sync = false;
  }
  return SQLITE_OK;
}

int size_file(sqlite3_file* file, sqlite3_int64* size) {
  const auto found = self(file).pages->size();
  if (!found) return SQLITE_IOERR_FSTAT;
  *size = static_cast<sqlite3_int64>(*found);
  return SQLITE_OK;
}

int lock_file(sqlite3_file* file, int level) {
  auto& own = self(file);
  if (own.lock >= level) return SQLITE_OK;
  const std::lock_guard guard(own.vfs->mutex);
  auto& all = **own.shared;
  if (level == SQLITE_LOCK_SHARED) {
    if (all.pending != nullptr || all.exclusive != nullptr) return SQLITE_BUSY;
    ++all.readers;
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (!take(all.reserved, file)) return SQLITE_BUSY;
  } else {
    if (!take(all.pending, file)) return SQLITE_BUSY;
    own.lock = SQLITE_LOCK_PENDING;
    if (all.readers > 1) return SQLITE_BUSY;
    all.exclusive = file;
    level = SQLITE_LOCK_EXCLUSIVE;
  }
  own.lock = level;
  return SQLITE_OK;
}

int unlock_file(sqlite3_file* file, int level) {
  auto& own = self(file);
  if (own.lock <= level) return SQLITE_OK;
  const std::lock_guard guard(own.vfs->mutex);
  auto& all = **own.shared;
  drop(all.exclusive, file);
  drop(all.pending, file);
  drop(all.reserved, file);
  if (level == SQLITE_LOCK_NONE) --all.readers;
  own.lock = level;
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* file, int* answer) {
  auto& own = self(file);
  const std::lock_guard guard(own.vfs->mutex);
  *answer = (*own.shared)->reserved != nullptr;
  return SQLITE_OK;
}

// `Memory` is whatever SQLite calls what several processes share.
template <class Memory>
int map_index(sqlite3_file* file, int region, int size, int extend, Memory** out) {
  auto& own = self(file);
  const std::lock_guard guard(own.vfs->mutex);
  auto& regions = (*own.shared)->regions;
  const auto wanted = static_cast<std::size_t>(region);
  *out = nullptr;
  if (wanted >= regions.size() && extend == 0) return SQLITE_OK;
  while (wanted >= regions.size())
    regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *out = regions[wanted].get();
  return SQLITE_OK;
}

int lock_index(sqlite3_file* file, int offset, int count, int flags) {
  auto& own = self(file);
  const std::lock_guard guard(own.vfs->mutex);
  auto& index = (*own.shared)->index;
  const auto first = static_cast<std::size_t>(offset);
  const auto last = first + static_cast<std::size_t>(count);
  const auto bit = [](std::size_t at) {
    return 1U << at;
  };
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    for (auto at = first; at < last; ++at) {
      if ((own.sharing & bit(at)) != 0) --index[at].sharers;
      if (index[at].owner == file) index[at].owner = nullptr;
      own.sharing &= ~bit(at);
    }
    return SQLITE_OK;
  }
  const bool alone = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  for (auto at = first; at < last; ++at) {
    const int others = index[at].sharers - ((own.sharing & bit(at)) != 0 ? 1 : 0);
    if (index[at].owner != nullptr && index[at].owner != file) return SQLITE_BUSY;
    if (alone && others > 0) return SQLITE_BUSY;
  }
  for (auto at = first; at < last; ++at) {
    if (alone) {
      index[at].owner = file;
    } else if ((own.sharing & bit(at)) == 0) {
      ++index[at].sharers;
      own.sharing |= bit(at);
    }
  }
  return SQLITE_OK;
}

void index_barrier(sqlite3_file* file) {
  const std::lock_guard guard(self(file).vfs->mutex);
}

int unmap_index(sqlite3_file* file, int discard) {
  auto& own = self(file);
  const std::lock_guard guard(own.vfs->mutex);
  if (discard != 0) (*own.shared)->regions.clear();
  return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int sector_size(sqlite3_file*) {
  return 4096;
}
int characteristics(sqlite3_file*) {
  return SQLITE_IOCAP_POWERSAFE_OVERWRITE;  // as "unix" says of every file system
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_index,
    .xShmLock = lock_index,
    .xShmBarrier = index_barrier,
    .xShmUnmap = unmap_index,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  auto& owner = impl(vfs);
  const std::string name = path == nullptr ? "" : path;
  const bool exists = !name.empty() && owner.disk.exists(name);
  file->pMethods = nullptr;
  if (!name.empty() && !exists && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  auto pages = owner.disk.open_pages(name);
  if (!pages) return SQLITE_CANTOPEN;
  const bool journal = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  const std::lock_guard guard(owner.mutex);
  auto& shared = owner.shared[name];
  if (!shared) shared = std::make_shared<Shared>();
  new (file) OpenFile{.base = {&kMethods},
                      .vfs = &owner,
                      .pages = pages->release(),
                      .path = new std::string(name),
                      .shared = new std::shared_ptr<Shared>(shared),
                      .lock = SQLITE_LOCK_NONE,
                      .names_to_sync = journal && !exists,
                      .delete_on_close = !name.empty() && (flags & SQLITE_OPEN_DELETEONCLOSE) != 0,
                      .sharing = 0};
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* path, int sync) {
  auto& disk = impl(vfs).disk;
  if (!disk.exists(path)) return SQLITE_IOERR_DELETE_NOENT;
  if (!disk.remove(path)) return SQLITE_IOERR_DELETE;
  if (sync != 0 && !disk.sync_names(folder(path))) return SQLITE_IOERR_DIR_FSYNC;
  return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* path, int /*flags*/, int* answer) {
  *answer = impl(vfs).disk.exists(path) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs* /*vfs*/, const char* path, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", path);
  return SQLITE_OK;
}

sqlite3_vfs* real() {
  return sqlite3_vfs_find("unix");
}
int randomness(sqlite3_vfs*, int size, char* out) {
  return real()->xRandomness(real(), size, out);
}
int sleep_micros(sqlite3_vfs*, int micros) {
  return real()->xSleep(real(), micros);
}
int current_time(sqlite3_vfs*, double* out) {
  return real()->xCurrentTime(real(), out);
}
int last_error(sqlite3_vfs*, int, char*) {
  return 0;
}

}  // namespace

PowerLossVfs::PowerLossVfs(PowerLossFiles& disk)
    : impl_(new Impl{.disk = disk,
                     .name = "power-loss-" + SystemRandom().hex(8),
                     .vfs = {},
                     .mutex = {},
                     .shared = {}}) {
  auto& vfs = impl_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(OpenFile);
  vfs.mxPathname = 512;
  vfs.zName = impl_->name.c_str();
  vfs.pAppData = impl_.get();
  vfs.xOpen = open_file;
  vfs.xDelete = delete_file;
  vfs.xAccess = access_file;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep_micros;
  vfs.xCurrentTime = current_time;
  vfs.xGetLastError = last_error;
  sqlite3_vfs_register(&vfs, 0);
}

PowerLossVfs::~PowerLossVfs() {
  sqlite3_vfs_unregister(&impl_->vfs);
}

const std::string& PowerLossVfs::name() const {
  return impl_->name;
}

}  // namespace strata::engines::power_loss
