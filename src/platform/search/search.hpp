#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/records/records.hpp"
#include "wire/mlflow/mlflow_search.hpp"

namespace strata::platform::search {

// A statement with its arguments, built in reading order.
struct Sql {
  std::string text;
  kernel::SqlArgs args;
  void add(std::string_view more, kernel::SqlArgs values = {});
};

// Rows of keys and values that belong to an entity: its tags, params or latest metrics.
struct KeyedTable {
  std::string table;
  std::string
      on;  // how a row belongs to the entity, with the row under the name "kv": "kv.run_id = e.id"
};

// Where one kind of entity lies in the records; the entity's own row has the name "e".
struct Schema {
  wire::mlflow::Subject subject = wire::mlflow::Subject::kRuns;
  std::string from;                                            // "runs e"
  std::map<std::string, std::string, std::less<>> attributes;  // key -> expression over e
  std::map<wire::mlflow::Entity, KeyedTable> keyed;            // metrics with NaN stored as NULL
  std::map<std::string, KeyedTable, std::less<>> datasets;  // per dataset key; kv.value is compared
  std::vector<std::string> nullable;                        // attributes that may be NULL
  std::vector<std::pair<std::string, bool>>
      tie_breakers;  // attribute and whether descending; the last one is unique
};

// One page of a search: a filter, an order and where the page before ended. Pages are found by the
// last row's sort values, never by counting rows off, so a deep page costs what the first one does,
// and a row that comes or goes shifts no other.
//
// Missing values sort last in both directions and NaN just before them. Metrics compare as IEEE
// doubles: NaN differs from all.
class Query {
 public:
  // Errors: kInvalidArgument (filter, order_by, page_token that is damaged or belongs to another
  // query).
  static Result<Query> make(const Schema& schema, std::string_view filter,
                            const std::vector<std::string>& order_by, std::string_view page_token,
                            std::string_view scope);

  // More conditions over e, AND-ed.
  void where(std::string_view condition, kernel::SqlArgs args = {});
  // Drops the filter's clauses for which `taken` says true, so that the caller handles them by
  // where().
  void take_clauses(const std::function<bool(const wire::mlflow::Clause&)>& taken);
  // Sorts by the latest value under a narrower condition than the schema's, for dataset-scoped
  // metrics of models.
  void narrow_order(std::size_t term, std::string_view condition, kernel::SqlArgs args);

  struct Page {
    std::vector<kernel::Row> rows;  // the chosen columns
    std::string next_page_token;    // empty at the end
  };
  // Up to `limit` rows of `columns` (over e). Blocks on the database.
  Result<Page> run(kernel::Reader& reader, std::string_view columns, std::int64_t limit) const;

 private:
  struct SortKey {
    std::string expression;
    bool descending = false;
  };
  explicit Query(const Schema& schema) : schema_(&schema) {}
  void add_clause(Sql& sql, const wire::mlflow::Clause& clause) const;
  void add_keyed_clause(Sql& sql, const wire::mlflow::Clause& clause,
                        const KeyedTable& table) const;
  std::vector<SortKey> sort_keys(Sql& joins) const;
  void add_seek(Sql& sql, const std::vector<SortKey>& keys) const;
  Status read_token(std::string_view token);
  std::string make_token(const kernel::Row& last, std::size_t first_key, std::size_t count) const;

  const Schema* schema_;
  std::vector<wire::mlflow::Clause> clauses_;
  std::vector<wire::mlflow::OrderTerm> order_;
  std::map<std::size_t, Sql> narrowed_;
  Sql conditions_;
  std::string fingerprint_;
  kernel::SqlArgs after_;  // the last row's sort values; empty on the first page
};

// "?, ?, ?" for `count` arguments.
std::string placeholders(std::size_t count);

// Runs `sql` (with "{}" where the list belongs) for all `ids`, some hundred at a time, so that few
// distinct statements exist.
Result<kernel::Rows> query_in(kernel::Reader& reader, std::string_view sql,
                              const std::vector<std::string>& ids);

}  // namespace strata::platform::search
