#include "engines/rocksdb/rocksdb_state_store.hpp"

#include <limits>

#include <fmt/format.h>
#include <rocksdb/c.h>

#include "runtime/dynamic_library.hpp"

namespace strata::engines::rocksdb {

using platform::streams::StateStore;

namespace {

constexpr const char* kLibrary = "librocksdb.so.7.8";
constexpr std::size_t kWriteBuffer = std::size_t{16} << 20;

// The calls of RocksDB's C interface that are used here.
#define STRATA_ROCKSDB_CALLS(X)    \
  X(options_create)                \
  X(options_destroy)               \
  X(options_set_create_if_missing) \
  X(options_set_write_buffer_size) \
  X(options_set_keep_log_file_num) \
  X(options_set_max_open_files)    \
  X(open)                          \
  X(close)                         \
  X(writeoptions_create)           \
  X(writeoptions_destroy)          \
  X(writeoptions_disable_WAL)      \
  X(writebatch_create)             \
  X(writebatch_destroy)            \
  X(writebatch_put)                \
  X(writebatch_delete)             \
  X(write)                         \
  X(readoptions_create)            \
  X(readoptions_destroy)           \
  X(readoptions_set_snapshot)      \
  X(create_snapshot)               \
  X(release_snapshot)              \
  X(get)                           \
  X(free)                          \
  X(create_iterator)               \
  X(iter_destroy)                  \
  X(iter_seek)                     \
  X(iter_valid)                    \
  X(iter_next)                     \
  X(iter_key)                      \
  X(iter_value)                    \
  X(iter_get_error)                \
  X(flushoptions_create)           \
  X(flushoptions_destroy)          \
  X(flush)

struct Calls {
#define X(name) decltype(&rocksdb_##name) name = nullptr;
  STRATA_ROCKSDB_CALLS(X)
#undef X
};

Result<const Calls*> load_calls() {
  static const Result<Calls> loaded = []() -> Result<Calls> {
    const auto library = DynamicLibrary::open(kLibrary);
    if (!library) {
      return Error(Code::kUnavailable,
                   fmt::format("RocksDB is not installed, which keeps online features: install "
                               "Debian's librocksdb7.8 ({})",
                               library.error().message));
    }
    Calls calls;
#define X(name)                                                                              \
  calls.name =                                                                               \
      library->function<std::remove_pointer_t<decltype(&rocksdb_##name)>>("rocksdb_" #name); \
  if (calls.name == nullptr)                                                                 \
    return Error(Code::kUnavailable, fmt::format("{} has no rocksdb_{}", kLibrary, #name));
    STRATA_ROCKSDB_CALLS(X)
#undef X
    return calls;
  }();
  if (!loaded) return loaded.error();
  return &*loaded;
}

class RocksDbStateStore final : public StateStore {
 public:
  RocksDbStateStore(const Calls& calls, rocksdb_t* database)
      : calls_(calls),
        database_(database),
        write_options_(calls.writeoptions_create()) {
    // The log of features is the journal; a second one would only cost.
    calls_.writeoptions_disable_WAL(write_options_, 1);
  }
  RocksDbStateStore(const RocksDbStateStore&) = delete;
  ~RocksDbStateStore() override {
    calls_.writeoptions_destroy(write_options_);
    calls_.close(database_);
  }

  Result<std::vector<std::optional<std::string>>> get(
      const std::vector<std::string>& keys) override {
    return get(Reading(*this), keys);
  }

  Result<Found> read(const std::vector<std::string>& keys, const std::vector<Range>& ranges,
                     std::size_t limit) override {
    const Reading reading(*this);
    Found out;
    auto values = get(reading, keys);
    if (!values) return std::move(values).error();
    out.values = *std::move(values);
    for (const auto& range : ranges) {
      auto found =
          walk(reading, range.from, limit, [&](std::string_view key) { return key < range.to; });
      if (!found) return std::move(found).error();
      limit -= found->size();
      out.ranges.push_back(*std::move(found));
    }
    return out;
  }

  Result<Pairs> scan(std::string_view prefix) override {
    return walk(Reading(*this), prefix, std::numeric_limits<std::size_t>::max(),
                [&](std::string_view key) { return key.starts_with(prefix); });
  }

  Status write(const Pairs& values) override {
    rocksdb_writebatch_t* const batch = calls_.writebatch_create();
    for (const auto& [key, value] : values)
      calls_.writebatch_put(batch, key.data(), key.size(), value.data(), value.size());
    return write(batch);
  }

  Status remove(const std::vector<std::string>& keys) override {
    rocksdb_writebatch_t* const batch = calls_.writebatch_create();
    for (const auto& key : keys)
      calls_.writebatch_delete(batch, key.data(), key.size());
    return write(batch);
  }

  Status flush() override {
    rocksdb_flushoptions_t* const options = calls_.flushoptions_create();
    char* fault = nullptr;
    calls_.flush(database_, options, &fault);
    calls_.flushoptions_destroy(options);
    return outcome(fault, "flush");
  }

 private:
  // Reads as of one moment.
  struct Reading {
    explicit Reading(const RocksDbStateStore& of)
        : store(of),
          options(of.calls_.readoptions_create()),
          snapshot(of.calls_.create_snapshot(of.database_)) {
      store.calls_.readoptions_set_snapshot(options, snapshot);
    }
    Reading(const Reading&) = delete;
    ~Reading() {
      store.calls_.readoptions_destroy(options);
      store.calls_.release_snapshot(store.database_, snapshot);
    }
    const RocksDbStateStore& store;
    rocksdb_readoptions_t* options;
    const rocksdb_snapshot_t* snapshot;
  };

  Result<std::vector<std::optional<std::string>>> get(const Reading& reading,
                                                      const std::vector<std::string>& keys) const {
    std::vector<std::optional<std::string>> out;
    for (const auto& key : keys) {
      char* fault = nullptr;
      std::size_t size = 0;
      char* const value =
          calls_.get(database_, reading.options, key.data(), key.size(), &size, &fault);
      STRATA_TRY(outcome(fault, "read"));
      if (value == nullptr) {
        out.emplace_back();
        continue;
      }
      out.emplace_back(std::string(value, size));
      calls_.free(value);
    }
    return out;
  }

  // What stands from `from` on, as long as `inside`.
  template <class Inside>
  Result<Pairs> walk(const Reading& reading, std::string_view from, std::size_t limit,
                     Inside inside) const {
    rocksdb_iterator_t* const at = calls_.create_iterator(database_, reading.options);
    Pairs out;
    for (calls_.iter_seek(at, from.data(), from.size());
         out.size() < limit && calls_.iter_valid(at) != 0; calls_.iter_next(at)) {
      std::size_t key_size = 0;
      std::size_t value_size = 0;
      const char* const key = calls_.iter_key(at, &key_size);
      const char* const value = calls_.iter_value(at, &value_size);
      if (!inside(std::string_view(key, key_size))) break;
      out.emplace_back(std::string(key, key_size), std::string(value, value_size));
    }
    char* fault = nullptr;
    calls_.iter_get_error(at, &fault);
    calls_.iter_destroy(at);
    STRATA_TRY(outcome(fault, "read"));
    return out;
  }

  Status write(rocksdb_writebatch_t* batch) {
    char* fault = nullptr;
    calls_.write(database_, write_options_, batch, &fault);
    calls_.writebatch_destroy(batch);
    return outcome(fault, "write");
  }

  Status outcome(char* fault, std::string_view what) const {
    if (fault == nullptr) return {};
    Error error(Code::kDataLoss, fmt::format("RocksDB cannot {}: {}", what, fault));
    calls_.free(fault);
    return error;
  }

  const Calls& calls_;
  rocksdb_t* database_;
  rocksdb_writeoptions_t* write_options_;
};

}  // namespace

Result<std::unique_ptr<StateStore>> open_state_store(const std::string& folder) {
  const auto calls = load_calls();
  if (!calls) return calls.error();
  const Calls& rocksdb = **calls;
  rocksdb_options_t* const options = rocksdb.options_create();
  rocksdb.options_set_create_if_missing(options, 1);
  rocksdb.options_set_write_buffer_size(options, kWriteBuffer);
  rocksdb.options_set_keep_log_file_num(options, 2);
  rocksdb.options_set_max_open_files(options, 256);
  char* fault = nullptr;
  rocksdb_t* const database = rocksdb.open(options, folder.c_str(), &fault);
  rocksdb.options_destroy(options);
  if (fault != nullptr) {
    Error error(Code::kDataLoss,
                fmt::format("RocksDB cannot open {}: {}; the folder can be removed, since it is "
                            "made again from the log",
                            folder, fault));
    rocksdb.free(fault);
    return error;
  }
  return std::unique_ptr<StateStore>(std::make_unique<RocksDbStateStore>(rocksdb, database));
}

}  // namespace strata::engines::rocksdb
