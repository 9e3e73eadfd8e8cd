#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "platform/statistics/moments.hpp"

namespace strata::platform::monitoring {

// What a model's answers are, and so which figures there are.
enum class Answers : std::uint8_t { kRegression, kBinary, kClasses };

// The scores of a binary classifier with what became of them: enough for the area under the ROC
// curve, exactly, and mergeable. From kMostScores different ones on they are rounded to 1 /
// kGrid, and the area is known within error().
class ScoreCurve {
 public:
  static constexpr std::size_t kMostScores = 32'768;
  static constexpr double kGrid = 16'384;

  // `positive` is absent where no label is known.
  void add(double score, std::optional<bool> positive);
  void merge(const ScoreCurve& other);
  // Of the labelled scores (Mann and Whitney 1947); nothing when they are of one class.
  std::optional<double> area() const;
  // Of all scores, were each the probability of its own label; nothing when that is certain.
  std::optional<double> expected_area() const;
  // How far area() may be from the exact one.
  double error() const;

 private:
  struct Point {
    double score = 0;
    double positive = 0, negative = 0, all = 0, sum = 0;  // `sum` of the exact scores
  };
  void pack() const;

  mutable std::vector<Point> points_;
  mutable std::size_t packed_ = 0;  // so many at the front are sorted, each score once
  mutable bool rounded_ = false;
};

// How good answers were: figures of the rows of a stretch of time, mergeable.
//
// Regression: mean absolute and root mean squared error, bias (answer less label), R2. Binary, by
// the score of class 1: accuracy, precision, recall and F1 at a threshold, log loss (scores held
// within 2^-52 of 0 and 1), Brier score, area under the ROC curve, expected calibration error over
// ten bins of equal width (Naeini et al. 2015). Classes: accuracy, and precision, recall and F1 as
// the mean over all classes that were answered or true. What is undefined is null.
//
// Estimates without labels, of binary answers: each score is taken for the probability that the
// answer is right, and the confusion matrix is the sum of what is expected (confidence-based
// performance estimation, NannyML). They hold as far as the scores are calibrated and the relation
// between inputs and labels stays as it is; the calibration error says the former.
class Quality {
 public:
  static constexpr std::size_t kMostClasses = 100;
  static constexpr std::size_t kBins = 10;

  explicit Quality(double threshold = 0.5) : threshold_(threshold) {}

  // `truth` is absent where no label is known yet.
  void add_number(double answer, std::optional<double> truth, bool binary);
  void add_class(const std::string& answer, const std::optional<std::string>& truth);
  void merge(const Quality& other);

  std::int64_t rows() const { return rows_; }
  std::int64_t labelled() const { return labelled_; }
  // Whether all answers could be probabilities, and some is neither 0 nor 1.
  bool probabilities() const { return probabilities_; }
  bool graded() const { return graded_; }
  bool too_many_classes() const { return too_many_classes_; }

  Json figures(Answers answers) const;
  // Null unless the answers are probabilities.
  Json estimated() const;
  Json reliability() const;

 private:
  struct Bin {
    double count = 0, scores = 0, positives = 0;
  };
  struct Confusion {
    double tp = 0, fp = 0, fn = 0, tn = 0;
  };
  static void put(Json& out, const Confusion& counts);
  Json regression() const;
  Json binary() const;
  Json classes() const;

  double threshold_;
  std::int64_t rows_ = 0, labelled_ = 0;
  bool probabilities_ = true, graded_ = false, too_many_classes_ = false;
  statistics::Moments errors_{3};  // label, answer less label, its absolute value
  statistics::Moments losses_{2};  // log loss, squared difference
  Confusion real_, expected_;
  ScoreCurve curve_;
  std::array<Bin, kBins> bins_{};
  std::map<std::pair<std::string, std::string>, double> classes_;  // answered, true
};

}  // namespace strata::platform::monitoring
