#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "runtime/files.hpp"
#include "runtime/pool.hpp"
#include "runtime/random.hpp"
#include "storage/lake/blob_store.hpp"

namespace strata::engines::files {

using storage::lake::BlobRef;
using storage::lake::BlobSlice;
using storage::lake::BlobWriter;
using storage::lake::NewBlob;
using storage::lake::PackInfo;

// Blobs as files below one directory, which it owns:
//   packs/00000012.pack   small blobs, appended; one write and one fdatasync for all that wait
//   (group commit) files/a9/a98c...      one large blob each incoming/             what is being
//   written; emptied at start
// After a failed write or sync a pack takes no more blobs: what reached the disk is unknown, and
// the next group begins a new one. Threads: any. Works on the pool's threads, at most one of which
// appends; the pool and `files` outlive the store.
class FileBlobStore final : public storage::lake::BlobStore {
 public:
  FileBlobStore(Files& files, Random& random, BlockingPool& pool, std::string directory);
  // Waits for the appending thread.
  ~FileBlobStore() override;

  // Makes the directories and removes unfinished files. Blocks; call once before anything else.
  Status start();
  void set_pack_limit(std::uint64_t bytes) { pack_limit_ = bytes; }

  Task<Result<NewBlob>> put(std::string bytes, std::string owner) override;
  Result<std::unique_ptr<BlobWriter>> create() override;
  Result<BlobSlice> open(const BlobRef& ref) override;
  Status materialise(std::span<const BlobRef> refs, const std::string& target) override;
  void remove(const BlobRef& ref) override;
  Result<std::vector<PackInfo>> sealed_packs() override;
  Status scan(std::uint64_t pack, const Visit& visit) override;
  Status remove_pack(std::uint64_t pack) override;
  Result<std::size_t> sweep(const IsAlive& is_alive) override;

 protected:
  void settle(const BlobRef& ref, bool kept) override;

 private:
  class Writer;
  struct Append;
  struct AppendAwaiter;

  std::string pack_path(std::uint64_t number) const;
  std::string shard_path(std::uint64_t number) const;
  std::string file_path(std::uint64_t number) const;
  Status make_shard(std::uint64_t number);

  void submit(Append& append);
  void drain();
  Status write_group(const std::vector<Append*>& group);
  Status begin_pack();
  Result<std::shared_ptr<File>> open_pack(std::uint64_t number);

  Files& files_;
  Random& random_;
  BlockingPool& pool_;
  const std::string directory_;
  std::uint64_t pack_limit_ = 64ULL << 20;

  std::mutex mutex_;
  std::deque<Append*> queue_;
  bool draining_ = false;
  std::condition_variable drained_;
  std::uint64_t newest_pack_ = 0;
  std::map<std::uint64_t, std::shared_ptr<File>> open_packs_;
  std::map<std::uint64_t, std::size_t> new_in_pack_;  // blobs that no record names yet
  std::set<std::uint64_t> new_files_;
  std::set<std::uint64_t> shards_;

  // Of the appending thread alone.
  std::shared_ptr<File> pack_;
  std::uint64_t pack_size_ = 0;
};

}  // namespace strata::engines::files
