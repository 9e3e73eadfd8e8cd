#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engines/duckdb/commits.hpp"
#include "engines/duckdb/library.hpp"
#include "wire/sql_engine.hpp"

namespace strata::engines::duckdb {

// How the engine's process is set up; all paths but `library` are relative to `data`, so that no
// message of the engine can show where the data directory is.
struct EngineOptions {
  std::string data;                  // the server's data directory; becomes the working directory
  std::string library;               // libduckdb.so
  std::string folder = "warehouse";  // of the database, below `data`
  std::string spool;  // folder with a name nobody can guess: the only files that SQL may reach, and
                      // spill files
  std::vector<std::string> view_folders;  // where system views read
  std::int64_t memory_mb = 1024;
  int threads = 2;
};

// The database of the warehouse, opened and locked down. Threads: each connection is for one thread
// at a time.
class Engine {
 public:
  // Blocks. Errors: kNotFound (library), kUnavailable (another process holds the database),
  // kDataLoss.
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  ~Engine();

  const Library& library() const { return *library_; }
  // A connection whose default catalog is the warehouse.
  Result<Connection> connect() const;
  // Runs one statement for its effect.
  Status run(const Connection& connection, const std::string& sql) const;
  // All cells of a small result, as text; NULL is "".
  Result<std::vector<std::vector<std::string>>> rows(const Connection& connection,
                                                     const std::string& sql) const;

  // rows() of one connection, which must outlive it.
  Commits::Ask ask(const Connection& connection) const;
  Commits& commits() { return commits_; }
  const Commits& commits() const { return commits_; }

  // All tables and views of users, without exact row counts.
  Result<std::vector<wire::sql_engine::TableFacts>> catalog(const Connection& connection) const;
  // Schema, name and kind of the tables and views that fit `condition`, " AND ..." or nothing.
  Result<std::vector<wire::sql_engine::TableFacts>> names(const Connection& connection,
                                                          const std::string& condition) const;
  Result<std::optional<wire::sql_engine::TableFacts>> find(const Connection& connection,
                                                           const std::string& schema,
                                                           const std::string& name) const;
  // A digest of what users have defined: schemas, tables, views, macros, types, sequences, indexes.
  Result<std::string> definitions(const Connection& connection) const;
  // All of one table, its rows counted.
  Result<wire::sql_engine::TableFacts> facts(const Connection& connection,
                                             const std::string& schema,
                                             const std::string& name) const;
  // Makes the view show the files that are there now, to the connections that allow() lets read
  // it. Any other fails with its refusal where it comes to the view, by whatever other views and
  // macros: the view takes its files from a variable of the connection, which only allow() sets.
  // Does nothing for a script that cannot come to the view. Errors: a file cannot be read.
  Status refresh(const wire::sql_engine::SystemView& view);
  Status allow(const Connection& connection, const wire::sql_engine::SystemView& view) const;
  // Writes the log into the database file.
  Status checkpoint();

  // What this process was given, and what it holds. The engine bounds what it keeps; a value or
  // list under construction is beyond its books.
  std::int64_t memory_mb() const { return memory_mb_; }
  static std::int64_t resident_mb();

  // Processor time, shared out evenly among the queries that run at the same time.
  class Meter {
   public:
    int begin();            // a query starts; its number
    double end(int query);  // its milliseconds
   private:
    void settle();
    std::mutex mutex_;
    std::map<int, double> running_;
    double seen_ = 0;
    int next_ = 0;
  };
  Meter& meter() { return meter_; }

 private:
  explicit Engine(std::unique_ptr<const Library> library) : library_(std::move(library)) {}
  Status configure(const EngineOptions& options);
  Status drop_system_views(const Connection& connection) const;
  Result<bool> is_defined_over(const Connection& connection,
                               const wire::sql_engine::SystemView& view) const;

  std::unique_ptr<const Library> library_;
  duckdb_database database_ = nullptr;
  Commits commits_;
  std::mutex views_;
  struct ViewState {
    std::optional<std::vector<std::string>> made;    // the files that it was made for
    std::optional<std::vector<std::string>> looked;  // for which all are served that name it not
  };
  std::map<std::string, ViewState> view_states_;
  Meter meter_;
  std::int64_t memory_mb_ = 0;
};

// 'text' with its quotes doubled.
std::string quote_text(std::string_view value);
// The name of a table of the warehouse, as SQL has it.
std::string table_name(std::string_view schema, std::string_view table);

// The engine's message of an error without its excerpt of the statement, and the byte of `sql` at
// which it points.
struct EngineMessage {
  std::string text;
  std::int64_t at = -1;
};
EngineMessage read_message(std::string_view message, std::string_view sql);

}  // namespace strata::engines::duckdb
