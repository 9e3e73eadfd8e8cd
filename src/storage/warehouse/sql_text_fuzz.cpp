#include "storage/warehouse/sql_text.hpp"

#include <cstddef>
#include <cstdint>

// Any script: tokens and statements stand in order within it, and a place in it has a line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace strata::storage::warehouse;
  const std::string_view script(reinterpret_cast<const char*>(data), size);
  std::size_t at = 0;
  if (const auto tokens = tokenize_sql(script)) {
    for (const auto& token : *tokens) {
      if (token.begin < at || token.end <= token.begin || token.end > size) __builtin_trap();
      at = token.end;
    }
  }
  const auto statements = analyse_sql(script);
  if (!statements) return 0;
  at = 0;
  for (const auto& statement : *statements) {
    if (statement.begin < at || statement.end < statement.begin || statement.end > size)
      __builtin_trap();
    at = statement.end;
    std::vector<RewrittenSql::Change> changes;
    for (const auto& path : statement.reads) {
      if (path.begin < statement.begin || path.end > statement.end) __builtin_trap();
      changes.push_back({path.begin, path.end, quote_sql_text(path.key)});
      static_cast<void>(matches_pattern(path.key, "a/b/c.csv"));
    }
    std::ranges::sort(changes, {}, &RewrittenSql::Change::begin);
    const RewrittenSql rewritten(script, statement.begin, statement.end, changes);
    for (std::size_t i = 0; i <= rewritten.text().size(); ++i) {
      if (rewritten.original(i) > size) __builtin_trap();
    }
  }
  static_cast<void>(line_and_column(script, size / 2));
  return 0;
}
