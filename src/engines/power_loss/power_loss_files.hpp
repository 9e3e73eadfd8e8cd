#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/files.hpp"

namespace strata::engines::power_loss {

// A test double of Files: a disk in memory whose process can be killed, or whose power can be cut,
// at any operation; after() is what the next process finds.
//
// It keeps what was written apart from what was synced, as POSIX promises no more:
//   content     a write or a change of length counts once its file was synced; until then a power
//               cut loses it, keeps it, or keeps its first bytes, each such change for itself, so a
//               later one may be there without an earlier one (zeros stand between);
//   names       a new, moved or removed name counts once its directory was synced; until then a cut
//               leaves any of the states that the name went through, each name for itself, also
//               when the content of its file was synced.
// A kill loses nothing, but does not sync either: what was unsynced is still at risk afterwards.
// After the cut the disk goes on to answer, in a world that nobody will see, so that the code under
// test ends as it likes; ask is_off() before believing its acknowledgements. Threads: any.
class PowerLossFiles final : public Files {
 public:
  enum class Cut : std::uint8_t { kPower, kKill };
  enum class Count : std::uint8_t { kAll, kNames };
  struct Node;

  // `seed` decides what a cut leaves.
  explicit PowerLossFiles(std::uint64_t seed);
  ~PowerLossFiles() override;

  // Cuts at the `operations`-th change or sync from now, or counting only changes of names: a
  // change may still happen, a sync does not.
  void cut_after(std::uint64_t operations, Cut how, Count what = Count::kAll);
  // Cuts now, unless it was cut before.
  void cut(Cut how);
  bool is_off() const { return off_; }
  // From now on, and after each cut, ignores syncs of files whose path, and of the names of
  // directories whose path and "/", ends with `what` or has it before a "/". To prove that a test
  // misses a sync.
  void lie_about(std::string what);
  // The disk as the next process finds it. Once, after a cut.
  std::unique_ptr<PowerLossFiles> after();

  // A file that is written anywhere, as a database does. Part of no port.
  class Pages : public File {
   public:
    virtual Status write_at(std::string_view bytes, std::uint64_t offset) = 0;
    virtual Status resize(std::uint64_t size) = 0;
  };
  // Creates the file when it is absent. An empty path is a file without a name.
  Result<std::unique_ptr<Pages>> open_pages(const std::string& path);

  Result<std::unique_ptr<File>> open(const std::string& path) override;
  Result<std::unique_ptr<File>> create(const std::string& path, unsigned mode = 0600) override;
  Result<std::unique_ptr<File>> append_to(const std::string& path) override;
  Status remove(const std::string& path) override;
  Status sync_names(const std::string& dir) override;
  Result<std::string> read_all(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& dir) override;
  bool exists(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;

 protected:
  Status rename(const std::string& from, const std::string& to) override;
  Status make_dir(const std::string& path) override;

 private:
  class Handle;
  PowerLossFiles(std::uint64_t seed, std::shared_ptr<Node> root);
  void count(bool of_names = false);
  bool syncs(const std::string& path);
  void cut_locked();
  std::shared_ptr<Node> find(const std::string& path) const;
  Result<std::shared_ptr<Node>> folder_of(const std::string& path) const;
  void name(Node& folder, const std::string& path, std::shared_ptr<Node> node);
  Result<std::shared_ptr<Node>> make_file(const std::string& path, bool may_exist);

  mutable std::mutex mutex_;
  const std::uint64_t seed_;
  std::shared_ptr<Node> root_;
  std::shared_ptr<Node> survivors_;
  std::uint64_t left_ = 0;  // operations until the cut
  Count counted_ = Count::kAll;
  Cut how_ = Cut::kPower;
  std::string lie_;
  std::atomic<bool> off_{false};
};

}  // namespace strata::engines::power_loss
