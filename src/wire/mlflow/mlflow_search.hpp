#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace strata::wire::mlflow {

// The filter and order-by language of MLflow's search calls, as its client 3.17 and its server
// accept it: comparisons joined by AND (the word may be missing), keys quoted by "..." or `...`,
// values by '...' or "...". Which keys and comparisons are legal depends on what is searched for.
enum class Subject : std::uint8_t {
  kRuns,
  kExperiments,
  kRegisteredModels,
  kModelVersions,
  kLoggedModels
};

enum class Entity : std::uint8_t { kAttribute, kMetric, kParam, kTag, kDataset };

enum class Comparator : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kLike,
  kIlike,
  kIn,
  kNotIn,
  kIsNull,
  kIsNotNull,
};
std::string_view comparator_name(Comparator comparator);

struct Clause {
  Entity entity = Entity::kAttribute;
  std::string key;  // aliases such as "created" or "run name" are already resolved
  Comparator comparator = Comparator::kEqual;
  // The type fits the key: a number for metrics and numeric attributes, a list for IN and NOT IN,
  // else a text.
  std::variant<std::monostate, std::int64_t, double, std::string, std::vector<std::string>> value;
};

struct OrderTerm {
  Entity entity = Entity::kAttribute;
  std::string key;
  bool descending = false;
};

// All clauses must hold. Errors: kInvalidArgument naming the clause and what is allowed.
Result<std::vector<Clause>> parse_filter(std::string_view text, Subject subject);

// One element of an order_by list, such as "metrics.loss DESC". Errors: kInvalidArgument.
Result<OrderTerm> parse_order(std::string_view text, Subject subject);
// The whole list; a field may stand there once.
Result<std::vector<OrderTerm>> parse_orders(const std::vector<std::string>& texts, Subject subject);

}  // namespace strata::wire::mlflow
