#include "platform/search/search.hpp"

#include <bit>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace strata::platform::search {

using kernel::Reader;
using kernel::Row;
using kernel::Rows;
using kernel::SqlArgs;
using kernel::SqlValue;
using wire::mlflow::Clause;
using wire::mlflow::Comparator;
using wire::mlflow::Entity;

namespace {

// SQLite's GLOB compares with case, as MLflow's LIKE does; its own LIKE does not.
std::string glob_of(std::string_view like) {
  std::string out;
  for (const char c : like) {
    if (c == '%') {
      out += '*';
    } else if (c == '_') {
      out += '?';
    } else if (c == '*' || c == '?' || c == '[') {
      out += fmt::format("[{}]", c);
    } else {
      out += c;
    }
  }
  return out;
}

SqlValue scalar_of(const Clause& clause) {
  if (const auto* whole = std::get_if<std::int64_t>(&clause.value)) return *whole;
  if (const auto* real = std::get_if<double>(&clause.value)) return *real;
  if (const auto* text = std::get_if<std::string>(&clause.value)) return *text;
  return nullptr;
}

// "value <comparison>" as a condition over `expression`.
void add_comparison(Sql& sql, std::string_view expression, const Clause& clause) {
  switch (clause.comparator) {
    case Comparator::kLike:
      sql.add(fmt::format("{} GLOB ?", expression), {glob_of(std::get<std::string>(clause.value))});
      return;
    case Comparator::kIlike:
      sql.add(fmt::format("lower({}) GLOB lower(?)", expression),
              {glob_of(std::get<std::string>(clause.value))});
      return;
    case Comparator::kIn:
    case Comparator::kNotIn: {
      const auto& items = std::get<std::vector<std::string>>(clause.value);
      sql.add(
          fmt::format("{} {} ({})", expression, wire::mlflow::comparator_name(clause.comparator),
                      placeholders(items.size())),
          SqlArgs(items.begin(), items.end()));
      return;
    }
    default:
      sql.add(fmt::format("{} {} ?", expression, wire::mlflow::comparator_name(clause.comparator)),
              {scalar_of(clause)});
  }
}

// Sort values keep their type and every bit on their way through the client.
Json token_value(const SqlValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value.get())) return Json(*whole);
  if (const auto* real = std::get_if<double>(&value.get())) {
    return Json::object(
        {{"d", Json(static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(*real)))}});
  }
  if (const auto* text = std::get_if<std::string>(&value.get())) return Json(*text);
  return Json();
}

Error bad_token() {
  return invalid("page_token",
                 "Invalid page token: it is damaged, or belongs to a search with another filter or "
                 "order. Start "
                 "again without a token");
}

}  // namespace

void Sql::add(std::string_view more, SqlArgs values) {
  text += more;
  args.insert(args.end(), std::make_move_iterator(values.begin()),
              std::make_move_iterator(values.end()));
}

std::string placeholders(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out += i == 0 ? "?" : ", ?";
  return out;
}

Result<Rows> query_in(Reader& reader, std::string_view sql, const std::vector<std::string>& ids) {
  constexpr std::array<std::size_t, 3> kSizes = {1, 32, 256};
  Rows all;
  std::size_t at = 0;
  while (at < ids.size()) {
    const std::size_t left = ids.size() - at;
    const std::size_t size =
        *std::find_if(kSizes.begin(), kSizes.end() - 1, [&](auto s) { return s >= left; });
    SqlArgs args;
    // Filled up by repeating the last id, which finds nothing twice.
    for (std::size_t i = 0; i < size; ++i)
      args.emplace_back(ids[std::min(at + i, ids.size() - 1)]);
    auto rows = reader.query(fmt::format(fmt::runtime(sql), placeholders(size)), args);
    if (!rows) return rows;
    all.insert(all.end(), std::make_move_iterator(rows->begin()),
               std::make_move_iterator(rows->end()));
    at += size;
  }
  return all;
}

Result<Query> Query::make(const Schema& schema, std::string_view filter,
                          const std::vector<std::string>& order_by, std::string_view page_token,
                          std::string_view scope) {
  Query query(schema);
  auto clauses = wire::mlflow::parse_filter(filter, schema.subject);
  if (!clauses) return std::move(clauses).error();
  query.clauses_ = std::move(*clauses);
  auto order = wire::mlflow::parse_orders(order_by, schema.subject);
  if (!order) return std::move(order).error();
  query.order_ = std::move(*order);
  Digest digest(DigestKind::kSha256);
  digest.update(filter);
  for (const auto& term : order_by) {
    digest.update("\n");
    digest.update(term);
  }
  digest.update("\n\n");
  digest.update(scope);
  query.fingerprint_ = to_hex(digest.finish()).substr(0, 16);
  if (!page_token.empty()) STRATA_TRY(query.read_token(page_token));
  return query;
}

void Query::where(std::string_view condition, SqlArgs args) {
  conditions_.add(fmt::format(" AND ({})", condition), std::move(args));
}

void Query::take_clauses(const std::function<bool(const Clause&)>& taken) {
  std::erase_if(clauses_, taken);
}

void Query::narrow_order(std::size_t term, std::string_view condition, SqlArgs args) {
  narrowed_[term].add(fmt::format(" AND ({})", condition), std::move(args));
}

void Query::add_keyed_clause(Sql& sql, const Clause& clause, const KeyedTable& table) const {
  const bool absent = clause.comparator == Comparator::kIsNull;
  sql.add(fmt::format(" AND {}EXISTS (SELECT 1 FROM {} kv WHERE {} AND kv.key = ?",
                      absent ? "NOT " : "", table.table, table.on),
          {clause.key});
  if (!absent && clause.comparator != Comparator::kIsNotNull) {
    sql.add(" AND (");
    add_comparison(sql, "kv.value", clause);
    // A stored NULL is NaN, which equals nothing and so differs from every number.
    if (clause.entity == Entity::kMetric && clause.comparator == Comparator::kNotEqual)
      sql.add(" OR kv.value IS NULL");
    sql.add(")");
  }
  sql.add(")");
}

void Query::add_clause(Sql& sql, const Clause& clause) const {
  if (clause.entity == Entity::kAttribute) {
    sql.add(" AND (");
    add_comparison(sql, schema_->attributes.find(clause.key)->second, clause);
    sql.add(")");
    return;
  }
  if (clause.entity == Entity::kDataset) {
    const KeyedTable& table = schema_->datasets.find(clause.key)->second;
    sql.add(fmt::format(" AND EXISTS (SELECT 1 FROM {} WHERE {} AND (", table.table, table.on));
    add_comparison(sql, "kv.value", clause);
    sql.add("))");
    return;
  }
  add_keyed_clause(sql, clause, schema_->keyed.find(clause.entity)->second);
}

std::vector<Query::SortKey> Query::sort_keys(Sql& joins) const {
  std::vector<SortKey> keys;
  std::vector<std::string> used;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const auto& term = order_[i];
    if (term.entity == Entity::kAttribute) {
      const std::string& column = schema_->attributes.find(term.key)->second;
      const bool may_miss = std::find(schema_->nullable.begin(), schema_->nullable.end(),
                                      term.key) != schema_->nullable.end();
      if (may_miss) {
        keys.push_back({fmt::format("CASE WHEN {} IS NULL THEN 1 ELSE 0 END", column), false});
        keys.push_back({fmt::format("COALESCE({}, 0)", column), term.descending});
      } else {
        keys.push_back({column, term.descending});
      }
      used.push_back(term.key);
      continue;
    }
    const KeyedTable& table = schema_->keyed.find(term.entity)->second;
    const std::string name = fmt::format("o{}", i);
    std::string on = table.on;
    for (std::size_t at = on.find("kv."); at != std::string::npos; at = on.find("kv.", at))
      on.replace(at, 2, name);
    joins.add(fmt::format(" LEFT JOIN {} {} ON {} AND {}.key = ?", table.table, name, on, name),
              {term.key});
    if (const auto narrowed = narrowed_.find(i); narrowed != narrowed_.end()) {
      std::string condition = narrowed->second.text;
      for (std::size_t at = condition.find("kv."); at != std::string::npos;
           at = condition.find("kv.", at)) {
        condition.replace(at, 2, name);
      }
      joins.add(condition, narrowed->second.args);
    }
    keys.push_back(
        {fmt::format("CASE WHEN {0}.key IS NULL THEN 2 WHEN {0}.value IS NULL THEN 1 ELSE 0 END",
                     name),
         false});
    keys.push_back(
        {fmt::format("COALESCE({}.value, {})", name, term.entity == Entity::kMetric ? "0.0" : "''"),
         term.descending});
  }
  for (const auto& [attribute, descending] : schema_->tie_breakers) {
    if (std::find(used.begin(), used.end(), attribute) != used.end()) continue;
    keys.push_back({schema_->attributes.find(attribute)->second, descending});
  }
  return keys;
}

// Rows behind the last one seen, in lexicographic order of the keys.
void Query::add_seek(Sql& sql, const std::vector<SortKey>& keys) const {
  // The first key alone already bounds the scan, which lets an index seek to the page.
  sql.add(fmt::format(" AND {} {} ?", keys[0].expression, keys[0].descending ? "<=" : ">="),
          {after_[0]});
  sql.add(" AND (");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    sql.add(i == 0 ? "(" : " OR (");
    for (std::size_t j = 0; j < i; ++j)
      sql.add(fmt::format("{} = ? AND ", keys[j].expression), {after_[j]});
    sql.add(fmt::format("{} {} ?)", keys[i].expression, keys[i].descending ? "<" : ">"),
            {after_[i]});
  }
  sql.add(")");
}

Result<Query::Page> Query::run(Reader& reader, std::string_view columns, std::int64_t limit) const {
  Sql joins;
  const auto keys = sort_keys(joins);
  if (!after_.empty() && after_.size() != keys.size()) return bad_token();
  Sql sql;
  sql.add(fmt::format("SELECT {}", columns));
  for (const auto& key : keys)
    sql.add(", " + key.expression);
  sql.add(" FROM " + schema_->from);
  sql.add(joins.text, joins.args);
  sql.add(" WHERE 1 = 1");
  sql.add(conditions_.text, conditions_.args);
  for (const auto& clause : clauses_)
    add_clause(sql, clause);
  if (!after_.empty()) add_seek(sql, keys);
  sql.add(" ORDER BY ");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    sql.add(fmt::format("{}{}{}", i == 0 ? "" : ", ", keys[i].expression,
                        keys[i].descending ? " DESC" : ""));
  }
  sql.add(" LIMIT ?", {limit + 1});
  auto rows = reader.query(sql.text, sql.args);
  if (!rows) return std::move(rows).error();
  Page page{std::move(*rows), ""};
  if (page.rows.size() > static_cast<std::size_t>(limit)) {
    page.rows.pop_back();
    if (!page.rows.empty()) {
      const Row& last = page.rows.back();
      page.next_page_token = make_token(last, last.size() - keys.size(), keys.size());
    }
  }
  return page;
}

std::string Query::make_token(const Row& last, std::size_t first_key, std::size_t count) const {
  Json values = Json::array();
  for (std::size_t i = first_key; i < first_key + count; ++i)
    values.push(token_value(last.cell(i)));
  return to_base64url(
      Json::object({{"q", Json(fingerprint_)}, {"after", std::move(values)}}).dump());
}

Status Query::read_token(std::string_view token) {
  const auto text = from_base64(token);
  if (!text) return bad_token();
  const auto json = parse_json(*text);
  if (!json || json->text("q") != fingerprint_ || !(*json)["after"].is_array()) return bad_token();
  for (const auto& value : (*json)["after"].as_array()) {
    if (value.is_int()) {
      after_.emplace_back(value.as_int());
    } else if (value.is_string()) {
      after_.emplace_back(value.as_string());
    } else if (value["d"].is_int()) {
      after_.emplace_back(std::bit_cast<double>(static_cast<std::uint64_t>(value["d"].as_int())));
    } else {
      return bad_token();
    }
  }
  if (after_.empty()) return bad_token();
  return {};
}

}  // namespace strata::platform::search
