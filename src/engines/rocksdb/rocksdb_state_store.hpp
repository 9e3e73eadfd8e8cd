#pragma once

#include <memory>
#include <string>

#include "platform/streams/state_store.hpp"

namespace strata::engines::rocksdb {

// The states of feature keys in RocksDB, whose library is opened with the first of them. Blocks.
// Errors: kUnavailable without the library, kDataLoss for a damaged database.
Result<std::unique_ptr<platform::streams::StateStore>> open_state_store(const std::string& folder);

}  // namespace strata::engines::rocksdb
