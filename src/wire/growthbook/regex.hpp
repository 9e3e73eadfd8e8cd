#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace re2 {
class RE2;
}

namespace strata::wire::growthbook {

// The most bytes that a pattern may have.
inline constexpr std::size_t kMaxPattern = 4096;

// An ECMAScript pattern (ECMA-262, annex B, without the u flag), searched in time that is linear in
// the text whatever the pattern: it is rewritten for RE2 and matched on UTF-16 code units, as
// JavaScript does. Look-around and references to groups cannot be had in linear time and are
// refused. Any thread may search.
class Regex {
 public:
  // `fold` is the i flag. Errors: kInvalidArgument saying what of the pattern cannot be run.
  static Result<Regex> compile(std::string_view pattern, bool fold);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // Whether it matches anywhere in `text` (UTF-8).
  bool search(std::string_view text) const;

 private:
  explicit Regex(std::unique_ptr<re2::RE2> engine);
  std::unique_ptr<re2::RE2> engine_;
};

}  // namespace strata::wire::growthbook
