#include "platform/release/gates.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "platform/statistics/distributions.hpp"
#include "runtime/pool.hpp"
#include "wire/pickle/pickle_scan.hpp"

namespace strata::platform::release {

namespace {

using deployment::LiveModel;
using inference::Contract;
using inference::Inputs;
using Verdict = GateResult::Verdict;
using wire::ElementType;
using wire::Tensor;
using Outputs = std::vector<Tensor>;

void note(GateResult& result, Verdict verdict, std::string_view reason) {
  result.verdict = std::max(result.verdict, verdict);
  if (!result.reason.empty()) result.reason += "; ";
  result.reason += reason;
}

// Whether every value of a column of type `from` is taken by one of type `to`.
bool takes_all_of(wire::ColumnType from, wire::ColumnType to) {
  using T = wire::ColumnType;
  if (from == to) return true;
  if (from == T::kInteger) return to == T::kLong || to == T::kDouble;
  if (from == T::kFloat) return to == T::kDouble;
  return false;
}

void compare_columns(GateResult& result, const Contract& live, const Contract& candidate) {
  for (const auto& column : candidate.columns) {
    const auto old = std::ranges::find(live.columns, column.name, &inference::Column::name);
    const std::string name = printable(column.name);
    if (old == live.columns.end()) {
      if (column.required)
        note(result, Verdict::kFail, fmt::format("column '{}' is new and required", name));
      continue;
    }
    if (column.required && !old->required)
      note(result, Verdict::kFail, fmt::format("column '{}' became required", name));
    if (!takes_all_of(old->type, column.type)) {
      note(result, Verdict::kFail,
           fmt::format("column '{}' was {} and is {}", name, wire::column_type_name(old->type),
                       wire::column_type_name(column.type)));
    }
  }
  for (const auto& column : live.columns) {
    const auto kept = std::ranges::find(candidate.columns, column.name, &inference::Column::name);
    if (kept == candidate.columns.end())
      note(result, Verdict::kWarn,
           fmt::format("column '{}' is no longer taken", printable(column.name)));
  }
}

bool fits(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to) {
  if (from.size() != to.size()) return false;
  for (std::size_t i = 0; i < from.size(); ++i)
    if (to[i] != from[i] && to[i] >= 0) return false;
  return true;
}

void compare_tensors(GateResult& result, const char* kind, std::span<const wire::TensorSpec> live,
                     std::span<const wire::TensorSpec> candidate) {
  for (const auto& spec : live) {
    const auto now = std::ranges::find(candidate, spec.name, &wire::TensorSpec::name);
    const std::string name = printable(spec.name);
    if (now == candidate.end()) {
      note(result, Verdict::kFail, fmt::format("{} '{}' is gone", kind, name));
    } else if (now->type != spec.type || !fits(spec.shape, now->shape)) {
      note(result, Verdict::kFail,
           fmt::format("{} '{}' was {}{} and is {}{}", kind, name, wire::element_name(spec.type),
                       wire::show_shape(spec.shape), wire::element_name(now->type),
                       wire::show_shape(now->shape)));
    }
  }
}

Result<Outputs> ask(const LiveModel& model, const Inputs& inputs, const std::stop_token& stop) {
  auto taken = model.binding->to_runner(inputs);
  if (!taken) return std::move(taken).error();
  return model.runner->run(*taken, stop);
}

bool same_bits(const Outputs& a, const Outputs& b) {
  return std::ranges::equal(a, b, wire::same_bits);
}

bool finite(const Outputs& outputs) {
  return std::ranges::all_of(outputs, wire::all_finite);
}

// Whether all answers are alike.
struct Constancy {
  std::optional<Outputs> first;
  bool constant = true;
  void add(Outputs outputs) {
    if (first) constant = constant && same_bits(*first, outputs);
    if (!first) first = std::move(outputs);
  }
};

struct Times {
  std::vector<double> micros;
  double quantile(double q) {
    if (micros.empty()) return 0;
    std::ranges::sort(micros);
    return micros[static_cast<std::size_t>(q * static_cast<double>(micros.size() - 1))];
  }
};

// Whether certainly more than a hundredth of the times is beyond the limit: a score test, at one in
// a thousand. Few times say nothing of a hundredth.
bool longer_tail(const std::vector<double>& micros, double limit) {
  constexpr std::size_t kFew = 200;
  constexpr double kShare = 0.01, kChance = 0.001;
  if (micros.size() < kFew) return false;
  const auto count = static_cast<double>(micros.size());
  const auto beyond =
      static_cast<double>(std::ranges::count_if(micros, [&](double v) { return v > limit; }));
  const double z = (beyond - kShare * count) / std::sqrt(count * kShare * (1 - kShare));
  return z > statistics::normal_tail_quantile(kChance);
}

}  // namespace

Json GateResult::to_json() const {
  constexpr std::string_view kNames[] = {"pass", "warn", "fail"};
  return Json::object({{"gate", gate},
                       {"verdict", kNames[static_cast<std::size_t>(verdict)]},
                       {"reason", reason},
                       {"numbers", numbers}});
}

GateResult check_signature(const Contract& live, const Contract& candidate) {
  GateResult result{.gate = "signature"};
  result.numbers = Json::object({{"columns_live", live.columns.size()},
                                 {"columns_candidate", candidate.columns.size()},
                                 {"outputs_live", live.outputs.size()},
                                 {"outputs_candidate", candidate.outputs.size()}});
  if (live.columns.empty() != candidate.columns.empty()) {
    note(result, Verdict::kFail,
         live.columns.empty() ? "it takes columns where tensors were taken"
                              : "it takes tensors where columns were taken");
    return result;
  }
  compare_columns(result, live, candidate);
  compare_tensors(result, "input", live.tensors, candidate.tensors);
  for (const auto& spec : candidate.tensors) {
    if (std::ranges::find(live.tensors, spec.name, &wire::TensorSpec::name) == live.tensors.end())
      note(result, Verdict::kFail, fmt::format("input '{}' is new", printable(spec.name)));
  }
  compare_tensors(result, "output", live.outputs, candidate.outputs);
  if (live.bare_output != candidate.bare_output)
    note(result, Verdict::kFail, "the form of its answers is another");
  if (result.reason.empty()) result.reason = "it takes and gives what the live version does";
  return result;
}

GateResult check_artifacts(Files& files, const std::string& directory,
                           std::span<const models::ModelFile> list) {
  constexpr std::uint64_t kMostBytes = 512U << 20U;
  GateResult result{.gate = "artifacts"};
  std::int64_t pickles = 0;
  Json globals = Json::array();
  for (const auto& file : list) {
    const std::string name = printable(file.path);
    auto opened = files.open(directory + "/" + file.path);
    std::string head(4, '\0');
    const auto got = opened ? (*opened)->read_at(head, 0) : Result<std::size_t>(opened.error());
    if (!got) {
      note(result, Verdict::kFail, fmt::format("'{}' cannot be read", name));
      continue;
    }
    head.resize(*got);
    const bool named = file.path.ends_with(".pkl") || file.path.ends_with(".pickle");
    if (head == "PK\3\4") note(result, Verdict::kWarn, name + " is an archive, not looked into");
    if (!wire::looks_like_pickle(head) && !named) continue;
    ++pickles;
    if (file.size > kMostBytes) {
      note(result, Verdict::kWarn, name + " is too large to be looked into");
      continue;
    }
    const auto scan = files.read_all(directory + "/" + file.path).and_then([](std::string bytes) {
      return wire::scan_pickle(bytes);
    });
    if (!scan) {
      note(result, Verdict::kFail, fmt::format("'{}': {}", name, scan.error().message));
      continue;
    }
    for (const auto& global : scan->globals) {
      const auto danger = wire::danger_of(global);
      if (danger == wire::PickleDanger::kNone) continue;
      const std::string full = printable(global.module + "." + global.name);
      globals.push(full);
      if (danger == wire::PickleDanger::kCode)
        note(result, Verdict::kFail, fmt::format("'{}' calls {} when it is loaded", name, full));
      else
        note(result, Verdict::kWarn, fmt::format("'{}' calls {}, which is not known", name, full));
    }
  }
  result.numbers = Json::object({{"files", list.size()}, {"pickles", pickles}, {"calls", globals}});
  if (result.reason.empty())
    result.reason = fmt::format("{} files, {} of them pickles", list.size(), pickles);
  return result;
}

GateResult check_answers(const LiveModel& live, const LiveModel& candidate,
                         std::span<const Sample> samples, const std::stop_token& stop) {
  GateResult result{.gate = "answers"};
  std::int64_t failed = 0, infinite = 0, unsteady = 0;
  std::string why;
  Constancy of_live, of_candidate;
  for (const auto& sample : samples) {
    if (stop.stop_requested()) break;
    auto expected = ask(live, sample.live, stop);
    auto first = ask(candidate, sample.candidate, stop);
    auto second = ask(candidate, sample.candidate, stop);
    if (!expected) continue;
    if (!first || !second) {
      ++failed;
      why = (first ? second : first).error().message;
      continue;
    }
    if (!finite(*first) && finite(*expected)) ++infinite;
    if (!same_bits(*first, *second)) ++unsteady;
    of_live.add(*std::move(expected));
    of_candidate.add(*std::move(first));
  }
  const bool constant = samples.size() >= kFewSamples && of_candidate.constant && !of_live.constant;
  result.numbers = Json::object({{"requests", samples.size()},
                                 {"failed", failed},
                                 {"not_finite", infinite},
                                 {"not_deterministic", unsteady},
                                 {"constant", constant}});
  if (failed > 0)
    note(result, Verdict::kFail,
         fmt::format("{} of {} requests that the live version answers fail: "
                     "{}",
                     failed, samples.size(), printable(why, 200)));
  if (infinite > 0)
    note(result, Verdict::kFail,
         fmt::format("{} of {} answers have NaN or infinity, where the live "
                     "version's have none",
                     infinite, samples.size()));
  if (unsteady > 0)
    note(result, Verdict::kFail,
         fmt::format("{} of {} requests got two different answers", unsteady, samples.size()));
  if (constant) note(result, Verdict::kFail, "every answer is the same, whatever is asked");
  if (samples.size() < kFewSamples)
    note(result, Verdict::kWarn,
         fmt::format("only {} recorded requests to ask again", samples.size()));
  if (result.reason.empty())
    result.reason = fmt::format("{} recorded requests answered, twice alike", samples.size());
  return result;
}

GateResult check_load(const LiveModel& live, const LiveModel& candidate,
                      std::span<const Sample> samples, const Limits& limits, const Clock& clock,
                      std::size_t threads, std::chrono::milliseconds time,
                      const std::stop_token& stop) {
  GateResult result{.gate = "load"};
  if (samples.empty()) {
    note(result, Verdict::kWarn, "there is no request to ask");
    return result;
  }
  constexpr std::size_t kMost = 2'000;  // of each thread
  const auto end = clock.steady() + time;
  std::mutex mutex;
  Times of_live, of_candidate;
  const auto load = [&](std::size_t from) {
    std::vector<double> times[2];
    for (std::size_t i = 0; i < kMost && clock.steady() < end && !stop.stop_requested(); ++i) {
      const auto& sample = samples[(from + i) % samples.size()];
      for (const bool second : {false, true}) {
        const auto begin = clock.steady();
        const auto answer =
            second ? ask(candidate, sample.candidate, stop) : ask(live, sample.live, stop);
        const std::chrono::duration<double, std::micro> took = clock.steady() - begin;
        if (answer) times[second ? 1 : 0].push_back(took.count());
      }
    }
    const std::lock_guard lock(mutex);
    of_live.micros.insert(of_live.micros.end(), times[0].begin(), times[0].end());
    of_candidate.micros.insert(of_candidate.micros.end(), times[1].begin(), times[1].end());
  };
  {
    BlockingPool workers(threads);
    for (std::size_t i = 0; i < threads; ++i)
      workers.submit([&load, i] { load(i * 37); });
    workers.stop();
  }
  const double tail_live = of_live.quantile(0.99);
  const double tail_limit =
      limits.tail_ratio * (tail_live + kLatencyFloorMicros) - kLatencyFloorMicros;
  const bool slow_tail = longer_tail(of_candidate.micros, tail_limit);
  const double before = of_live.quantile(0.5), now = of_candidate.quantile(0.5);
  const double ratio = (now + kLatencyFloorMicros) / (before + kLatencyFloorMicros);
  result.numbers = Json::object({{"threads", threads},
                                 {"requests", of_candidate.micros.size()},
                                 {"median_us_live", before},
                                 {"median_us_candidate", now},
                                 {"p99_us_live", tail_live},
                                 {"p99_us_candidate", of_candidate.quantile(0.99)},
                                 {"ratio", ratio},
                                 {"limit", limits.latency_ratio},
                                 {"p99_us_limit", tail_limit}});
  if (of_candidate.micros.empty()) {
    note(result, Verdict::kFail, "it answered nothing under load");
  } else if (ratio > limits.latency_ratio) {
    note(result, Verdict::kFail,
         fmt::format("a request takes {:.0f} us where the live version takes "
                     "{:.0f}",
                     now, before));
  } else if (slow_tail) {
    note(result, Verdict::kFail,
         fmt::format("its slowest hundredth of requests takes {:.0f} us and more, the live "
                     "version's {:.0f}; the limit is {:.0f}",
                     of_candidate.quantile(0.99), tail_live, tail_limit));
  } else {
    result.reason = fmt::format("{:.0f} us a request, the live version {:.0f}", now, before);
  }
  return result;
}

GateResult check_inputs(const Probed& live, const Probed& candidate) {
  GateResult result{.gate = "inputs"};
  if (!candidate) {
    note(result, live ? Verdict::kFail : Verdict::kWarn,
         fmt::format("legal requests could not be asked{}: {}", live ? "" : " of either version",
                     printable(candidate.error().message, 300)));
    return result;
  }
  if (!live)
    note(result, Verdict::kWarn,
         "the live version ended or overran its process, so nothing is compared");
  std::int64_t failed = 0, infinite = 0, unsteady = 0;
  for (std::size_t i = 0; i < candidate->cases.size(); ++i) {
    const char now = candidate->cases[i];
    const char before = live && i < live->cases.size() ? live->cases[i] : '.';
    if (now == before || before == 'f') continue;  // nothing is expected where it fails itself
    failed += now == 'f' ? 1 : 0;
    infinite += now == 'n' ? 1 : 0;
    unsteady += now == 'd' ? 1 : 0;
  }
  result.numbers = Json::object({{"requests", candidate->cases.size()},
                                 {"failed", failed},
                                 {"not_finite", infinite},
                                 {"not_deterministic", unsteady}});
  const auto worse = live ? Verdict::kFail : Verdict::kWarn;
  if (failed > 0)
    note(result, worse,
         fmt::format("{} legal requests fail: {}", failed, printable(candidate->failure, 400)));
  if (infinite > 0)
    note(result, worse, fmt::format("{} legal requests get NaN or infinity", infinite));
  if (unsteady > 0)
    note(result, worse, fmt::format("{} legal requests get two different answers", unsteady));
  if (result.reason.empty())
    result.reason =
        fmt::format("{} legal requests made up, answered as well as by the live version",
                    candidate->cases.size());
  return result;
}

GateResult check_memory(const Probed& live, const Probed& candidate, const Limits& limits) {
  constexpr double kMega = 1 << 20;
  GateResult result{.gate = "memory"};
  const auto held = [](const Probed& probed) {
    return probed ? static_cast<double>(probed->memory_bytes) : 0.0;
  };
  const double before = held(live), now = held(candidate);
  if (before == 0 || now == 0) {
    note(result, Verdict::kWarn, "the memory of one of the versions is not known");
    return result;
  }
  const double ratio = (now + kMemoryFloor) / (before + kMemoryFloor);
  result.numbers = Json::object({{"mebibytes_live", before / kMega},
                                 {"mebibytes_candidate", now / kMega},
                                 {"ratio", ratio},
                                 {"limit", limits.memory_ratio}});
  if (ratio > limits.memory_ratio) {
    note(result, Verdict::kFail,
         fmt::format("its process held {:.0f} MiB, the live version's {:.0f}", now / kMega,
                     before / kMega));
  } else {
    result.reason = fmt::format("{:.0f} MiB, the live version {:.0f}", now / kMega, before / kMega);
  }
  return result;
}

GateResult check_questions(const Json& report) {
  GateResult result{.gate = "questions"};
  if (!report["questions"].is_array()) {
    note(result, Verdict::kWarn, "nothing is recorded yet about this version");
    return result;
  }
  for (const auto& question : report["questions"].as_array()) {
    const std::string name = question.text("question"), verdict = question.text("verdict");
    result.numbers.set(name, verdict);
    if (verdict == "good") continue;
    std::string why = name + " is " + verdict;
    if (question["evidence"].is_array() && question["evidence"].size() > 0)
      why += ": " + question["evidence"].as_array().front().text("text");
    note(result, verdict == "bad" ? Verdict::kFail : Verdict::kWarn, why);
  }
  if (result.reason.empty()) result.reason = "all five are good";
  return result;
}

}  // namespace strata::platform::release
