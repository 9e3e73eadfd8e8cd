#pragma once

// The functions of which every expression consists: one function a kernel, run over values and
// their null mask, by the row evaluator online and by the SQL engine offline.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace strata::platform::expressions {

// Timestamps are microseconds since 1970 in UTC, within the years 1 to 9999.
enum class Type : std::uint8_t { kBool, kInt64, kDouble, kString, kTimestamp };
inline constexpr std::size_t kTypes = 5;
// "bool", "int64", "double", "string", "timestamp".
std::string_view type_name(Type type);
// These, and SQL's own names for them ("bigint", "varchar"), in any case.
std::optional<Type> parse_type(std::string_view text);

inline constexpr std::int64_t kFirstMicros = -62'135'596'800'000'000;  // 0001-01-01
inline constexpr std::int64_t kLastMicros = 253'402'300'799'999'999;   // 9999-12-31

// Keeps the texts that kernels make, until it is cleared or ends.
class Arena {
 public:
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  void clear() { texts_.clear(); }

 private:
  std::deque<std::string> texts_;
};

// The values of some rows of one type: bool as one byte, int64 and timestamp as std::int64_t,
// double, string as std::string_view. A row's value counts where its byte in `present` is 1; where
// it is 0, the row is NULL.
struct Cells {
  const void* values = nullptr;
  const std::uint8_t* present = nullptr;
};
struct CellsOut {
  void* values = nullptr;
  std::uint8_t* present = nullptr;
};

// Kernels are total and pure: for any arguments they give a value or NULL, and the same one every
// time. NULL comes from a NULL argument (but for those that are about NULL), from an integer that
// does not fit 64 bits, from an integer division by zero, from a cast that has no value, and from a
// time outside of the years 1 to 9999. Doubles are IEEE 754 binary64, rounded to nearest, ties to
// even; every NaN that comes out has one and the same bit pattern. A kernel whose meaning changes
// gets another name, since the versions of definitions rest upon the names.
struct Kernel {
  std::string_view name;  // "add_i64"; the SQL engine has it as "strata_add_i64"
  std::span<const Type> arguments;
  Type result = Type::kBool;
  bool commutative = false;
  // Texts among the results live in the arguments or in `arena`.
  void (*run)(std::span<const Cells> arguments, const CellsOut& out, std::size_t rows,
              Arena& arena) = nullptr;
};

std::span<const Kernel> kernels();
// Null when there is none of that name.
const Kernel* find_kernel(std::string_view name);
// Whether the time zone is known on this machine (IANA name, /usr/share/zoneinfo). May block.
bool is_zone(std::string_view name);

}  // namespace strata::platform::expressions
