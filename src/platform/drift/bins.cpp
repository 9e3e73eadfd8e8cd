#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "platform/drift/drift.hpp"

namespace strata::platform::drift {

namespace {

// The least edge is just below the least value, so that this value is within the range.
double just_below(double value) {
  return std::nextafter(value, -std::numeric_limits<double>::infinity());
}

Error malformed(std::string_view why) {
  return Error(Code::kDataLoss, fmt::format("bins: {}", why));
}

}  // namespace

Result<Bins> Bins::of_numbers(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty())
    return invalid("reference", "reference: has no finite number to make bins of");
  std::sort(values.begin(), values.end());
  Bins bins;
  bins.edges_.push_back(just_below(values.front()));
  std::vector<double> distinct;
  std::unique_copy(values.begin(), values.end(), std::back_inserter(distinct));
  if (distinct.size() <= kMaxBins) {
    bins.edges_.insert(bins.edges_.end(), distinct.begin(), distinct.end());
    return bins;
  }
  // A value so frequent that it spans several quantiles makes one edge only.
  for (std::size_t i = 1; i <= kMaxBins; ++i) {
    const std::size_t at = (values.size() * i + kMaxBins - 1) / kMaxBins - 1;
    if (values[at] > bins.edges_.back()) bins.edges_.push_back(values[at]);
  }
  return bins;
}

Result<Bins> Bins::of_texts(std::span<const std::string> values) {
  if (values.empty()) return invalid("reference", "reference: has no text to make bins of");
  std::map<std::string_view, std::size_t> counts;
  for (const auto& value : values)
    ++counts[value];
  std::vector<std::pair<std::string_view, std::size_t>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (sorted.size() > kMaxCategories) sorted.resize(kMaxCategories);
  Bins bins;
  bins.kind_ = Kind::kCategory;
  for (const auto& [text, count] : sorted) {
    bins.places_.emplace(text, bins.categories_.size());
    bins.categories_.emplace_back(text);
  }
  return bins;
}

Result<Bins> Bins::from_json(const Json& json) {
  Bins bins;
  if (json["categories"].is_array()) {
    bins.kind_ = Kind::kCategory;
    for (const Json& category : json["categories"].as_array()) {
      if (!category.is_string()) return malformed("a category that is no text");
      if (!bins.places_.emplace(category.as_string(), bins.categories_.size()).second)
        return malformed("a category twice");
      bins.categories_.push_back(category.as_string());
    }
  } else if (json["edges"].is_array()) {
    for (const Json& edge : json["edges"].as_array()) {
      if (!edge.is_number()) return malformed("an edge that is no number");
      const double value = edge.as_double();
      if (!bins.edges_.empty() && !(value > bins.edges_.back()))
        return malformed("edges that do not rise");
      bins.edges_.push_back(value);
    }
  }
  if (bins.size() < 2) return malformed("neither edges nor categories");
  return bins;
}

Json Bins::to_json() const {
  Json list = Json::array();
  for (const double edge : edges_)
    list.push(edge);
  for (const auto& category : categories_)
    list.push(category);
  Json out = Json::object();
  out.set(kind_ == Kind::kNumber ? "edges" : "categories", std::move(list));
  return out;
}

std::size_t Bins::size() const {
  return (kind_ == Kind::kNumber ? edges_.size() : categories_.size()) + 1;
}

std::size_t Bins::index(double value) const {
  return static_cast<std::size_t>(std::lower_bound(edges_.begin(), edges_.end(), value) -
                                  edges_.begin());
}

std::size_t Bins::index(std::string_view value) const {
  const auto found = places_.find(value);
  return found == places_.end() ? categories_.size() : found->second;
}

std::string Bins::label(std::size_t bin) const {
  if (kind_ == Kind::kCategory) return bin < categories_.size() ? categories_[bin] : "others";
  if (bin == 0) return "below the reference";
  if (bin == edges_.size()) return "above the reference";
  if (bin == 1) return fmt::format("up to {:.6g}", edges_[1]);
  return fmt::format("{:.6g} to {:.6g}", edges_[bin - 1], edges_[bin]);
}

}  // namespace strata::platform::drift
