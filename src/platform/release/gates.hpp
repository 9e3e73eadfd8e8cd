#pragma once

#include <chrono>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "platform/deployment/deployment.hpp"
#include "platform/release/evidence.hpp"
#include "runtime/clock.hpp"
#include "runtime/files.hpp"

namespace strata::platform::release {

// What one gate said before a release: it holds, it holds with a doubt, or it does not.
struct GateResult {
  enum class Verdict : std::uint8_t { kPass, kWarn, kFail };
  std::string gate;  // "signature", "answers", "load", "questions" ...
  Verdict verdict = Verdict::kPass;
  std::string reason{};
  Json numbers = Json::object();
  bool failed() const { return verdict == Verdict::kFail; }
  Json to_json() const;
};

// The recorded requests that gates ask again, at most.
inline constexpr std::size_t kGateSamples = 200;
// Fewer of them say little.
inline constexpr std::size_t kFewSamples = 20;

// Whether whoever sends what the live version takes is understood by the candidate, and gets what
// it got. Fails for a column or tensor that is new and required, made required, or of a type that
// takes less, and for an output that is gone or of another type; warns of what is no longer taken.
GateResult check_signature(const inference::Contract& live, const inference::Contract& candidate);

// What the pickles among a version's files, which lie in `directory`, would call when they are
// loaded; nothing of them is run. Fails for what runs commands or code, opens files or connections,
// and for a pickle that cannot be read; warns of code of somebody's own and of archives, which are
// not looked into. Blocks.
GateResult check_artifacts(Files& files, const std::string& directory,
                           std::span<const models::ModelFile> list);

// The same requests to a live version and a candidate: recorded inputs, bound for each.
struct Sample {
  inference::Inputs live, candidate;
};

// Asks both models each sample on the calling thread, the candidate twice. Fails when the candidate
// fails, or gives NaN or infinity, where the live version did not, when two answers to one request
// differ in a bit, or when it answers all requests alike and the live version does not.
GateResult check_answers(const deployment::LiveModel& live, const deployment::LiveModel& candidate,
                         std::span<const Sample> samples, const std::stop_token& stop);

// Puts load on both models in turns, with `threads` threads of its own for at most `time`. Fails
// when the candidate's median time is beyond the limit of the plan, as that of requests will be, or
// certainly more than one in a hundred of its answers takes longer than the live version's slowest
// hundredth by the limit of the tail.
GateResult check_load(const deployment::LiveModel& live, const deployment::LiveModel& candidate,
                      std::span<const Sample> samples, const Limits& limits, const Clock& clock,
                      std::size_t threads, std::chrono::milliseconds time,
                      const std::stop_token& stop);

// What a version made of legal requests; or why nothing is known: it ended or overran its process.
using Probed = Result<inference::ProbeReport>;
// The requests that each version is asked.
inline constexpr std::size_t kProbes = 200;

// Compares what both versions made of the same legal requests. Fails when one of them ended the
// candidate's process, or where the candidate fails, gives NaN or infinity or two answers, and the
// live version does not.
GateResult check_inputs(const Probed& live, const Probed& candidate);

// Fails when the candidate's process held more memory than the live version's by the limit of the
// plan, each over kMemoryFloor. Warns where either is not known.
GateResult check_memory(const Probed& live, const Probed& candidate, const Limits& limits);

// What the five questions about the candidate say; `report` is null where nothing is recorded.
// Fails when one is bad.
GateResult check_questions(const Json& report);

}  // namespace strata::platform::release
