#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_set>

#include "kernel/lineage/lineage.hpp"

namespace strata::storage::lake {

// Which versions of objects each task is known to have read or written, so that a task which reads
// an object range by range reports it once. What is forgotten is reported again, which changes
// nothing. From any thread. Private to the room.
class TaskUses {
 public:
  static constexpr std::size_t kMax = 50'000;  // some 10 MB

  bool has(const std::string& task, const kernel::NodeRef& object) {
    const std::scoped_lock lock(mutex_);
    return known_.contains(key(task, object));
  }
  void add(const std::string& task, const kernel::NodeRef& object) {
    const std::scoped_lock lock(mutex_);
    if (known_.size() >= kMax) known_.clear();
    known_.insert(key(task, object));
  }

 private:
  static std::string key(const std::string& task, const kernel::NodeRef& object) {
    return task + '\n' + object.version + '\n' + object.name;
  }
  std::mutex mutex_;
  std::unordered_set<std::string> known_;
};

}  // namespace strata::storage::lake
