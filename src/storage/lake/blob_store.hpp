#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/files.hpp"
#include "runtime/task.hpp"

namespace strata::storage::lake {

// Names one stored run of bytes; never reused for other bytes. Small blobs share a numbered pack,
// large ones have a file.
struct BlobRef {
  std::uint64_t pack = 0;   // 0: a file of its own
  std::uint64_t place = 0;  // the payload's offset in the pack, or the file's number
  std::uint64_t size = 0;
  bool packed() const { return pack != 0; }
  auto operator<=>(const BlobRef&) const = default;
};

// The text form that records keep: "p12:4096:500,f00ab54a98ceb1f0a:1048576".
std::string encode_refs(std::span<const BlobRef> refs);
// Errors: kDataLoss, since only encode_refs() writes such text.
Result<std::vector<BlobRef>> decode_refs(std::string_view text);

// Bytes of an open file; the file stays readable for as long as the slice lives, even when the blob
// is removed meanwhile.
struct BlobSlice {
  std::shared_ptr<File> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

class BlobStore;

// A blob that is durable but that no record names yet. Destroyed without keep(), its bytes are
// given back.
class NewBlob {
 public:
  NewBlob(BlobStore& store, BlobRef ref) : store_(&store), ref_(ref) {}
  NewBlob(NewBlob&& other) noexcept
      : store_(std::exchange(other.store_, nullptr)),
        ref_(other.ref_) {}
  NewBlob& operator=(NewBlob&&) = delete;
  ~NewBlob();

  const BlobRef& ref() const { return ref_; }
  // A committed record names the blob from now on.
  void keep();

 private:
  BlobStore* store_;
  BlobRef ref_;
};

// A blob on its way in, of any size. Destroyed unfinished, nothing stays. One owner; all calls
// block.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual Status append(std::string_view bytes) = 0;
  // Content and name are durable when this returns. Errors: kNoSpace and what the file system
  // reports.
  virtual Result<NewBlob> finish() = 0;
};

struct PackInfo {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;  // size of the pack, dead bytes included
};

// The port to where object bytes lie. It knows no names: what is alive is decided by the records of
// its one user.
class BlobStore {
 public:
  // What put() takes; larger blobs go through create().
  static constexpr std::size_t kMaxPacked = 128 * 1024;

  virtual ~BlobStore() = default;

  // Stores a small blob, sharing one write and one sync with all others that wait. Durable when it
  // returns. `owner` is handed back by scan(). Errors: kNoSpace and what the file system reports.
  virtual Task<Result<NewBlob>> put(std::string bytes, std::string owner) = 0;
  virtual Result<std::unique_ptr<BlobWriter>> create() = 0;  // blocks

  // Errors: kNotFound when the blob was removed. Blocks for an open().
  virtual Result<BlobSlice> open(const BlobRef& ref) = 0;
  // Makes the blobs, one behind the other, the content of the new file `target`: a hard link when
  // there is one file, else a copy. Errors: kNotFound when one was removed, kAlreadyExists. Blocks.
  virtual Status materialise(std::span<const BlobRef> refs, const std::string& target) = 0;
  // Gives a file's bytes back soon; those of a pack stay until the pack goes. Never blocks.
  virtual void remove(const BlobRef& ref) = 0;

  // Packs that take no more blobs and hold none that is still new. Blocks.
  virtual Result<std::vector<PackInfo>> sealed_packs() = 0;
  using Visit = std::function<Status(const BlobRef& ref, std::string_view owner)>;
  // Calls `visit` for each whole blob of the pack, dead ones too, skipping what a crash left torn.
  // Blocks.
  virtual Status scan(std::uint64_t pack, const Visit& visit) = 0;
  virtual Status remove_pack(std::uint64_t pack) = 0;  // blocks

  // Removes the files of blobs that are neither new nor alive: what a crash between storing and
  // committing left. Safe at any time beside writers. The number removed. Blocks.
  using IsAlive = std::function<Result<bool>(const BlobRef& ref)>;
  virtual Result<std::size_t> sweep(const IsAlive& is_alive) = 0;

 protected:
  friend class NewBlob;
  // A new blob has been named by a record (kept) or abandoned.
  virtual void settle(const BlobRef& ref, bool kept) = 0;
};

inline NewBlob::~NewBlob() {
  if (store_ != nullptr) store_->settle(ref_, false);
}
inline void NewBlob::keep() {
  if (store_ != nullptr) std::exchange(store_, nullptr)->settle(ref_, true);
}

}  // namespace strata::storage::lake
