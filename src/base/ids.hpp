#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace strata {

// A text id that cannot be mixed up with another kind: UserId and RunId are different types.
template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string text) : text_(std::move(text)) {}

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string text_;
};

using UserId = Id<struct UserTag>;
using TeamId = Id<struct TeamTag>;
using ProjectId = Id<struct ProjectTag>;
using TokenId = Id<struct TokenTag>;
using RunId = Id<struct RunTag>;
using TaskId = Id<struct TaskTag>;
using PredictionId = Id<struct PredictionTag>;

}  // namespace strata

template <class Tag>
struct std::hash<strata::Id<Tag>> {
  std::size_t operator()(const strata::Id<Tag>& id) const noexcept {
    return std::hash<std::string>()(id.str());
  }
};
