#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "runtime/files.hpp"
#include "storage/warehouse/sql_text.hpp"
#include "storage/warehouse/table_records.hpp"
#include "storage/warehouse/warehouse.hpp"

namespace strata::storage::warehouse {

// One query from its admission to its last byte. Used by one coroutine; what others touch is atomic
// or behind the mutex.
struct Warehouse::Run {
  struct Output {
    std::size_t statement = 0;
    LakePath target;
    std::string path;  // relative to the data directory; a file or a folder
  };

  kernel::Caller caller;
  QueryRequest request;
  QueryInfo info;
  std::chrono::steady_clock::time_point began;
  std::vector<Statement> statements;
  std::vector<RewrittenSql> texts;  // as the engine gets them
  bool changes = false;
  bool admitted = false;
  bool sent = false;                  // to the engine
  bool answered = false;              // by the engine, with all that was committed
  std::string folder;                 // of this query alone, relative to the data directory
  std::vector<StatementFacts> facts;  // of each statement
  std::vector<Output> outputs;
  std::vector<std::pair<std::string, std::string>> shown;  // path of ours -> what the user wrote
  // Objects whose keys cannot be paths: what the engine reads them as -> how the user knows them.
  std::vector<std::pair<std::string, std::string>> renamed;
  wire::sql_engine::Head head;
  wire::sql_engine::Done done;  // of a failed query only the effects
  std::string buffer;
  std::unique_ptr<ByteSource> file;  // a Parquet answer
  bool finished = false;

  std::atomic<double> progress{-1};
  std::atomic<bool> is_running{false};  // false while it waits for a slot
  std::atomic<bool> stopped{false};     // by whom, below
  std::atomic<Code> stopped_by{Code::kCancelled};
  std::shared_ptr<Loop::Timer> timer;
  std::mutex mutex;  // guards `session` against a cancel from elsewhere
  std::optional<EngineHost::Session> session;

  const Statement& last() const { return statements.back(); }
  // The file of the request's own that a statement names so, or null.
  const LocalFile* local_file(const LakePath& path) const;
  QueryFacts told() const;
  // The text with our paths turned back into what the user wrote.
  std::string clean(std::string text, const std::string& data) const;
};

// A file's bytes, read on the pool.
std::unique_ptr<ByteSource> file_source(std::unique_ptr<File> file, BlockingPool& pool);
// Removes a folder with all that is in it. Blocks.
Status remove_folder(const std::string& path);

}  // namespace strata::storage::warehouse
