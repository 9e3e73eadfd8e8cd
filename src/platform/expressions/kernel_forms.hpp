#pragma once

// How a plain function on one row's values becomes a kernel. Private to the room.

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "platform/expressions/kernels.hpp"

namespace strata::platform::expressions {

struct Micros {
  std::int64_t value = 0;
};

// An argument that may be NULL, for the functions that are about NULL.
template <class T>
struct Maybe {
  bool present = false;
  T value{};
};

template <class T>
struct Unwrapped {
  using type = T;
  static constexpr bool kMaybe = false;
};
template <class T>
struct Unwrapped<Maybe<T>> {
  using type = T;
  static constexpr bool kMaybe = true;
};

template <class T>
constexpr Type type_of() {
  if constexpr (std::is_same_v<T, bool>) return Type::kBool;
  if constexpr (std::is_same_v<T, std::int64_t>) return Type::kInt64;
  if constexpr (std::is_same_v<T, double>) return Type::kDouble;
  if constexpr (std::is_same_v<T, std::string_view>) return Type::kString;
  return Type::kTimestamp;
}

template <class T>
T cell(const Cells& cells, std::size_t row) {
  if constexpr (std::is_same_v<T, bool>) {
    return static_cast<const std::uint8_t*>(cells.values)[row] != 0;
  } else if constexpr (std::is_same_v<T, Micros>) {
    return Micros{static_cast<const std::int64_t*>(cells.values)[row]};
  } else {
    return static_cast<const T*>(cells.values)[row];
  }
}

// Stores a result and says whether it is one: a time may lie outside of what there is.
template <class T>
bool put(const CellsOut& out, std::size_t row, T value) {
  if constexpr (std::is_same_v<T, bool>) {
    static_cast<std::uint8_t*>(out.values)[row] = value ? 1 : 0;
  } else if constexpr (std::is_same_v<T, Micros>) {
    if (value.value < kFirstMicros || value.value > kLastMicros) return false;
    static_cast<std::int64_t*>(out.values)[row] = value.value;
  } else if constexpr (std::is_same_v<T, double>) {
    static_cast<double*>(out.values)[row] =
        std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
  } else {
    static_cast<T*>(out.values)[row] = value;
  }
  return true;
}

// `F` gives false for NULL. It is called only with values, unless it takes Maybe.
template <auto F>
struct Form;
template <class R, class... A, bool (*F)(Arena&, R&, A...)>
struct Form<F> {
  static constexpr std::array<Type, sizeof...(A)> kArguments = {
      type_of<typename Unwrapped<A>::type>()...};

  template <class T>
  static T argument(const Cells& cells, std::size_t row) {
    if constexpr (Unwrapped<T>::kMaybe) {
      if (cells.present[row] == 0) return {};
      return {true, cell<typename Unwrapped<T>::type>(cells, row)};
    } else {
      return cell<T>(cells, row);
    }
  }

  template <std::size_t... I>
  static void run_rows(std::span<const Cells> arguments, const CellsOut& out, std::size_t rows,
                       Arena& arena, std::index_sequence<I...>) {
    for (std::size_t row = 0; row < rows; ++row) {
      const bool ready = ((Unwrapped<A>::kMaybe || arguments[I].present[row] != 0) && ...);
      R result{};
      bool is_value = ready && F(arena, result, argument<A>(arguments[I], row)...);
      is_value = is_value && put(out, row, result);
      if (!is_value) put(out, row, R{});
      out.present[row] = is_value ? 1 : 0;
    }
  }

  static void run(std::span<const Cells> arguments, const CellsOut& out, std::size_t rows,
                  Arena& arena) {
    run_rows(arguments, out, rows, arena, std::index_sequence_for<A...>());
  }

  static constexpr Kernel kernel(std::string_view name, bool commutative) {
    return {name, kArguments, type_of<R>(), commutative, &run};
  }
};

template <auto F>
constexpr Kernel kernel(std::string_view name, bool commutative = false) {
  return Form<F>::kernel(name, commutative);
}

// Each file of kernels adds its own.
void add_number_kernels(std::vector<Kernel>& to);
void add_logic_kernels(std::vector<Kernel>& to);
void add_text_kernels(std::vector<Kernel>& to);
void add_time_kernels(std::vector<Kernel>& to);

// RFC 3339 with six digits, and what it and SQL write; also "2026-01-02" and a blank for the T,
// where nothing says otherwise in UTC.
std::string time_text(Micros time);
bool parse_time(std::string_view text, Micros& out);

}  // namespace strata::platform::expressions
