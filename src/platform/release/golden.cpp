#include "platform/release/golden.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/statistics/distributions.hpp"
#include "wire/inference/scoring.hpp"

namespace strata::platform::release {

namespace {

using deployment::LiveModel;
using Verdict = GateResult::Verdict;
using wire::ElementType;
using wire::Tensor;

constexpr std::size_t kBatch = 500;      // rows asked at once
constexpr std::size_t kMostValues = 20;  // of a slicing column; the rest is one slice
constexpr double kAlpha = 0.05;
constexpr std::string_view kMetrics[] = {"absolute_error", "squared_error", "log_loss", "brier",
                                         "error_rate"};

void note(GateResult& result, Verdict verdict, std::string_view reason) {
  result.verdict = std::max(result.verdict, verdict);
  if (!result.reason.empty()) result.reason += "; ";
  result.reason += reason;
}

// One answer of a row: a number or a text; of two probabilities that of the second class.
struct Answer {
  std::optional<double> number;
  std::string text;
};

std::optional<Answer> answer_at(const Tensor& tensor, std::size_t row) {
  const auto rows = tensor.shape.empty() ? 0 : static_cast<std::size_t>(tensor.shape[0]);
  const auto width = rows == 0 ? 0 : tensor.count() / rows;
  if (width != 1 && width != 2) return std::nullopt;
  const std::size_t at = row * width + (width - 1);
  if (tensor.type == ElementType::kText) {
    if (width != 1 || tensor.is_missing(at)) return std::nullopt;
    return Answer{std::nullopt, tensor.texts[at]};
  }
  if (tensor.type == ElementType::kFp16) return std::nullopt;
  Answer answer;
  with_element(tensor.type, [&](auto zero) {
    answer.number = static_cast<double>(tensor.as<decltype(zero)>()[at]);
  });
  return answer;
}

std::optional<double> number_of(const Json& label) {
  if (label.is_bool()) return label.as_bool() ? 1.0 : 0.0;
  if (label.is_number()) return label.as_double();
  return std::nullopt;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.as_string() : value.dump();
}

bool is_share(std::optional<double> value) {
  return value && *value >= 0 && *value <= 1;
}

// What fits labels and answers.
std::string_view fitting(std::span<const Answer> answers, std::span<const Json> labels) {
  const bool texts =
      std::ranges::any_of(labels, [](const Json& label) { return label.is_string(); });
  if (texts) return "error_rate";
  const bool binary = std::ranges::all_of(labels, [](const Json& label) {
    const auto value = number_of(label);
    return value && (*value == 0 || *value == 1);
  });
  const auto each = [&](const auto& test) {
    return std::ranges::all_of(answers, [&](const Answer& a) { return test(a.number); });
  };
  if (binary && each([](auto n) { return n && (*n == 0 || *n == 1); })) return "error_rate";
  return binary && each(is_share) ? "log_loss" : "squared_error";
}

// Whether a class was met. A probability stands for the class 1 or 0.
std::optional<double> miss(const Answer& answer, const Json& label) {
  if (!answer.number) return answer.text == text_of(label) ? 0.0 : 1.0;
  const auto wanted = number_of(label);
  if (!wanted) return std::nullopt;
  const bool share = is_share(answer.number) && (*wanted == 0 || *wanted == 1);
  const double met = share ? (*answer.number >= 0.5 ? 1.0 : 0.0) : *answer.number;
  return met == *wanted ? 0.0 : 1.0;
}

std::optional<double> loss_of(std::string_view metric, const Answer& answer, const Json& label) {
  constexpr double kLeast = 1e-15;  // as scikit-learn's log_loss had it: no loss is infinite
  if (metric == "error_rate") return miss(answer, label);
  const auto wanted = number_of(label);
  if (!answer.number || !wanted || !std::isfinite(*answer.number)) return std::nullopt;
  const double off = *answer.number - *wanted;
  if (metric == "absolute_error") return std::abs(off);
  if (metric == "squared_error") return off * off;
  if (!is_share(answer.number) || (*wanted != 0 && *wanted != 1)) return std::nullopt;
  if (metric == "brier") return off * off;
  const double share = std::clamp(*answer.number, kLeast, 1 - kLeast);
  return -std::log(*wanted == 1 ? share : 1 - share);
}

// A comparison in pairs.
struct Compared {
  std::size_t rows = 0;
  double live = 0, candidate = 0, difference = 0, low = 0, high = 0, allowed = 0;
  bool certainly_worse() const { return low > 0 && difference > allowed; }
  bool maybe_worse() const { return high > allowed; }
  Json to_json() const {
    return Json::object({{"rows", rows},
                         {"live", live},
                         {"candidate", candidate},
                         {"difference", difference},
                         {"low", low},
                         {"high", high},
                         {"allowed", allowed}});
  }
};

Compared compare(const Judged& judged, std::span<const std::size_t> rows, double margin,
                 double alpha) {
  Compared out;
  out.rows = rows.size();
  if (rows.empty()) return out;
  const auto count = static_cast<double>(rows.size());
  for (const std::size_t row : rows) {
    out.live += judged.live[row] / count;
    out.candidate += judged.candidate[row] / count;
    out.difference += (judged.candidate[row] - judged.live[row]) / count;
  }
  double squares = 0;
  for (const std::size_t row : rows) {
    const double off = judged.candidate[row] - judged.live[row] - out.difference;
    squares += off * off;
  }
  out.allowed = margin * out.live;
  const double error = count > 1 ? std::sqrt(squares / (count - 1) / count) : INFINITY;
  const double reach =
      error == 0 ? 0 : statistics::student_tail_quantile(alpha / 2, count - 1) * error;
  out.low = count > 1 ? out.difference - reach : -INFINITY;
  out.high = count > 1 ? out.difference + reach : INFINITY;
  return out;
}

using Slices = std::map<std::string, std::vector<std::size_t>>;

// "COLUMN=VALUE" with its rows: the most frequent values of each column, and all others.
Slices slices_of(const Golden& golden, const Judged& judged) {
  Slices out;
  for (std::size_t c = 0; c < judged.slices.size(); ++c) {
    Slices by_value;
    for (std::size_t row = 0; row < judged.slices[c].size(); ++row)
      by_value[judged.slices[c][row]].push_back(row);
    std::vector<std::pair<std::string, std::vector<std::size_t>>> all(by_value.begin(),
                                                                      by_value.end());
    std::ranges::sort(all, [](const auto& a, const auto& b) {
      const auto first = a.second.size(), second = b.second.size();
      return first != second ? first > second : a.first < b.first;
    });
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool own = i < kMostValues;
      auto& rows = out[golden.slices[c] + "=" + (own ? printable(all[i].first, 60) : "(others)")];
      rows.insert(rows.end(), all[i].second.begin(), all[i].second.end());
    }
  }
  return out;
}

std::size_t place_of(std::span<const wire::sql_engine::ColumnInfo> columns, std::string_view name) {
  const auto found = std::ranges::find(columns, name, &wire::sql_engine::ColumnInfo::name);
  return static_cast<std::size_t>(found - columns.begin());
}

// The rows [begin, end) as the version takes them. Errors: those of the binding, naming the column.
Result<inference::Inputs> bind_rows(const LiveModel& model, const GoldenRows& golden,
                                    std::span<const std::size_t> rows) {
  Json names = Json::array();
  std::vector<std::size_t> places;
  for (const auto& column : model.binding->contract().columns) {
    const auto place = place_of(golden.columns, column.name);
    if (place == golden.columns.size()) continue;  // the binding says whether it may be missing
    names.push(column.name);
    places.push_back(place);
  }
  Json data = Json::array();
  for (const std::size_t row : rows) {
    Json values = Json::array();
    for (const std::size_t place : places) {
      const Json& value = golden.rows.as_array()[row].as_array()[place];
      const auto& type = golden.columns[place].type;
      const bool nan =
          value.is_string() && value.as_string() == "NaN" && (type == "DOUBLE" || type == "FLOAT");
      values.push(nan ? Json() : value);
    }
    data.push(std::move(values));
  }
  const Json body = Json::object(
      {{"dataframe_split", Json::object({{"columns", std::move(names)}, {"data", data}})}});
  const auto request = wire::decode_scoring(body.dump(), "application/json");
  if (!request) return request.error();
  return model.binding->bind(*request);
}

// The first output for all rows, batch by batch.
Result<std::vector<Tensor>> answers_of(const LiveModel& model, const GoldenRows& golden,
                                       std::span<const std::size_t> rows,
                                       const std::stop_token& stop) {
  std::vector<Tensor> out;
  for (std::size_t begin = 0; begin < rows.size(); begin += kBatch) {
    const auto batch = rows.subspan(begin, std::min(kBatch, rows.size() - begin));
    const auto inputs = bind_rows(model, golden, batch);
    if (!inputs) return inputs.error();
    const auto taken = model.binding->to_runner(*inputs);
    if (!taken) return taken.error();
    auto outputs = model.runner->run(*taken, stop);
    if (!outputs) return std::move(outputs).error();
    if (outputs->empty() || outputs->front().shape.empty() ||
        static_cast<std::size_t>(outputs->front().shape[0]) != batch.size())
      return invalid("golden", "its first output has not one value for each row");
    out.push_back(std::move(outputs->front()));
  }
  return out;
}

}  // namespace

Json Golden::to_json() const {
  Json list = Json::array();
  for (const auto& slice : slices)
    list.push(slice);
  return Json::object({{"input", input},
                       {"label", label},
                       {"slices", std::move(list)},
                       {"metric", metric},
                       {"margin", margin}});
}

Result<Golden> Golden::from_json(const Json& json) {
  Golden golden;
  golden.input = json.text("input");
  golden.label = json.text("label");
  golden.metric = json.text("metric");
  if (golden.input.empty()) return invalid("golden.input", "golden.input: name a table, or s3://");
  if (golden.label.empty())
    return invalid("golden.label", "golden.label: name the column with the true values");
  if (!golden.metric.empty() && std::ranges::find(kMetrics, golden.metric) == std::end(kMetrics)) {
    return invalid("golden.metric",
                   fmt::format("golden.metric: '{}' is none; use {}", printable(golden.metric),
                               fmt::join(kMetrics, ", ")));
  }
  if (json["slices"].is_array())
    for (const auto& slice : json["slices"].as_array())
      golden.slices.push_back(slice.is_string() ? slice.as_string() : "");
  if (json["margin"].is_number()) golden.margin = json["margin"].as_double();
  if (!(golden.margin >= 0 && golden.margin <= 10))
    return invalid("golden.margin", "golden.margin: must be a share of the loss, from 0 to 10");
  return golden;
}

Status check_columns(const Golden& golden, std::span<const wire::sql_engine::ColumnInfo> columns) {
  const auto known = [&](const std::string& name) {
    return place_of(columns, name) < columns.size();
  };
  if (!known(golden.label)) {
    return invalid("golden.label", fmt::format("golden.label: '{}' has no column '{}'",
                                               printable(golden.input), printable(golden.label)));
  }
  for (const auto& slice : golden.slices) {
    if (known(slice)) continue;
    return invalid("golden.slices", fmt::format("golden.slices: '{}' has no column '{}'",
                                                printable(golden.input), printable(slice)));
  }
  return {};
}

Result<std::vector<double>> losses(std::string& metric, std::span<const Tensor> answers,
                                   std::span<const Json> labels) {
  std::vector<Answer> flat;
  for (const auto& tensor : answers) {
    const auto rows = tensor.shape.empty() ? 0 : static_cast<std::size_t>(tensor.shape[0]);
    for (std::size_t row = 0; row < rows; ++row) {
      auto answer = answer_at(tensor, row);
      if (!answer) {
        return invalid("golden", fmt::format("the answer to row {} is no number and no text, but "
                                             "of shape {}",
                                             flat.size(), wire::show_shape(tensor.shape)));
      }
      flat.push_back(*std::move(answer));
    }
  }
  if (flat.size() != labels.size()) return invalid("golden", "not every row got an answer");
  if (metric.empty()) metric = fitting(flat, labels);
  std::vector<double> out;
  for (std::size_t row = 0; row < flat.size(); ++row) {
    const auto loss = loss_of(metric, flat[row], labels[row]);
    if (!loss) {
      return invalid("golden", fmt::format("row {}: the label {} and the answer {} have no {}", row,
                                           printable(labels[row].dump(), 40),
                                           flat[row].number ? fmt::format("{}", *flat[row].number)
                                                            : printable(flat[row].text, 40),
                                           metric));
    }
    out.push_back(*loss);
  }
  return out;
}

GateResult check_golden(const Golden& golden, const Judged& judged) {
  GateResult result{.gate = "golden"};
  std::vector<std::size_t> all(judged.live.size());
  for (std::size_t row = 0; row < all.size(); ++row)
    all[row] = row;
  const auto whole = compare(judged, all, golden.margin, kAlpha);
  result.numbers = whole.to_json();
  result.numbers.set("metric", judged.metric);
  result.numbers.set("left_out", judged.left_out);
  const auto judge = [&](const Compared& one, const std::string& where) {
    const auto said = fmt::format("{}{} {:.6g}, the live version's {:.6g}", where, judged.metric,
                                  one.candidate, one.live);
    if (one.certainly_worse()) {
      note(result, Verdict::kFail, said + ": certainly worse");
    } else if (one.maybe_worse()) {
      note(result, Verdict::kWarn,
           said + fmt::format(": by the interval it may be worse by {:.3g}", one.high));
    }
  };
  judge(whole, "");
  const auto slices = slices_of(golden, judged);
  const auto judged_slices = std::ranges::count_if(
      slices, [](const auto& slice) { return slice.second.size() >= kFewOfSlice; });
  Json list = Json::array();
  for (const auto& [name, rows] : slices) {
    const auto alpha = kAlpha / static_cast<double>(std::max<std::ptrdiff_t>(judged_slices, 1));
    const auto one = compare(judged, rows, golden.margin, alpha);
    Json shown = one.to_json();
    shown.set("slice", name);
    shown.set("judged", rows.size() >= kFewOfSlice);
    list.push(std::move(shown));
    // A slice is small, so that only what is certain speaks.
    if (rows.size() >= kFewOfSlice && one.certainly_worse()) judge(one, name + ": ");
  }
  result.numbers.set("slices", std::move(list));
  if (result.reason.empty()) {
    result.reason = fmt::format("{} {:.6g} over {} rows, the live version's {:.6g}", judged.metric,
                                whole.candidate, whole.rows, whole.live);
  }
  return result;
}

GateResult ask_golden(const Golden& golden, const GoldenRows& rows, const LiveModel& live,
                      const LiveModel& candidate, const std::stop_token& stop) {
  GateResult result{.gate = "golden"};
  if (live.binding->contract().columns.empty() || candidate.binding->contract().columns.empty()) {
    note(result, Verdict::kWarn, "a version takes tensors, which rows of a table are none of");
    return result;
  }
  Judged judged;
  std::vector<std::size_t> asked;
  std::vector<Json> labels;
  const auto label_at = place_of(rows.columns, golden.label);
  for (std::size_t row = 0; row < rows.rows.size(); ++row) {
    const Json& label = rows.rows.as_array()[row].as_array()[label_at];
    if (label.is_null()) {
      ++judged.left_out;
      continue;
    }
    asked.push_back(row);
    labels.push_back(label);
  }
  if (asked.empty()) {
    note(result, Verdict::kFail,
         fmt::format("'{}' has no row with a label", printable(golden.input)));
    return result;
  }
  for (const auto& slice : golden.slices) {
    auto& values = judged.slices.emplace_back();
    const auto at = place_of(rows.columns, slice);
    for (const std::size_t row : asked)
      values.push_back(text_of(rows.rows.as_array()[row].as_array()[at]));
  }
  judged.metric = golden.metric;
  const auto before = answers_of(live, rows, asked, stop);
  const auto now = answers_of(candidate, rows, asked, stop);
  const auto lost = [&](const auto& answers, std::vector<double>& into) -> Status {
    if (!answers) return answers.error();
    auto of = losses(judged.metric, *answers, labels);
    if (!of) return std::move(of).error();
    into = *std::move(of);
    return {};
  };
  if (const auto first = lost(before, judged.live); !first) {
    note(result, Verdict::kWarn, "the live version cannot be measured: " + first.error().message);
    return result;
  }
  if (const auto second = lost(now, judged.candidate); !second) {
    note(result, Verdict::kFail, second.error().message);
    return result;
  }
  return check_golden(golden, judged);
}

}  // namespace strata::platform::release
