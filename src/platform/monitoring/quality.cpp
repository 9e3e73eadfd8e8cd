#include "platform/monitoring/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace strata::platform::monitoring {

namespace {

constexpr double kLeast = std::numeric_limits<double>::epsilon();

Json ratio(double part, double whole) {
  return whole > 0 ? Json(part / whole) : Json();
}

Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace

void ScoreCurve::add(double score, std::optional<bool> positive) {
  Point point{rounded_ ? std::round(score * kGrid) / kGrid : score, 0, 0, 1, score};
  if (positive) (*positive ? point.positive : point.negative) = 1;
  points_.push_back(point);
  if (points_.size() >= std::max<std::size_t>(4096, 2 * packed_)) pack();
}

void ScoreCurve::merge(const ScoreCurve& other) {
  rounded_ = rounded_ || other.rounded_;
  points_.insert(points_.end(), other.points_.begin(), other.points_.end());
  if (rounded_) {
    for (Point& point : points_)
      point.score = std::round(point.score * kGrid) / kGrid;
  }
  packed_ = 0;
  pack();
}

// Sorts, with each score once. What is asked for does not change, unless there are too many.
void ScoreCurve::pack() const {
  if (packed_ == points_.size()) return;
  std::ranges::sort(points_, {}, &Point::score);
  std::size_t last = 0;
  for (std::size_t at = 1; at < points_.size(); ++at) {
    const Point& point = points_[at];
    if (point.score != points_[last].score) {
      points_[++last] = point;
      continue;
    }
    points_[last].positive += point.positive;
    points_[last].negative += point.negative;
    points_[last].all += point.all;
    points_[last].sum += point.sum;
  }
  if (!points_.empty()) points_.resize(last + 1);
  packed_ = points_.size();
  if (rounded_ || packed_ <= kMostScores) return;
  rounded_ = true;
  for (Point& point : points_)
    point.score = std::round(point.score * kGrid) / kGrid;
  packed_ = 0;
  pack();
}

std::optional<double> ScoreCurve::area() const {
  pack();
  double below = 0, positives = 0, pairs = 0;
  for (const Point& point : points_) {
    pairs += point.positive * (below + point.negative / 2);
    below += point.negative;
    positives += point.positive;
  }
  if (positives == 0 || below == 0) return std::nullopt;
  return pairs / (positives * below);
}

std::optional<double> ScoreCurve::expected_area() const {
  pack();
  double below = 0, positives = 0, pairs = 0;
  for (const Point& point : points_) {
    const double negative = point.all - point.sum;
    pairs += point.sum * (below + negative / 2);
    below += negative;
    positives += point.sum;
  }
  if (positives <= 0 || below <= 0) return std::nullopt;
  return pairs / (positives * below);
}

double ScoreCurve::error() const {
  pack();
  if (!rounded_) return 0;
  double positives = 0, negatives = 0, tied = 0;
  for (const Point& point : points_) {
    tied += point.positive * point.negative / 2;
    positives += point.positive;
    negatives += point.negative;
  }
  return positives * negatives > 0 ? tied / (positives * negatives) : 0;
}

void Quality::add_number(double answer, std::optional<double> truth, bool binary) {
  ++rows_;
  if (truth) {
    ++labelled_;
    const double error = answer - *truth;
    errors_.add(std::array{*truth, error, std::abs(error)});
  }
  probabilities_ = probabilities_ && answer >= 0 && answer <= 1;
  if (!binary || !probabilities_) return;
  graded_ = graded_ || (answer > 0 && answer < 1);
  const bool said = answer >= threshold_;
  (said ? expected_.tp : expected_.fn) += answer;
  (said ? expected_.fp : expected_.tn) += 1 - answer;
  const auto positive = truth ? std::optional(*truth == 1) : std::nullopt;
  curve_.add(answer, positive);
  if (!truth) return;
  (said ? (*positive ? real_.tp : real_.fp) : (*positive ? real_.fn : real_.tn)) += 1;
  const double held = std::clamp(answer, kLeast, 1 - kLeast);
  losses_.add(std::array{*positive ? -std::log(held) : -std::log1p(-held),
                         (answer - *truth) * (answer - *truth)});
  Bin& bin = bins_[std::min(kBins - 1, static_cast<std::size_t>(answer * kBins))];
  bin.count += 1;
  bin.scores += answer;
  bin.positives += *truth;
}

void Quality::add_class(const std::string& answer, const std::optional<std::string>& truth) {
  ++rows_;
  if (!truth) return;
  ++labelled_;
  if (too_many_classes_) return;
  const auto [at, fresh] = classes_.try_emplace({answer, *truth}, 0.0);
  at->second += 1;
  if (!fresh || classes_.size() <= kMostClasses) return;
  std::set<std::string> names;
  for (const auto& [pair, count] : classes_)
    names.insert({pair.first, pair.second});
  too_many_classes_ = names.size() > kMostClasses;
}

void Quality::merge(const Quality& other) {
  rows_ += other.rows_;
  labelled_ += other.labelled_;
  probabilities_ = probabilities_ && other.probabilities_;
  graded_ = graded_ || other.graded_;
  too_many_classes_ = too_many_classes_ || other.too_many_classes_;
  errors_.merge(other.errors_);
  losses_.merge(other.losses_);
  for (const auto member : {&Confusion::tp, &Confusion::fp, &Confusion::fn, &Confusion::tn}) {
    real_.*member += other.real_.*member;
    expected_.*member += other.expected_.*member;
  }
  curve_.merge(other.curve_);
  for (std::size_t at = 0; at < kBins; ++at) {
    bins_[at].count += other.bins_[at].count;
    bins_[at].scores += other.bins_[at].scores;
    bins_[at].positives += other.bins_[at].positives;
  }
  for (const auto& [pair, count] : other.classes_)
    classes_[pair] += count;
}

Json Quality::figures(Answers answers) const {
  if (labelled_ == 0) return {};
  if (answers == Answers::kRegression) return regression();
  return answers == Answers::kBinary ? binary() : classes();
}

Json Quality::regression() const {
  const double count = errors_.count(), bias = errors_.mean(1);
  const double squared = errors_.co_moment(1, 1) + count * bias * bias;
  const double spread = errors_.co_moment(0, 0);
  return Json::object({{"mae", errors_.mean(2)},
                       {"rmse", std::sqrt(squared / count)},
                       {"bias", bias},
                       {"r2", spread > 0 ? Json(1 - squared / spread) : Json()}});
}

void Quality::put(Json& out, const Confusion& c) {
  out.set("accuracy", ratio(c.tp + c.tn, c.tp + c.fp + c.fn + c.tn));
  out.set("precision", ratio(c.tp, c.tp + c.fp));
  out.set("recall", ratio(c.tp, c.tp + c.fn));
  out.set("f1", ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn));
}

Json Quality::binary() const {
  Json out = Json::object();
  put(out, real_);
  out.set("log_loss", losses_.mean(0));
  out.set("brier", losses_.mean(1));
  out.set("roc_auc", or_null(curve_.area()));
  if (const double error = curve_.error(); error > 0) out.set("roc_auc_error", error);
  double gaps = 0, count = 0;
  for (const Bin& bin : bins_) {
    gaps += std::abs(bin.positives - bin.scores);
    count += bin.count;
  }
  out.set("calibration_error", ratio(gaps, count));
  return out;
}

Json Quality::classes() const {
  if (too_many_classes_) return {};
  std::map<std::string, Confusion> by_class;
  double right = 0, all = 0;
  for (const auto& [pair, count] : classes_) {
    all += count;
    if (pair.first == pair.second) {
      right += count;
      by_class[pair.first].tp += count;
      continue;
    }
    by_class[pair.first].fp += count;
    by_class[pair.second].fn += count;
  }
  const auto share = [](double part, double whole) {
    return whole > 0 ? part / whole : 0.0;
  };
  double precision = 0, recall = 0, f1 = 0;
  for (const auto& [name, c] : by_class) {
    precision += share(c.tp, c.tp + c.fp);
    recall += share(c.tp, c.tp + c.fn);
    f1 += share(2 * c.tp, 2 * c.tp + c.fp + c.fn);
  }
  const auto classes = static_cast<double>(by_class.size());
  return Json::object({{"accuracy", right / all},
                       {"precision", precision / classes},
                       {"recall", recall / classes},
                       {"f1", f1 / classes},
                       {"classes", by_class.size()}});
}

Json Quality::estimated() const {
  if (!probabilities_ || !graded_) return {};
  Json out = Json::object();
  put(out, expected_);
  out.set("roc_auc", or_null(curve_.expected_area()));
  return out;
}

Json Quality::reliability() const {
  Json out = Json::array();
  for (std::size_t at = 0; at < kBins; ++at) {
    const Bin& bin = bins_[at];
    const auto edge = [](std::size_t n) {
      return static_cast<double>(n) / static_cast<double>(kBins);
    };
    out.push(Json::object({{"from", edge(at)},
                           {"to", edge(at + 1)},
                           {"rows", static_cast<std::int64_t>(bin.count)},
                           {"score", ratio(bin.scores, bin.count)},
                           {"observed", ratio(bin.positives, bin.count)}}));
  }
  return out;
}

}  // namespace strata::platform::monitoring
