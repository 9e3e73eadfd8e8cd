#include "wire/mlflow/mlflow_search.hpp"

#include <charconv>

#include "base/text.hpp"
#include "wire/mlflow/mlflow_search_lexer.hpp"

namespace strata::wire::mlflow {

namespace {

constexpr std::size_t kMaxClauses = 100;

// What one kind of search knows: its attributes and which comparisons they take.
struct Rules {
  std::vector<std::string> text_attributes;
  std::vector<std::string> number_attributes;
  std::vector<std::string> order_attributes;
  std::vector<std::string> list_attributes;  // take IN and NOT IN
  bool data = false;                         // metrics and params
  bool datasets = false;
  bool null_checks = false;  // IS NULL on tags (and params)
};

const Rules& rules_of(Subject subject) {
  static const Rules runs{
      {"artifact_uri", "run_id", "run_name", "status", "user_id"},
      {"start_time", "end_time"},
      {"artifact_uri", "run_id", "run_name", "status", "user_id", "start_time", "end_time"},
      {"run_id"},
      true,
      true,
      true};
  static const Rules experiments{{"name", "experiment_id"},
                                 {"creation_time", "last_update_time"},
                                 {"name", "experiment_id", "creation_time", "last_update_time"},
                                 {"experiment_id"},
                                 false,
                                 false,
                                 true};
  static const Rules registered{
      {"name"}, {},   {"name", "creation_timestamp", "last_updated_timestamp"}, {"name"}, false,
      false,    false};
  static const Rules versions{
      {"name", "run_id", "source_path"},
      {"version_number"},
      {"name", "version_number", "creation_timestamp", "last_updated_timestamp"},
      {"name", "run_id"},
      false,
      false,
      false};
  static const Rules logged{
      {"name", "model_id", "model_type", "status", "source_run_id", "experiment_id"},
      {"creation_timestamp", "last_updated_timestamp"},
      {"name", "model_id", "model_type", "status", "source_run_id", "experiment_id",
       "creation_timestamp", "last_updated_timestamp"},
      {"name", "model_id", "model_type", "status", "source_run_id", "experiment_id"},
      true,
      false,
      false};
  switch (subject) {
    case Subject::kRuns:
      return runs;
    case Subject::kExperiments:
      return experiments;
    case Subject::kRegisteredModels:
      return registered;
    case Subject::kModelVersions:
      return versions;
    case Subject::kLoggedModels:
      return logged;
  }
  return runs;
}

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

Error refuse(std::string message) {
  return invalid("filter", std::move(message));
}

std::string_view entity_name(Entity entity) {
  switch (entity) {
    case Entity::kAttribute:
      return "attribute";
    case Entity::kMetric:
      return "metric";
    case Entity::kParam:
      return "parameter";
    case Entity::kTag:
      return "tag";
    case Entity::kDataset:
      return "dataset";
  }
  return "attribute";
}

std::string unquote(std::string text) {
  for (const char quote : {'\'', '"', '`'}) {
    if (text.size() >= 2 && text.front() == quote && text.back() == quote)
      return text.substr(1, text.size() - 2);
  }
  return text;
}

std::string resolve_alias(std::string key, Subject subject) {
  if (subject == Subject::kRuns) {
    if (key == "created" || key == "Created") return "start_time";
    if (key == "run name" || key == "Run name" || key == "Run Name") return "run_name";
  }
  if (subject == Subject::kLoggedModels) {
    if (key == "creation_time" || key == "creation_timestamp_ms") return "creation_timestamp";
    if (key == "last_updated_time" || key == "last_updated_timestamp_ms")
      return "last_updated_timestamp";
  }
  if (subject == Subject::kRegisteredModels && key == "timestamp") return "last_updated_timestamp";
  return key;
}

struct Identifier {
  Entity entity = Entity::kAttribute;
  std::string key;
};

Result<Entity> entity_of(const std::string& prefix, const Rules& rules) {
  static const std::map<std::string, Entity, std::less<>> kNames = {
      {"metric", Entity::kMetric},
      {"metrics", Entity::kMetric},
      {"parameter", Entity::kParam},
      {"parameters", Entity::kParam},
      {"param", Entity::kParam},
      {"params", Entity::kParam},
      {"tag", Entity::kTag},
      {"tags", Entity::kTag},
      {"attribute", Entity::kAttribute},
      {"attributes", Entity::kAttribute},
      {"attr", Entity::kAttribute},
      {"run", Entity::kAttribute},
      {"dataset", Entity::kDataset},
      {"datasets", Entity::kDataset}};
  const auto found = kNames.find(prefix);
  const bool known =
      found != kNames.end() &&
      (rules.data || (found->second != Entity::kMetric && found->second != Entity::kParam)) &&
      (rules.datasets || found->second != Entity::kDataset);
  if (known) return found->second;
  std::vector<std::string> valid = {"attribute", "tag"};
  if (rules.data) valid.insert(valid.end(), {"metric", "parameter"});
  if (rules.datasets) valid.push_back("dataset");
  return refuse(
      fmt::format("Invalid entity type '{}'. Valid values are {}", prefix, join(valid, ", ")));
}

Result<Identifier> identifier_of(const std::string& text, Subject subject,
                                 const std::vector<std::string>& attributes) {
  const Rules& rules = rules_of(subject);
  Identifier id;
  // A dot inside the first quoted part belongs to a key, not between entity and key.
  const std::size_t dot = !text.empty() && text.front() == '"' ? std::string::npos : text.find('.');
  if (dot == std::string::npos) {
    id.key = unquote(text);
  } else {
    auto entity = entity_of(unquote(text.substr(0, dot)), rules);
    if (!entity) return std::move(entity).error();
    id.entity = *entity;
    id.key = unquote(text.substr(dot + 1));
  }
  if (id.entity == Entity::kAttribute) id.key = resolve_alias(std::move(id.key), subject);
  if (id.entity == Entity::kAttribute && !contains(attributes, id.key)) {
    return refuse(fmt::format("Invalid attribute key '{}' specified. Valid keys are {}", id.key,
                              join(attributes, ", ")));
  }
  if (id.entity == Entity::kDataset && id.key != "name" && id.key != "digest" &&
      id.key != "context") {
    return refuse(fmt::format(
        "Invalid dataset key '{}' specified. Valid keys are name, digest, context", id.key));
  }
  if (id.key.empty()) return refuse("a key is missing behind '" + text + "'");
  return id;
}

std::optional<Comparator> symbol_comparator(std::string_view text) {
  if (text == "=") return Comparator::kEqual;
  if (text == "!=") return Comparator::kNotEqual;
  if (text == "<") return Comparator::kLess;
  if (text == "<=") return Comparator::kLessEqual;
  if (text == ">") return Comparator::kGreater;
  if (text == ">=") return Comparator::kGreaterEqual;
  return std::nullopt;
}

bool is_ordering(Comparator c) {
  return c >= Comparator::kLess && c <= Comparator::kGreaterEqual;
}

class FilterParser {
 public:
  FilterParser(std::vector<Token> tokens, Subject subject)
      : tokens_(std::move(tokens)),
        subject_(subject),
        rules_(rules_of(subject)) {}

  Result<std::vector<Clause>> parse() {
    std::vector<Clause> clauses;
    while (at_ < tokens_.size()) {
      if (is_keyword(at_, "AND")) {  // a mere separator: missing or repeated, it changes nothing
        ++at_;
        continue;
      }
      auto clause = parse_clause();
      if (!clause) return std::move(clause).error();
      clauses.push_back(std::move(*clause));
      if (clauses.size() > kMaxClauses)
        return refuse(fmt::format("A filter may have at most {} clauses", kMaxClauses));
    }
    return clauses;
  }

 private:
  bool is_keyword(std::size_t at, std::string_view word) const {
    return at < tokens_.size() && tokens_[at].kind == TokenKind::kWord &&
           equal_ignoring_case(tokens_[at].text, word);
  }

  Result<Clause> parse_clause() {
    const Token& left = tokens_[at_];
    if (left.kind != TokenKind::kWord || is_keyword(at_, "OR") || is_keyword(at_, "NOT")) {
      return refuse(fmt::format(
          "Invalid clause(s) in filter string: '{}'. Clauses look like metrics.loss < 0.1 and are "
          "joined by AND",
          left.text));
    }
    std::vector<std::string> attributes = rules_.text_attributes;
    attributes.insert(attributes.end(), rules_.number_attributes.begin(),
                      rules_.number_attributes.end());
    auto id = identifier_of(left.text, subject_, attributes);
    if (!id) return std::move(id).error();
    ++at_;
    Clause clause{id->entity, std::move(id->key), Comparator::kEqual, {}};
    auto comparator = parse_comparator(left.text);
    if (!comparator) return std::move(comparator).error();
    clause.comparator = *comparator;
    STRATA_TRY(check_comparator(clause));
    if (clause.comparator == Comparator::kIsNull || clause.comparator == Comparator::kIsNotNull)
      return clause;
    if (at_ >= tokens_.size()) {
      return refuse(fmt::format("Invalid comparison clause. Expected a value behind '{} {}'",
                                left.text, comparator_name(clause.comparator)));
    }
    STRATA_TRY(parse_value(clause, tokens_[at_]));
    ++at_;
    return clause;
  }

  Result<Comparator> parse_comparator(const std::string& left) {
    if (at_ < tokens_.size() && tokens_[at_].kind == TokenKind::kOperator) {
      const auto found = symbol_comparator(tokens_[at_].text);
      if (!found) {
        return refuse(fmt::format("Invalid comparator '{}' not one of =, !=, <, <=, >, >=",
                                  tokens_[at_].text));
      }
      ++at_;
      return *found;
    }
    const auto words =
        [&](Comparator comparator,
            std::initializer_list<std::string_view> all) -> std::optional<Comparator> {
      std::size_t i = at_;
      for (const auto word : all) {
        if (!is_keyword(i++, word)) return std::nullopt;
      }
      at_ = i;
      return comparator;
    };
    if (auto c = words(Comparator::kLike, {"LIKE"})) return *c;
    if (auto c = words(Comparator::kIlike, {"ILIKE"})) return *c;
    if (auto c = words(Comparator::kIn, {"IN"})) return *c;
    if (auto c = words(Comparator::kNotIn, {"NOT", "IN"})) return *c;
    if (auto c = words(Comparator::kIsNotNull, {"IS", "NOT", "NULL"})) return *c;
    if (auto c = words(Comparator::kIsNull, {"IS", "NULL"})) return *c;
    return refuse(fmt::format(
        "Invalid clause(s) in filter string: '{}' is not followed by a comparison", left));
  }

  bool is_number(const Clause& clause) const {
    return clause.entity == Entity::kMetric ||
           (clause.entity == Entity::kAttribute && contains(rules_.number_attributes, clause.key));
  }

  Status check_comparator(const Clause& clause) const {
    const auto c = clause.comparator;
    bool allowed = false;
    if (c == Comparator::kIsNull || c == Comparator::kIsNotNull) {
      allowed =
          rules_.null_checks && (clause.entity == Entity::kTag || clause.entity == Entity::kParam);
    } else if (is_number(clause)) {
      allowed = c == Comparator::kEqual || c == Comparator::kNotEqual || is_ordering(c);
    } else if (c == Comparator::kIn || c == Comparator::kNotIn) {
      allowed =
          clause.entity == Entity::kDataset || subject_ == Subject::kLoggedModels ||
          (clause.entity == Entity::kAttribute && contains(rules_.list_attributes, clause.key));
    } else {
      allowed = !is_ordering(c);
    }
    if (subject_ == Subject::kExperiments && clause.key == "experiment_id" &&
        (c == Comparator::kLike || c == Comparator::kIlike)) {
      allowed = false;
    }
    if (allowed) return {};
    return refuse(fmt::format("Invalid comparator '{}' for {} '{}'", comparator_name(c),
                              entity_name(clause.entity), clause.key));
  }

  Status parse_value(Clause& clause, const Token& token) const {
    if (clause.comparator == Comparator::kIn || clause.comparator == Comparator::kNotIn) {
      if (token.kind != TokenKind::kList) {
        return refuse(fmt::format("Expected a list of quoted string values for '{}'. Got value {}",
                                  clause.key, token.text));
      }
      clause.value = token.items;
      return {};
    }
    if (is_number(clause)) return parse_number(clause, token);
    if (token.kind == TokenKind::kText ||
        (token.kind == TokenKind::kWord && token.text.size() >= 2 && token.text.front() == '"' &&
         token.text.back() == '"')) {
      clause.value = token.text.substr(1, token.text.size() - 2);
      return {};
    }
    return refuse(
        fmt::format("Expected a quoted string value for {} '{}' (e.g. 'my-value'). Got value {}",
                    entity_name(clause.entity), clause.key, token.text));
  }

  static Status parse_number(Clause& clause, const Token& token) {
    if (token.kind == TokenKind::kNumber) {
      const bool real = token.text.find_first_of(".eE") != std::string::npos;
      if (!real) {
        if (const auto whole = to_int(token.text)) {
          clause.value = *whole;
          return {};
        }
      }
      double value = 0;
      const auto read =
          std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
      if (read.ec == std::errc() && read.ptr == token.text.data() + token.text.size()) {
        clause.value = value;
        return {};
      }
    }
    return refuse(fmt::format("Expected numeric value type for {} '{}'. Found {}",
                              entity_name(clause.entity), clause.key, token.text));
  }

  std::vector<Token> tokens_;
  Subject subject_;
  const Rules& rules_;
  std::size_t at_ = 0;
};

}  // namespace

std::string_view comparator_name(Comparator comparator) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"};
  return kNames[static_cast<std::size_t>(comparator)];
}

Result<std::vector<Clause>> parse_filter(std::string_view text, Subject subject) {
  auto tokens = lex_search(text);
  if (!tokens) return std::move(tokens).error();
  return FilterParser(std::move(*tokens), subject).parse();
}

namespace {

// A key such as top-5 needs no quotes in order_by: what reads as a negative number belongs to the
// name that it touches.
void join_number(std::vector<Token>& tokens, std::string_view text) {
  if (tokens.size() < 2 || tokens[0].kind != TokenKind::kWord ||
      tokens[1].kind != TokenKind::kNumber)
    return;
  const std::string joined = tokens[0].text + tokens[1].text;
  if (!trim(text).starts_with(joined)) return;
  tokens[0].text = joined;
  tokens.erase(tokens.begin() + 1);
}

}  // namespace

Result<OrderTerm> parse_order(std::string_view text, Subject subject) {
  const auto bad = [&](std::string_view why) {
    return invalid("order_by", fmt::format("Invalid order_by clause '{}'. {}", text, why));
  };
  auto tokens = lex_search(text);
  if (!tokens) return bad("Could not be parsed.");
  join_number(*tokens, text);
  if (tokens->empty() || tokens->size() > 2 || (*tokens)[0].kind != TokenKind::kWord) {
    return bad("Expected a field and ASC or DESC.");
  }
  OrderTerm term;
  if (tokens->size() == 2) {
    const Token& direction = (*tokens)[1];
    term.descending = equal_ignoring_case(direction.text, "desc");
    if (direction.kind != TokenKind::kWord ||
        (!term.descending && !equal_ignoring_case(direction.text, "asc"))) {
      return bad("The ordering is ASC or DESC.");
    }
  }
  auto id = identifier_of((*tokens)[0].text, subject, rules_of(subject).order_attributes);
  if (!id) return std::move(id).error();
  const bool sortable = subject == Subject::kRuns ? id->entity != Entity::kDataset
                        : subject == Subject::kLoggedModels
                            ? id->entity == Entity::kAttribute || id->entity == Entity::kMetric
                            : id->entity == Entity::kAttribute;
  if (!sortable)
    return bad(fmt::format("Results cannot be ordered by a {}.", entity_name(id->entity)));
  term.entity = id->entity;
  term.key = std::move(id->key);
  return term;
}

Result<std::vector<OrderTerm>> parse_orders(const std::vector<std::string>& texts,
                                            Subject subject) {
  std::vector<OrderTerm> terms;
  for (const auto& text : texts) {
    auto term = parse_order(text, subject);
    if (!term) return std::move(term).error();
    for (const auto& seen : terms) {
      if (seen.entity == term->entity && seen.key == term->key) {
        return invalid("order_by", fmt::format("`order_by` contains duplicate fields: '{}'", text));
      }
    }
    terms.push_back(std::move(*term));
  }
  return terms;
}

}  // namespace strata::wire::mlflow
