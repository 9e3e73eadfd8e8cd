#pragma once

#include <expected>
#include <type_traits>
#include <utility>

#include "base/error.hpp"

namespace strata {

// A value or the Error that stood in its way. Wraps std::expected because libstdc++ 12 lacks its
// monadic calls and because an ignored result must be a compile error.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : inner_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : inner_(std::unexpected(std::move(error))) {}  // NOLINT(google-explicit-constructor)
  template <class U>
    requires(!std::is_same_v<std::remove_cvref_t<U>, Result> && std::is_convertible_v<U &&, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, T>)
  Result(U&& value) : inner_(T(std::forward<U>(value))) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return inner_.has_value(); }
  explicit operator bool() const { return ok(); }

  T& value() & { return inner_.value(); }
  const T& value() const& { return inner_.value(); }
  T&& value() && { return std::move(inner_).value(); }
  T& operator*() & { return *inner_; }
  const T& operator*() const& { return *inner_; }
  T&& operator*() && { return *std::move(inner_); }
  T* operator->() { return &*inner_; }
  const T* operator->() const { return &*inner_; }
  T value_or(T fallback) const { return ok() ? *inner_ : std::move(fallback); }

  Error& error() & { return inner_.error(); }
  const Error& error() const& { return inner_.error(); }
  Error&& error() && { return std::move(inner_).error(); }

  template <class F>
  auto and_then(F&& next) && -> std::invoke_result_t<F, T&&> {
    if (ok()) return std::forward<F>(next)(std::move(*inner_));
    return std::move(inner_).error();
  }
  template <class F>
  auto transform(F&& map) && -> Result<std::invoke_result_t<F, T&&>> {
    if (ok()) return std::forward<F>(map)(std::move(*inner_));
    return std::move(inner_).error();
  }
  template <class F>
  Result or_else(F&& recover) && {
    if (ok()) return std::move(*this);
    return std::forward<F>(recover)(std::move(inner_).error());
  }

 private:
  std::expected<T, Error> inner_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error)
      : inner_(std::unexpected(std::move(error))) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return inner_.has_value(); }
  explicit operator bool() const { return ok(); }
  Error& error() & { return inner_.error(); }
  const Error& error() const& { return inner_.error(); }
  Error&& error() && { return std::move(inner_).error(); }

  template <class F>
  auto and_then(F&& next) && -> std::invoke_result_t<F> {
    if (ok()) return std::forward<F>(next)();
    return std::move(inner_).error();
  }

 private:
  std::expected<void, Error> inner_;
};

using Status = Result<void>;

// Returns the error of `expression` from the enclosing function when it failed. STRATA_CO_TRY does
// so in a coroutine.
#define STRATA_TRY(expression)                                           \
  do {                                                                   \
    auto strata_try_result = (expression);                               \
    if (!strata_try_result) return std::move(strata_try_result).error(); \
  } while (false)
#define STRATA_CO_TRY(expression)                                           \
  do {                                                                      \
    auto strata_try_result = (expression);                                  \
    if (!strata_try_result) co_return std::move(strata_try_result).error(); \
  } while (false)

}  // namespace strata
