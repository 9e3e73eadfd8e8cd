#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "platform/drift/drift.hpp"

namespace strata::platform::drift {

namespace {

// JSON has no infinity: it is written as a text.
double read_number(const Json& json) {
  if (!json.is_string()) return json.as_double();
  return json.as_string() == "-Infinity" ? -HUGE_VAL : HUGE_VAL;
}

}  // namespace

Profile::Profile(std::shared_ptr<const Bins> bins)
    : bins_(std::move(bins)),
      counts_(bins_->size()) {}

void Profile::add(double value) {
  if (std::isnan(value)) return add_missing();
  ++counts_[bins_->index(value)];
  least_ = present_ == 0 ? value : std::min(least_, value);
  greatest_ = present_ == 0 ? value : std::max(greatest_, value);
  ++present_;
  if (std::isfinite(value)) moments_.add(value);
}

void Profile::add(std::string_view value) {
  ++counts_[bins_->index(value)];
  ++present_;
}

void Profile::merge(const Profile& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  if (other.present_ > 0) {
    least_ = present_ == 0 ? other.least_ : std::min(least_, other.least_);
    greatest_ = present_ == 0 ? other.greatest_ : std::max(greatest_, other.greatest_);
  }
  missing_ += other.missing_;
  present_ += other.present_;
  moments_.merge(other.moments_);
}

Json Profile::to_json() const {
  Json counts = Json::array();
  for (const auto count : counts_)
    counts.push(count);
  Json out = Json::object({{"counts", std::move(counts)}, {"missing", missing_}});
  if (bins_->kind() == Kind::kCategory || present_ == 0) return out;
  out.set("least", least_);
  out.set("greatest", greatest_);
  if (moments_.count() == 0) return out;
  out.set("finite", static_cast<std::int64_t>(moments_.count()));
  out.set("mean", moments_.mean(0));
  out.set("deviations", moments_.co_moment(0, 0));
  return out;
}

Result<Profile> Profile::from_json(std::shared_ptr<const Bins> bins, const Json& json) {
  Profile profile(std::move(bins));
  const Json& counts = json["counts"];
  if (!counts.is_array() || counts.size() != profile.counts_.size())
    return Error(Code::kDataLoss, "profile: its counts do not fit its bins");
  for (std::size_t i = 0; i < profile.counts_.size(); ++i) {
    const Json& count = counts.as_array()[i];
    if (!count.is_int() || count.as_int() < 0)
      return Error(Code::kDataLoss, "profile: a count that is no whole number");
    profile.counts_[i] = count.as_uint64();
    profile.present_ += profile.counts_[i];
  }
  profile.missing_ = static_cast<std::uint64_t>(json.integer("missing"));
  profile.least_ = read_number(json["least"]);
  profile.greatest_ = read_number(json["greatest"]);
  const double finite = json.number("finite");
  if (finite > 0) {
    const double mean = json.number("mean");
    const double variance = finite > 1 ? json.number("deviations") / (finite - 1) : 0;
    auto moments = statistics::Moments::from(finite, std::span(&mean, 1), std::span(&variance, 1));
    if (!moments) return std::move(moments).error();
    profile.moments_ = *std::move(moments);
  }
  return profile;
}

}  // namespace strata::platform::drift
