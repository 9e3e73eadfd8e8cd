#pragma once

#include <atomic>

#include "platform/scoring/scoring.hpp"

namespace strata::platform::scoring {

// One job under way. Used by the coroutine that drives it; what others touch is atomic, a stop
// source, or never changes once it is in the map.
struct Scorings::Active {
  std::string id;
  kernel::Caller caller;
  Draft draft;
  deployment::ResolvedModel model;
  std::vector<ColumnInfo> columns;  // of the input, as it was looked at first
  Instant created;
  std::stop_source stop;
  std::atomic<bool> cancelled{false};  // by a person
  std::atomic<std::int64_t> rows{0}, total{-1};

  std::string folder;
  std::shared_ptr<const inference::OpenModel> opened;
  storage::warehouse::Warehouse* warehouse = nullptr;
  Plan plan;
  std::vector<storage::warehouse::LocalFile> files;  // the copy, and the parts of the predictions
  std::size_t parts = 0;
  std::vector<kernel::NodeRef> sources;
  std::string result;
  bool unsettled = false;  // whether the output was written is not known yet

  kernel::NodeRef node() const { return {"scoring", id, ""}; }
  std::string local_path(std::string_view name) const {
    return folder + std::string(name.substr(name.rfind('/')));
  }
};

}  // namespace strata::platform::scoring
