#pragma once

// For tests: a store whose newest writes a test can take away, as a crash would.

#include <map>
#include <mutex>

#include "platform/streams/state_store.hpp"

namespace strata::platform::streams {

// What several stores, one after the other, have in common: what is flushed.
struct MemoryDisk {
  std::map<std::string, std::string> kept;
};

class MemoryStateStore final : public StateStore {
 public:
  explicit MemoryStateStore(std::shared_ptr<MemoryDisk> disk)
      : disk_(std::move(disk)),
        values_(disk_->kept) {}

  Result<std::vector<std::optional<std::string>>> get(
      const std::vector<std::string>& keys) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::optional<std::string>> out;
    for (const auto& key : keys) {
      const auto at = values_.find(key);
      out.push_back(at == values_.end() ? std::nullopt : std::optional(at->second));
    }
    return out;
  }
  Result<Pairs> scan(std::string_view prefix) override {
    const std::lock_guard lock(mutex_);
    Pairs out;
    for (auto at = values_.lower_bound(std::string(prefix));
         at != values_.end() && at->first.starts_with(prefix); ++at)
      out.emplace_back(*at);
    return out;
  }
  Result<Found> read(const std::vector<std::string>& keys, const std::vector<Range>& ranges,
                     std::size_t limit) override {
    Found out;
    auto values = get(keys);
    if (!values) return std::move(values).error();
    out.values = *std::move(values);
    const std::lock_guard lock(mutex_);
    for (const auto& range : ranges) {
      auto& found = out.ranges.emplace_back();
      for (auto at = values_.lower_bound(range.from);
           at != values_.end() && at->first < range.to && limit > 0; ++at, --limit)
        found.emplace_back(*at);
    }
    return out;
  }
  Status remove(const std::vector<std::string>& keys) override {
    const std::lock_guard lock(mutex_);
    for (const auto& key : keys)
      values_.erase(key);
    return {};
  }
  Status write(const Pairs& values) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, value] : values)
      values_.insert_or_assign(key, value);
    return {};
  }
  Status flush() override {
    const std::lock_guard lock(mutex_);
    disk_->kept = values_;
    return {};
  }

 private:
  std::shared_ptr<MemoryDisk> disk_;
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
};

}  // namespace strata::platform::streams
