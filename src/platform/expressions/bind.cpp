// From the text's tree to kernels: names, types, and the canonical form.

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "platform/expressions/expression.hpp"
#include "platform/expressions/kernel_forms.hpp"
#include "platform/expressions/syntax.hpp"

namespace strata::platform::expressions {

namespace {

using Kind = Syntax::Kind;
using Node = Expression::Node;
using NodePtr = std::shared_ptr<const Node>;

constexpr std::size_t kMaxCanonical = 65'536;
constexpr int kMaxNodeDepth = 300;

// NULL as it is written has no type until something beside it gives one.
struct Bound {
  NodePtr node;
  bool bare_null = false;
  std::size_t at = 0;
};
using Arguments = std::vector<Bound>;

std::string_view suffix_of(Type type) {
  constexpr std::array<std::string_view, kTypes> kSuffixes = {"b", "i64", "f64", "str", "ts"};
  return kSuffixes.at(static_cast<std::size_t>(type));
}

std::string canonical_of(const Value& value) {
  if (!value.present) return fmt::format("(null {})", suffix_of(value.type));
  if (value.type == Type::kDouble)
    return fmt::format("(f64 {:016x})", std::bit_cast<std::uint64_t>(value.number));
  if (value.type == Type::kString) {
    std::string out = "(str ";
    append_json_string(out, value.text);
    return out + ")";
  }
  return fmt::format("({} {})", suffix_of(value.type), value.integer);
}

NodePtr constant(Value value) {
  auto node = std::make_shared<Node>();
  node->type = value.type;
  node->canonical = canonical_of(value);
  node->constant = std::move(value);
  return node;
}

Result<NodePtr> call_kernel(std::string_view name, std::vector<NodePtr> arguments, std::size_t at) {
  const Kernel* const kernel = find_kernel(name);
  if (kernel == nullptr) return internal(fmt::format("no kernel {}", name));
  if (kernel->commutative && arguments[1]->canonical < arguments[0]->canonical)
    std::swap(arguments[0], arguments[1]);
  auto node = std::make_shared<Node>();
  node->type = kernel->result;
  node->kernel = kernel;
  std::size_t size = name.size() + 2;
  for (const auto& argument : arguments) {
    size += argument->canonical.size() + 1;
    node->depth = std::max(node->depth, argument->depth + 1);
  }
  if (size > kMaxCanonical || node->depth > kMaxNodeDepth)
    return fault_at(at, "the expression is too large; split it over several features");
  node->canonical = fmt::format("({}", name);
  for (const auto& argument : arguments)
    node->canonical += " " + argument->canonical;
  node->canonical += ")";
  node->arguments = std::move(arguments);
  return NodePtr(std::move(node));
}

// The kernel of that name for a type: "eq" and kDouble give "eq_f64".
Result<NodePtr> call_typed(std::string_view name, Type type, std::vector<NodePtr> arguments,
                           std::size_t at) {
  return call_kernel(fmt::format("{}_{}", name, suffix_of(type)), std::move(arguments), at);
}

class Binder {
 public:
  explicit Binder(const std::vector<Input>& inputs) : inputs_(inputs) {}

  Result<NodePtr> whole(const Syntax& syntax) {
    auto out = bind(syntax);
    if (!out) return std::move(out).error();
    if (out->bare_null)
      return fault_at(out->at, "NULL alone has no type; write CAST(NULL AS double), say");
    return out->node;
  }

 private:
  Result<Bound> bind(const Syntax& syntax) {
    switch (syntax.kind) {
      case Kind::kNull:
        return Bound{constant(Value::null(Type::kInt64)), true, syntax.at};
      case Kind::kBool:
        return value(Value::of(syntax.text == "true"), syntax);
      case Kind::kInteger:
        return integer(syntax);
      case Kind::kDecimal:
        return decimal(syntax);
      case Kind::kText:
        return value(Value::of(syntax.text), syntax);
      case Kind::kTime:
        return time(syntax);
      case Kind::kInterval:
        return interval(syntax);
      case Kind::kName:
        return input(syntax);
      case Kind::kCast:
        return cast(syntax);
      case Kind::kCall:
        return call(syntax);
    }
    return internal("an expression of no kind");
  }

  static Result<Bound> value(Value value, const Syntax& syntax) {
    return Bound{constant(std::move(value)), false, syntax.at};
  }
  static Result<Bound> bound(Result<NodePtr> node, const Syntax& syntax) {
    if (!node) return std::move(node).error();
    return Bound{*std::move(node), false, syntax.at};
  }
  static Result<Bound> integer(const Syntax& syntax) {
    const auto number = to_int(syntax.text);
    if (number) return value(Value::of(*number), syntax);
    return fault_at(syntax.at, fmt::format("{} does not fit 64 bits; write {}.0 for a double",
                                           syntax.text, syntax.text));
  }
  static Result<Bound> decimal(const Syntax& syntax) {
    double number = 0;
    const char* const end = syntax.text.data() + syntax.text.size();
    const auto read = std::from_chars(syntax.text.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) return value(Value::of(number), syntax);
    return fault_at(
        syntax.at, fmt::format("'{}' is no number that a double can hold", printable(syntax.text)));
  }
  static Result<Bound> time(const Syntax& syntax) {
    Micros time;
    if (parse_time(syntax.text, time)) return value(Value::of_micros(time.value), syntax);
    return fault_at(syntax.at, fmt::format("'{}' is no time; write 2026-01-31T12:00:00Z",
                                           printable(syntax.text)));
  }
  static Result<Bound> interval(const Syntax& syntax) {
    const auto length = parse_duration(syntax.text);
    if (length) return value(Value::of(std::int64_t{length->count()} * 1000), syntax);
    return fault_at(syntax.at, fmt::format("'{}' is no length of time; write '90s', '15m', '36h' "
                                           "or '7d'",
                                           printable(syntax.text)));
  }

  // What comes in from elsewhere first gets the one form of NaN and the bounds of time.
  Result<Bound> input(const Syntax& syntax) {
    const auto found = std::ranges::find(inputs_, syntax.text, &Input::name);
    if (found == inputs_.end()) {
      std::vector<std::string> names;
      for (const auto& one : inputs_)
        names.push_back(one.name);
      const std::string nearest = did_you_mean(syntax.text, names);
      return fault_at(syntax.at,
                      fmt::format("there is no column '{}'{}", printable(syntax.text),
                                  nearest.empty() ? "; known are: " + join(names, ", ")
                                                  : ". Did you mean '" + nearest + "'?"));
    }
    auto node = std::make_shared<Node>();
    node->type = found->type;
    node->input = found->name;
    node->canonical = fmt::format("(in {} ", suffix_of(found->type));
    append_json_string(node->canonical, found->name);
    node->canonical += ")";
    if (found->type == Type::kDouble)
      return bound(call_kernel("column_f64", {node}, syntax.at), syntax);
    if (found->type == Type::kTimestamp)
      return bound(call_kernel("column_ts", {node}, syntax.at), syntax);
    return Bound{node, false, syntax.at};
  }

  // As `to`, where that loses nothing but what int64 to double rounds.
  static Result<NodePtr> as(const Bound& from, Type to) {
    if (from.bare_null) return constant(Value::null(to));
    if (from.node->type == to) return from.node;
    if (from.node->type == Type::kInt64 && to == Type::kDouble) {
      const Node& node = *from.node;
      const bool literal = node.kernel == nullptr && node.input.empty() && node.constant.present;
      if (literal) return constant(Value::of(static_cast<double>(node.constant.integer)));
      return call_kernel("i64_to_f64", {from.node}, from.at);
    }
    return fault_at(from.at, fmt::format("this is {}, and {} is needed; write CAST(... AS {})",
                                         type_name(from.node->type), type_name(to), type_name(to)));
  }
  // The type that all can take.
  static Result<Type> common(const Arguments& all) {
    std::optional<Type> out;
    for (const auto& one : all) {
      if (one.bare_null) continue;
      const Type type = one.node->type;
      const bool mixed = out && ((*out == Type::kInt64 && type == Type::kDouble) ||
                                 (*out == Type::kDouble && type == Type::kInt64));
      if (mixed) {
        out = Type::kDouble;
      } else if (!out) {
        out = type;
      } else if (*out != type) {
        return fault_at(one.at, fmt::format("this is {}, beside {}; write CAST(... AS {})",
                                            type_name(type), type_name(*out), type_name(*out)));
      }
    }
    if (!out) return fault_at(all.front().at, "NULL alone has no type; write CAST(NULL AS double)");
    return *out;
  }
  static Result<std::vector<NodePtr>> all_as(const Arguments& all, Type type) {
    std::vector<NodePtr> out;
    for (const auto& one : all) {
      auto node = as(one, type);
      if (!node) return std::move(node).error();
      out.push_back(*std::move(node));
    }
    return out;
  }

  Result<Bound> cast(const Syntax& syntax) {
    const auto to = parse_type(syntax.text);
    if (!to) {
      return fault_at(syntax.at, fmt::format("'{}' is no type; use bool, int64, double, string or "
                                             "timestamp",
                                             printable(syntax.text)));
    }
    auto from = bind(syntax.arguments[0]);
    if (!from) return from;
    if (from->bare_null) return value(Value::null(*to), syntax);
    const Type type = from->node->type;
    if (type == *to) return from;
    if (type == Type::kInt64 && *to == Type::kDouble) return bound(as(*from, *to), syntax);
    if (type == Type::kBool && *to == Type::kDouble) {
      auto whole = call_kernel("b_to_i64", {from->node}, syntax.at);
      if (!whole) return std::move(whole).error();
      return bound(call_kernel("i64_to_f64", {*whole}, syntax.at), syntax);
    }
    const std::string name = fmt::format("{}_to_{}", suffix_of(type), suffix_of(*to));
    const bool units = (type == Type::kInt64 && *to == Type::kTimestamp) ||
                       (type == Type::kTimestamp && *to == Type::kInt64);
    if (units) {
      return fault_at(syntax.at,
                      "a number has no unit of time; write timestamp_micros(x) or "
                      "micros(t), which count microseconds since 1970");
    }
    if (find_kernel(name) == nullptr) {
      return fault_at(syntax.at, fmt::format("there is no cast from {} to {}", type_name(type),
                                             type_name(*to)));
    }
    return bound(call_kernel(name, {from->node}, syntax.at), syntax);
  }

  // A function or operator, its arguments bound.
  using Maker = Result<NodePtr> (*)(const std::string& name, const Arguments&, const Syntax&);
  struct Function {
    std::size_t least, most;  // arguments
    Maker make;
  };

  Result<Bound> call(const Syntax& syntax) {
    const auto& known = functions();
    const auto found = known.find(syntax.text);
    if (found == known.end()) {
      std::vector<std::string> names;
      for (const auto& [name, function] : known) {
        if (name[0] >= 'a' && name[0] <= 'z') names.push_back(name);
      }
      const std::string nearest = did_you_mean(syntax.text, names);
      return fault_at(syntax.at,
                      fmt::format("there is no function '{}'{}", printable(syntax.text),
                                  nearest.empty() ? "; known are: " + join(names, ", ")
                                                  : ". Did you mean '" + nearest + "'?"));
    }
    const Function& function = found->second;
    const std::size_t count = syntax.arguments.size();
    if (count < function.least || count > function.most) {
      return fault_at(syntax.at,
                      fmt::format("{} takes {} arguments{}, not {}", syntax.text, function.least,
                                  function.most > function.least ? " or more" : "", count));
    }
    Arguments arguments;
    for (const auto& one : syntax.arguments) {
      auto argument = bind(one);
      if (!argument) return argument;
      arguments.push_back(*std::move(argument));
    }
    return bound(function.make(syntax.text, arguments, syntax), syntax);
  }

  using Functions = std::map<std::string, Function, std::less<>>;
  static void add_operators(Functions& to);
  static void add_named(Functions& to);
  static const Functions& functions();

  // Arguments of given types, one kernel.
  template <Type... Types>
  static Result<NodePtr> plain(std::string_view kernel, const Arguments& arguments,
                               const Syntax& syntax) {
    constexpr std::array<Type, sizeof...(Types)> kWanted = {Types...};
    std::vector<NodePtr> nodes;
    for (std::size_t i = 0; i < kWanted.size(); ++i) {
      auto node = as(arguments[i], kWanted.at(i));
      if (!node) return std::move(node).error();
      nodes.push_back(*std::move(node));
    }
    return call_kernel(kernel, std::move(nodes), syntax.at);
  }
  // int64 where all are, else double.
  static Result<NodePtr> number(std::string_view kernel, const Arguments& arguments,
                                const Syntax& syntax) {
    auto type = common(arguments);
    if (!type) return std::move(type).error();
    if (*type != Type::kInt64) type = Type::kDouble;
    auto nodes = all_as(arguments, *type);
    if (!nodes) return std::move(nodes).error();
    return call_typed(kernel, *type, *std::move(nodes), syntax.at);
  }
  static Result<NodePtr> add_or_subtract(const std::string& name, const Arguments& arguments,
                                         const Syntax& syntax) {
    const bool time = arguments[0].node->type == Type::kTimestamp;
    const bool other = arguments[1].node->type == Type::kTimestamp;
    if (time && other && name == "-")
      return call_kernel("sub_ts", {arguments[0].node, arguments[1].node}, syntax.at);
    if (!time && !(other && name == "+")) {
      return number(name == "+" ? "add" : "sub", arguments, syntax);
    }
    const Bound& length = arguments[time ? 1 : 0];
    auto micros = as(length, Type::kInt64);
    if (!micros) return micros;
    if (name == "-") micros = call_kernel("neg_i64", {*micros}, syntax.at);
    if (!micros) return micros;
    return call_kernel("add_ts", {arguments[time ? 0 : 1].node, *micros}, syntax.at);
  }
  static Result<NodePtr> compare(const std::string& sign, const Arguments& arguments,
                                 const Syntax& syntax) {
    const auto type = common(arguments);
    if (!type) return type.error();
    auto nodes = all_as(arguments, *type);
    if (!nodes) return std::move(nodes).error();
    if (sign[0] == '>') std::swap((*nodes)[0], (*nodes)[1]);
    const bool equality = sign == "=" || sign == "<>";
    auto out = call_typed(equality           ? "eq"
                          : sign.size() == 1 ? "lt"
                                             : "le",
                          *type, *std::move(nodes), syntax.at);
    if (!out || sign != "<>") return out;
    return call_kernel("not_b", {*out}, syntax.at);
  }
  static Result<NodePtr> between(const std::string&, const Arguments& arguments,
                                 const Syntax& syntax) {
    auto low = compare("<=", {arguments[1], arguments[0]}, syntax);
    if (!low) return low;
    auto high = compare("<=", {arguments[0], arguments[2]}, syntax);
    if (!high) return high;
    return call_kernel("and_b", {*low, *high}, syntax.at);
  }
  static Result<NodePtr> in_list(const std::string&, const Arguments& arguments,
                                 const Syntax& syntax) {
    std::map<std::string, NodePtr> equal;  // order and repetition mean nothing
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      auto one = compare("=", {arguments[0], arguments[i]}, syntax);
      if (!one) return one;
      equal.emplace((*one)->canonical, *one);
    }
    NodePtr out;
    for (const auto& [canonical, one] : equal) {
      auto more = out ? call_kernel("or_b", {out, one}, syntax.at) : Result<NodePtr>(one);
      if (!more) return more;
      out = *more;
    }
    return out;
  }
  static Result<NodePtr> is_null(const std::string&, const Arguments& arguments,
                                 const Syntax& syntax) {
    return call_typed("is_null", arguments[0].node->type, {arguments[0].node}, syntax.at);
  }
  static Result<NodePtr> choose(const std::string&, const Arguments& arguments,
                                const Syntax& syntax) {
    Arguments values;
    for (std::size_t i = 1; i < arguments.size(); i += 2)
      values.push_back(arguments[i]);
    values.push_back(arguments.back());
    const auto type = common(values);
    if (!type) return type.error();
    auto out = as(arguments.back(), *type);
    for (std::size_t i = arguments.size() - 1; out && i >= 2; i -= 2) {
      auto condition = as(arguments[i - 2], Type::kBool);
      if (!condition) return condition;
      auto value = as(arguments[i - 1], *type);
      if (!value) return value;
      out = call_typed("if", *type, {*condition, *value, *out}, syntax.at);
    }
    return out;
  }
  // coalesce, least, greatest: from the left.
  static Result<NodePtr> fold(const std::string& name, const Arguments& arguments,
                              const Syntax& syntax) {
    const auto type = common(arguments);
    if (!type) return type.error();
    auto nodes = all_as(arguments, *type);
    if (!nodes) return std::move(nodes).error();
    Result<NodePtr> out = nodes->front();
    for (std::size_t i = 1; out && i < nodes->size(); ++i)
      out = call_typed(name, *type, {*out, (*nodes)[i]}, syntax.at);
    return out;
  }
  static Result<NodePtr> nullif(const std::string&, const Arguments& arguments,
                                const Syntax& syntax) {
    auto equal = compare("=", arguments, syntax);
    if (!equal) return equal;
    const auto type = common(arguments);
    if (!type) return type.error();
    auto value = as(arguments[0], *type);
    if (!value) return value;
    return call_typed("if", *type, {*equal, constant(Value::null(*type)), *value}, syntax.at);
  }
  static Result<NodePtr> join_texts(const std::string&, const Arguments& arguments,
                                    const Syntax& syntax) {
    auto nodes = all_as(arguments, Type::kString);
    if (!nodes) return std::move(nodes).error();
    Result<NodePtr> out = nodes->front();
    for (std::size_t i = 1; out && i < nodes->size(); ++i)
      out = call_kernel("concat_str", {*out, (*nodes)[i]}, syntax.at);
    return out;
  }
  static Result<NodePtr> hash(const std::string&, const Arguments& arguments,
                              const Syntax& syntax) {
    auto out = call_typed("hash", arguments[0].node->type, {arguments[0].node}, syntax.at);
    if (!out || arguments.size() == 1) return out;
    auto buckets = as(arguments[1], Type::kInt64);
    if (!buckets) return buckets;
    return call_kernel("bucket_i64", {*out, *buckets}, syntax.at);
  }
  // How many of the rising bounds are not greater than the value.
  static Result<NodePtr> bucketize(const std::string&, const Arguments& arguments,
                                   const Syntax& syntax) {
    const auto type = common(arguments);
    if (!type) return type.error();
    auto nodes = all_as(arguments, *type);
    if (!nodes) return std::move(nodes).error();
    std::vector<Value> bounds;
    for (std::size_t i = 1; i < nodes->size(); ++i) {
      const Node& bound = *(*nodes)[i];
      const bool literal = bound.kernel == nullptr && bound.input.empty() && bound.constant.present;
      if (!literal) return fault_at(arguments[i].at, "a bound of bucketize must be a constant");
      if (i > 1) {
        const auto rising = expressions::call(*find_kernel(fmt::format("lt_{}", suffix_of(*type))),
                                              {bounds.back(), bound.constant});
        if (!rising || rising->integer == 0)
          return fault_at(arguments[i].at, "the bounds of bucketize must rise");
      }
      bounds.push_back(bound.constant);
    }
    Result<NodePtr> out = constant(Value::of(static_cast<std::int64_t>(bounds.size())));
    for (std::size_t i = bounds.size(); out && i > 0; --i) {
      auto below = call_typed("lt", *type, {nodes->front(), (*nodes)[i]}, syntax.at);
      if (!below) return below;
      out = call_typed("if", Type::kInt64,
                       {*below, constant(Value::of(static_cast<std::int64_t>(i) - 1)), *out},
                       syntax.at);
    }
    if (!out) return out;
    auto null = call_typed("is_null", *type, {nodes->front()}, syntax.at);
    if (!null) return null;
    return call_typed("if", Type::kInt64, {*null, constant(Value::null(Type::kInt64)), *out},
                      syntax.at);
  }

  // Of a time and a zone, UTC where none is named.
  static Result<NodePtr> of_time(std::string_view kernel, const Arguments& arguments,
                                 const Syntax& syntax) {
    auto time = as(arguments[0], Type::kTimestamp);
    if (!time) return time;
    NodePtr zone = constant(Value::of(std::string("UTC")));
    if (arguments.size() > 1) {
      zone = arguments[1].node;
      const bool text = zone->kernel == nullptr && zone->input.empty() &&
                        zone->type == Type::kString && zone->constant.present;
      if (!text)
        return fault_at(arguments[1].at, "a time zone is a constant text, 'Europe/Berlin'");
      if (!is_zone(zone->constant.text)) {
        return fault_at(arguments[1].at, fmt::format("there is no time zone '{}'; write a name as "
                                                     "'Europe/Berlin'",
                                                     printable(zone->constant.text)));
      }
    }
    return call_kernel(kernel, {*time, zone}, syntax.at);
  }
  static Result<NodePtr> part(const std::string& name, const Arguments& arguments,
                              const Syntax& syntax) {
    return of_time(name + "_ts", arguments, syntax);
  }
  static Result<NodePtr> date_trunc(const std::string&, const Arguments& arguments,
                                    const Syntax& syntax) {
    const std::string unit = to_lower(arguments[0].node->constant.text);
    const std::string kernel = fmt::format("trunc_{}_ts", unit);
    if (find_kernel(kernel) == nullptr) {
      return fault_at(arguments[0].at,
                      "date_trunc begins with 'hour', 'day', 'week', 'month' or 'year'");
    }
    return of_time(kernel, {arguments.begin() + 1, arguments.end()}, syntax);
  }

  const std::vector<Input>& inputs_;
};

constexpr std::size_t kMany = 200;
constexpr Type kB = Type::kBool;
constexpr Type kI = Type::kInt64;
constexpr Type kD = Type::kDouble;
constexpr Type kS = Type::kString;
constexpr Type kT = Type::kTimestamp;

void Binder::add_operators(Functions& to) {
  using Name = const std::string&;
  using All = const Arguments&;
  using At = const Syntax&;
  to["+"] = to["-"] = {2, 2, &add_or_subtract};
  to["*"] = {2, 2, [](Name, All a, At at) {
               return number("mul", a, at);
             }};
  to["/"] = {2, 2, [](Name, All a, At at) {
               return plain<kD, kD>("div_f64", a, at);
             }};
  to["//"] = {2, 2, [](Name, All a, At at) {
                return plain<kI, kI>("div_i64", a, at);
              }};
  to["%"] = {2, 2, [](Name, All a, At at) {
               return number("mod", a, at);
             }};
  to["NEGATE"] = {1, 1, [](Name, All a, At at) {
                    return number("neg", a, at);
                  }};
  to["AND"] = {2, 2, [](Name, All a, At at) {
                 return plain<kB, kB>("and_b", a, at);
               }};
  to["OR"] = {2, 2, [](Name, All a, At at) {
                return plain<kB, kB>("or_b", a, at);
              }};
  to["NOT"] = {1, 1, [](Name, All a, At at) {
                 return plain<kB>("not_b", a, at);
               }};
  to["BETWEEN"] = {3, 3, &between};
  to["IN"] = {2, kMany, &in_list};
  to["IS NULL"] = {1, 1, &is_null};
  to["CASE"] = {3, kMany, &choose};
  to["||"] = {2, 2, &join_texts};
  for (const auto* const sign : {"=", "<>", "<", "<=", ">", ">="})
    to[sign] = {2, 2, &compare};
}

void Binder::add_named(Functions& to) {
  using Name = const std::string&;
  using All = const Arguments&;
  using At = const Syntax&;
  to["if"] = {3, 3, &choose};
  to["coalesce"] = to["least"] = to["greatest"] = {2, kMany, &fold};
  to["nullif"] = {2, 2, &nullif};
  to["concat"] = {2, kMany, &join_texts};
  to["date_trunc"] = {2, 3, &date_trunc};
  to["hash"] = {1, 2, &hash};
  to["bucketize"] = {2, kMany, &bucketize};
  to["abs"] = {1, 1, [](Name, All a, At at) {
                 return number("abs", a, at);
               }};
  to["pow"] = {2, 2, [](Name, All a, At at) {
                 return plain<kD, kD>("pow_f64", a, at);
               }};
  to["is_nan"] = {1, 1, [](Name, All a, At at) {
                    return plain<kD>("is_nan_f64", a, at);
                  }};
  to["length"] = {1, 1, [](Name, All a, At at) {
                    return plain<kS>("length_str", a, at);
                  }};
  to["substr"] = {3, 3, [](Name, All a, At at) {
                    return plain<kS, kI, kI>("substr_str", a, at);
                  }};
  to["replace"] = {3, 3, [](Name, All a, At at) {
                     return plain<kS, kS, kS>("replace_str", a, at);
                   }};
  to["micros"] = {1, 1, [](Name, All a, At at) {
                    return plain<kT>("ts_to_i64", a, at);
                  }};
  to["timestamp_micros"] = {1, 1, [](Name, All a, At at) {
                              return plain<kI>("i64_to_ts", a, at);
                            }};
  for (const auto* const name : {"floor", "ceil", "round", "sqrt", "exp", "ln"})
    to[name] = {1, 1, [](Name n, All a, At at) {
                  return plain<kD>(n + "_f64", a, at);
                }};
  for (const auto* const name : {"lower", "upper", "trim"})
    to[name] = {1, 1, [](Name n, All a, At at) {
                  return plain<kS>(n + "_str", a, at);
                }};
  for (const auto* const name : {"contains", "starts_with", "ends_with"})
    to[name] = {2, 2, [](Name n, All a, At at) {
                  return plain<kS, kS>(n + "_str", a, at);
                }};
  for (const auto* const name : {"year", "quarter", "month", "week", "day", "day_of_year",
                                 "weekday", "hour", "minute", "second"}) {
    to[name] = {1, 2, &part};
  }
}

const Binder::Functions& Binder::functions() {
  static const Functions known = [] {
    Functions all;
    add_operators(all);
    add_named(all);
    return all;
  }();
  return known;
}

}  // namespace

Result<Expression> Expression::compile(std::string_view text, const std::vector<Input>& inputs) {
  const auto syntax = parse_expression(text);
  if (!syntax) return syntax.error();
  auto node = Binder(inputs).whole(*syntax);
  if (!node) return std::move(node).error();
  return Expression(*std::move(node));
}

}  // namespace strata::platform::expressions
