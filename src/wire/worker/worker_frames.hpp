#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/inference/tensor.hpp"

namespace strata::wire {

// What passes between the server and a process that runs a model written in Python, as the payloads
// of MessageSocket's frames. All numbers are little-endian. The other side runs code of users, so
// what it sends is read as any outsider's bytes are.
//
//   call     u64 id, u32 inputs, u32 parameters, tensors: the inputs, then the parameters
//   answer   u64 id, u8 flags (1: one output without a name of its own), u32 outputs, tensors
//   failure  u64 id (0: the model could not be loaded), u8 FailureKind, text
//   ready    u32 kWorkerFrames
//   tensor   u8 type (the order of ElementType), u8 rank, u16 length, name, i64 dimensions,
//            u64 length, elements; a text is u32 length and UTF-8, a missing one the length 2^32-1
inline constexpr std::uint32_t kWorkerFrames = 1;

enum class WorkerFrame : char { kCall = 'c', kAnswer = 'a', kFailure = 'f', kReady = 'r' };

struct WorkerAnswer {
  std::uint64_t id = 0;
  bool bare = false;
  std::vector<Tensor> outputs;
};

struct WorkerFailure {
  enum class Kind : std::uint8_t { kModel, kRequest, kMemory, kTooLarge, kUnsupported };
  std::uint64_t id = 0;
  Kind kind = Kind::kModel;
  std::string message;  // valid UTF-8
};

// `tensors` are the inputs, and behind the first `inputs` of them the parameters.
std::string encode_worker_call(std::uint64_t id, std::span<const Tensor> tensors,
                               std::size_t inputs);

// Every tensor that is taken has as many elements as its shape says, texts and names are UTF-8,
// booleans 0 or 1. Errors: kMalformed saying what is wrong where.
Result<WorkerAnswer> decode_worker_answer(std::string_view payload);
Result<WorkerFailure> decode_worker_failure(std::string_view payload);
// Errors: kMalformed; kUnsupported for a worker of another version.
Status decode_worker_ready(std::string_view payload);

// What the worker's side does, for tests of both.
std::string encode_worker_answer(const WorkerAnswer& answer);

}  // namespace strata::wire
