#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace strata::platform::streams {

// The port to where the states of keys are kept: an ordered map of bytes that may forget its newest
// writes when the process dies, but only the newest: what is there after a crash is what was there
// after one of the writes. All calls block; any thread may read, one writes.
class StateStore {
 public:
  virtual ~StateStore() = default;
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  // The values of all keys as of one moment.
  virtual Result<std::vector<std::optional<std::string>>> get(
      const std::vector<std::string>& keys) = 0;
  // All that begins with `prefix`, in order of the bytes.
  virtual Result<Pairs> scan(std::string_view prefix) = 0;
  // From `from` up to and without `to`, in order of the bytes.
  struct Range {
    std::string from, to;
  };
  struct Found {
    std::vector<std::optional<std::string>> values;  // by key
    std::vector<Pairs> ranges;                       // in order
  };
  // Keys and ranges as of one moment, of these the first `limit` pairs together.
  virtual Result<Found> read(const std::vector<std::string>& keys, const std::vector<Range>& ranges,
                             std::size_t limit) = 0;
  virtual Status remove(const std::vector<std::string>& keys) = 0;
  // All of it or nothing.
  virtual Status write(const Pairs& values) = 0;
  // What was written survives a crash once this returns.
  virtual Status flush() = 0;
};

// Opens the store in a folder, which is made when it is not there.
using OpenStateStore = std::function<Result<std::unique_ptr<StateStore>>(const std::string&)>;

}  // namespace strata::platform::streams
