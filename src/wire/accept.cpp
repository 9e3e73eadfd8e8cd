#include "wire/accept.hpp"

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "base/text.hpp"

namespace strata::wire {

namespace {

constexpr int kFull = 1000;

// A weight in thousandths; one that is written otherwise than the grammar says counts as none.
int thousandths(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return kFull;
  if (text.size() > 1 && text[1] != '.') return kFull;
  int value = (text[0] - '0') * kFull;
  int unit = 100;
  for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (digit < '0' || digit > '9') return kFull;
    value += (digit - '0') * unit;
    unit /= 10;
  }
  return std::min(value, kFull);
}

struct Range {
  std::string type;
  int weight = kFull;
};

Range parse_range(std::string_view text) {
  const auto parts = split(text, ';');
  Range range{to_lower(trim(parts.front())), kFull};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto parameter = trim(parts[i]);
    const auto equals = parameter.find('=');
    if (equals != std::string_view::npos && to_lower(trim(parameter.substr(0, equals))) == "q")
      range.weight = thousandths(trim(parameter.substr(equals + 1)));
  }
  return range;
}

// 3 for the type itself, 2 for all of its kind, 1 for all, 0 for none.
int closeness(const Range& range, std::string_view offer) {
  if (range.type == offer) return 3;
  if (range.type == "*/*") return 1;
  const bool kind =
      range.type.ends_with("/*") &&
      offer.starts_with(std::string_view(range.type).substr(0, range.type.size() - 1));
  return kind ? 2 : 0;
}

}  // namespace

std::optional<std::size_t> choose_media(std::string_view accept,
                                        std::span<const std::string_view> offers) {
  if (trim(accept).empty() && !offers.empty()) return 0;
  std::vector<Range> ranges;
  for (const auto& item : split(accept, ','))
    ranges.push_back(parse_range(item));
  // Weight, closeness, and places so that the smaller counts more.
  using Rank = std::tuple<int, int, std::ptrdiff_t>;
  std::optional<std::size_t> best;
  Rank best_rank;
  for (std::size_t offer = 0; offer < offers.size(); ++offer) {
    int close = 0;
    Rank rank;
    for (std::size_t place = 0; place < ranges.size(); ++place) {
      const int fit = closeness(ranges[place], offers[offer]);
      if (fit <= close) continue;  // the range that names the offer most exactly has the say
      close = fit;
      rank = {ranges[place].weight, fit, -static_cast<std::ptrdiff_t>(place)};
    }
    if (close == 0 || std::get<0>(rank) == 0 || (best && rank <= best_rank)) continue;
    best = offer;
    best_rank = rank;
  }
  return best;
}

}  // namespace strata::wire
