#include "wire/sql_engine.hpp"

namespace strata::wire::sql_engine {

namespace {

template <class F>
void each(const Json& list, F f) {
  if (!list.is_array()) return;
  for (const auto& item : list.as_array())
    f(item);
}

Json texts(const std::vector<std::string>& items) {
  Json out = Json::array();
  for (const auto& item : items)
    out.push(item);
  return out;
}

std::vector<std::string> texts_from(const Json& json) {
  std::vector<std::string> out;
  each(json, [&](const Json& item) {
    if (item.is_string()) out.push_back(item.as_string());
  });
  return out;
}

Json to_json(const TableFacts& table) {
  return Json::object({{"schema", table.schema},
                       {"name", table.name},
                       {"kind", table.kind},
                       {"exists", table.exists},
                       {"rows", table.rows},
                       {"columns", to_json(table.columns)},
                       {"version", table.version}});
}

TableFacts facts_from(const Json& table) {
  return {table.text("schema"),          table.text("name"),        table.text("kind", "table"),
          table.boolean("exists", true), table.integer("rows", -1), columns_from(table["columns"]),
          table.integer("version")};
}

Json to_json(const TableVersion& table) {
  return Json::object({{"schema", table.schema}, {"name", table.name}, {"version", table.version}});
}

TableVersion version_from(const Json& table) {
  return {table.text("schema"), table.text("name"), table.integer("version")};
}

Json to_json(const TableChange& change) {
  return Json::object({{"schema", change.schema},
                       {"name", change.name},
                       {"keeps", change.keeps},
                       {"formerly", change.formerly}});
}

Json to_json(const StatementEffect& effect);

Json to_json(const StatementEffect::Write& write) {
  Json out = Json::object({{"table", to_json(write.table)}});
  if (write.from) out.set("from", to_json(*write.from));
  return out;
}

template <class T>
Json list_of(const std::vector<T>& items) {
  Json out = Json::array();
  for (const auto& item : items)
    out.push(to_json(item));
  return out;
}

Json to_json(const StatementEffect& effect) {
  return Json::object({{"statement", effect.statement},
                       {"reads", list_of(effect.reads)},
                       {"writes", list_of(effect.writes)}});
}

std::vector<StatementEffect> effects_from(const Json& json) {
  std::vector<StatementEffect> out;
  each(json, [&](const Json& item) {
    StatementEffect effect;
    effect.statement = static_cast<int>(item.integer("statement"));
    each(item["reads"], [&](const Json& read) { effect.reads.push_back(version_from(read)); });
    each(item["writes"], [&](const Json& write) {
      effect.writes.push_back({facts_from(write["table"]), std::nullopt});
      if (write["from"].is_object()) effect.writes.back().from = version_from(write["from"]);
    });
    out.push_back(std::move(effect));
  });
  return out;
}

}  // namespace

std::string_view format_name(Format format) {
  switch (format) {
    case Format::kJson:
      return "json";
    case Format::kCsv:
      return "csv";
    case Format::kArrow:
      return "arrow";
    case Format::kParquet:
      return "parquet";
  }
  return "json";
}

Json to_json(const std::vector<ColumnInfo>& columns) {
  Json out = Json::array();
  for (const auto& column : columns)
    out.push(Json::object({{"name", column.name}, {"type", column.type}}));
  return out;
}

std::vector<ColumnInfo> columns_from(const Json& json) {
  std::vector<ColumnInfo> out;
  each(json,
       [&](const Json& column) { out.push_back({column.text("name"), column.text("type")}); });
  return out;
}

std::string encode(const RunRequest& request) {
  Json statements = Json::array();
  for (const auto& statement : request.statements) {
    statements.push(Json::object({{"sql", statement.sql},
                                  {"changes", statement.changes},
                                  {"returns_rows", statement.returns_rows},
                                  {"transaction", statement.transaction},
                                  {"drops", statement.drops},
                                  {"conditional", statement.conditional},
                                  {"writes", list_of(statement.writes)},
                                  {"note", statement.note}}));
  }
  Json views = Json::array();
  for (const auto& view : request.views) {
    views.push(Json::object({{"name", view.name},
                             {"files", texts(view.files)},
                             {"columns", to_json(view.columns)},
                             {"named", view.named},
                             {"readable", view.readable},
                             {"refusal", view.refusal}}));
  }
  return Json::object({{"query", request.query},
                       {"note", request.note},
                       {"recorded", texts(request.recorded)},
                       {"statements", std::move(statements)},
                       {"params", request.params},
                       {"format", static_cast<int>(request.format)},
                       {"limit", request.limit},
                       {"result_file", request.result_file},
                       {"views", std::move(views)}})
      .dump();
}

Result<RunRequest> decode_run(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  RunRequest out;
  out.query = json->text("query");
  out.note = json->text("note");
  out.recorded = texts_from((*json)["recorded"]);
  each((*json)["statements"], [&](const Json& statement) {
    RunStatement made{statement.text("sql"),
                      statement.boolean("changes"),
                      statement.boolean("returns_rows"),
                      statement.boolean("transaction"),
                      statement.boolean("drops"),
                      statement.boolean("conditional"),
                      {},
                      statement.text("note")};
    each(statement["writes"], [&](const Json& change) {
      made.writes.push_back({change.text("schema"), change.text("name"), change.boolean("keeps"),
                             change.text("formerly")});
    });
    out.statements.push_back(std::move(made));
  });
  out.params = (*json)["params"];
  out.format = static_cast<Format>(json->integer("format"));
  out.limit = static_cast<std::uint64_t>(std::max<std::int64_t>(json->integer("limit"), 0));
  out.result_file = json->text("result_file");
  each((*json)["views"], [&](const Json& view) {
    out.views.push_back({view.text("name"), texts_from(view["files"]),
                         columns_from(view["columns"]), view.boolean("named"),
                         view.boolean("readable"), view.text("refusal")});
  });
  return out;
}

std::string encode(const Head& head) {
  return to_json(head.columns).dump();
}

Result<Head> decode_head(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return Head{columns_from(*json)};
}

std::string encode(const Done& done) {
  return Json::object({{"rows", done.rows},
                       {"truncated", done.truncated},
                       {"cpu_ms", done.cpu_ms},
                       {"effects", list_of(done.effects)}})
      .dump();
}

Result<Done> decode_done(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return Done{json->integer("rows"), json->boolean("truncated"), json->number("cpu_ms"),
              effects_from((*json)["effects"])};
}

std::string encode(const Failure& failure) {
  return Json::object({{"message", failure.message},
                       {"kind", failure.kind},
                       {"statement", failure.statement},
                       {"at", failure.at},
                       {"recycle", failure.recycle},
                       {"effects", list_of(failure.effects)}})
      .dump();
}

Result<Failure> decode_failure(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return Failure{json->text("message"),
                 json->text("kind"),
                 static_cast<int>(json->integer("statement")),
                 json->integer("at", -1),
                 json->boolean("recycle"),
                 effects_from((*json)["effects"])};
}

std::string encode(const CommitRecord& record) {
  return Json::object({{"query", record.query},
                       {"note", record.note},
                       {"last", record.last},
                       {"committed", record.committed.micros},
                       {"effects", list_of(record.effects)},
                       {"notes", texts(record.notes)}})
      .dump();
}

Result<CommitRecord> decode_commit_record(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return CommitRecord{json->text("query"),
                      json->text("note"),
                      json->boolean("last"),
                      Instant{json->integer("committed")},
                      effects_from((*json)["effects"]),
                      texts_from((*json)["notes"])};
}

std::string encode(const std::vector<TableFacts>& tables) {
  return list_of(tables).dump();
}

Result<std::vector<TableFacts>> decode_tables(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  std::vector<TableFacts> out;
  each(*json, [&](const Json& table) { out.push_back(facts_from(table)); });
  return out;
}

std::string encode(const std::vector<TableVersion>& versions) {
  return list_of(versions).dump();
}

Result<std::vector<TableVersion>> decode_versions(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  std::vector<TableVersion> out;
  each(*json, [&](const Json& version) { out.push_back(version_from(version)); });
  return out;
}

}  // namespace strata::wire::sql_engine
