#include "wire/sql_engine.hpp"

namespace strata::wire::sql_engine {

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Json to_json(const Pairs& pairs) {
  Json out = Json::array();
  for (const auto& [first, second] : pairs)
    out.push(Json(Json::Array{first, second}));
  return out;
}

std::string text_at(const Json& row, std::size_t i) {
  if (!row.is_array() || row.size() <= i || !row.as_array()[i].is_string()) return "";
  return row.as_array()[i].as_string();
}

template <class F>
void each(const Json& list, F f) {
  if (!list.is_array()) return;
  for (const auto& item : list.as_array())
    f(item);
}

Pairs pairs_from(const Json& json) {
  Pairs out;
  each(json, [&](const Json& row) { out.emplace_back(text_at(row, 0), text_at(row, 1)); });
  return out;
}

Json to_json(const std::vector<TableFacts>& tables) {
  Json out = Json::array();
  for (const auto& table : tables) {
    out.push(Json::object({{"schema", table.schema},
                           {"name", table.name},
                           {"kind", table.kind},
                           {"exists", table.exists},
                           {"rows", table.rows},
                           {"columns", to_json(table.columns)}}));
  }
  return out;
}

std::vector<TableFacts> tables_from(const Json& json) {
  std::vector<TableFacts> out;
  each(json, [&](const Json& table) {
    out.push_back({table.text("schema"), table.text("name"), table.text("kind", "table"),
                   table.boolean("exists", true), table.integer("rows", -1),
                   columns_from(table["columns"])});
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
                                  {"transaction", statement.transaction}}));
  }
  Json views = Json::array();
  for (const auto& view : request.views) {
    Json files = Json::array();
    for (const auto& file : view.files)
      files.push(file);
    views.push(Json::object(
        {{"name", view.name}, {"files", std::move(files)}, {"columns", to_json(view.columns)}}));
  }
  return Json::object({{"statements", std::move(statements)},
                       {"params", request.params},
                       {"format", static_cast<int>(request.format)},
                       {"limit", request.limit},
                       {"result_file", request.result_file},
                       {"writes", to_json(request.writes)},
                       {"defines", request.defines},
                       {"views", std::move(views)}})
      .dump();
}

Result<RunRequest> decode_run(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  RunRequest out;
  each((*json)["statements"], [&](const Json& statement) {
    out.statements.push_back({statement.text("sql"), statement.boolean("changes"),
                              statement.boolean("returns_rows"), statement.boolean("transaction")});
  });
  out.params = (*json)["params"];
  out.format = static_cast<Format>(json->integer("format"));
  out.limit = static_cast<std::uint64_t>(std::max<std::int64_t>(json->integer("limit"), 0));
  out.result_file = json->text("result_file");
  out.writes = pairs_from((*json)["writes"]);
  out.defines = json->boolean("defines");
  each((*json)["views"], [&](const Json& view) {
    SystemView made{view.text("name"), {}, columns_from(view["columns"])};
    each(view["files"], [&](const Json& file) {
      if (file.is_string()) made.files.push_back(file.as_string());
    });
    out.views.push_back(std::move(made));
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
                       {"reads", to_json(done.reads)},
                       {"writes", to_json(done.writes)},
                       {"has_catalog", done.has_catalog},
                       {"catalog", to_json(done.catalog)}})
      .dump();
}

Result<Done> decode_done(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return Done{json->integer("rows"),          json->boolean("truncated"),
              json->number("cpu_ms"),         pairs_from((*json)["reads"]),
              tables_from((*json)["writes"]), json->boolean("has_catalog"),
              tables_from((*json)["catalog"])};
}

std::string encode(const Failure& failure) {
  return Json::object({{"message", failure.message},
                       {"kind", failure.kind},
                       {"statement", failure.statement},
                       {"at", failure.at},
                       {"recycle", failure.recycle}})
      .dump();
}

Result<Failure> decode_failure(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return Failure{json->text("message"), json->text("kind"),
                 static_cast<int>(json->integer("statement")), json->integer("at", -1),
                 json->boolean("recycle")};
}

std::string encode(const std::vector<TableFacts>& tables) {
  return to_json(tables).dump();
}

Result<std::vector<TableFacts>> decode_tables(std::string_view payload) {
  auto json = parse_json(payload);
  if (!json) return std::move(json).error();
  return tables_from(*json);
}

}  // namespace strata::wire::sql_engine
