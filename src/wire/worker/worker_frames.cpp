#include "wire/worker/worker_frames.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "base/bytes.hpp"

namespace strata::wire {

namespace {

constexpr std::uint32_t kMissingText = 0xFFFF'FFFFU;
constexpr std::size_t kMostTensors = 65'536;
constexpr std::size_t kMostRank = 16;
constexpr std::uint8_t kBare = 1;

// Both sides are little-endian machines: the server is built for no other.
template <class T>
void put(std::string& out, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  out.append(raw, sizeof value);
}

std::size_t text_bytes(const Tensor& tensor) {
  std::size_t size = 0;
  for (const auto& text : tensor.texts)
    size += sizeof(std::uint32_t) + text.size();
  return size;
}

void put_tensor(std::string& out, const Tensor& tensor) {
  const auto name = std::string_view(tensor.name).substr(0, 0xFFFF);
  put(out, static_cast<std::uint8_t>(tensor.type));
  put(out, static_cast<std::uint8_t>(tensor.shape.size()));
  put(out, static_cast<std::uint16_t>(name.size()));
  out += name;
  for (const auto dimension : tensor.shape)
    put(out, dimension);
  if (tensor.type != ElementType::kText) {
    put(out, static_cast<std::uint64_t>(tensor.bytes().size()));
    out.append(tensor.bytes().data(), tensor.bytes().size());
    return;
  }
  put(out, static_cast<std::uint64_t>(text_bytes(tensor)));
  for (std::size_t i = 0; i < tensor.texts.size(); ++i) {
    const auto length = static_cast<std::uint32_t>(tensor.texts[i].size());
    put(out, tensor.is_missing(i) ? kMissingText : length);
    if (!tensor.is_missing(i)) out += tensor.texts[i];
  }
}

std::size_t bytes_of(std::span<const Tensor> tensors) {
  std::size_t size = 32;
  for (const auto& tensor : tensors)
    size += tensor.name.size() + tensor.shape.size() * 8 + tensor.bytes().size() +
            text_bytes(tensor) + 16;
  return size;
}

class FrameReader {
 public:
  explicit FrameReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  std::optional<T> number() {
    if (rest_.size() < sizeof(T)) return std::nullopt;
    T value{};
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::optional<std::string_view> bytes(std::uint64_t size) {
    if (rest_.size() < size) return std::nullopt;
    const auto taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

Error bad(std::string what) {
  return Error(Code::kMalformed, std::move(what));
}

Error bad_output(std::size_t index, std::string_view what) {
  return bad(fmt::format("output {}: {}", index, what));
}

Status read_texts(Tensor& tensor, std::size_t count, std::string_view bytes, std::size_t index) {
  FrameReader reader(bytes);
  // A text takes four bytes at least, so the room is bounded by what was sent.
  if (count > bytes.size() / sizeof(std::uint32_t))
    return bad_output(index, "has fewer texts than its shape says");
  tensor.texts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto length = reader.number<std::uint32_t>();
    if (!length) return bad_output(index, "has fewer texts than its shape says");
    if (*length == kMissingText) {
      tensor.missing.resize(count);
      tensor.missing[i] = 1;
      tensor.texts.emplace_back();
      continue;
    }
    const auto text = reader.bytes(*length);
    if (!text) return bad_output(index, "has a text that is cut off");
    if (!is_utf8(*text)) return bad_output(index, "has a text that is not UTF-8");
    tensor.texts.emplace_back(*text);
  }
  if (!reader.rest().empty()) return bad_output(index, "has more texts than its shape says");
  return {};
}

Result<Tensor> read_tensor(FrameReader& reader, std::size_t index) {
  const auto type = reader.number<std::uint8_t>();
  const auto rank = reader.number<std::uint8_t>();
  const auto length = reader.number<std::uint16_t>();
  if (!type || !rank || !length) return bad_output(index, "is cut off");
  if (*type > static_cast<std::uint8_t>(ElementType::kText) || *rank > kMostRank)
    return bad_output(index, "has an impossible type or rank");
  const auto name = reader.bytes(*length);
  if (!name || !is_utf8(*name)) return bad_output(index, "has no readable name");
  Tensor tensor(std::string(*name), static_cast<ElementType>(*type), {});
  for (std::size_t i = 0; i < *rank; ++i) {
    const auto dimension = reader.number<std::int64_t>();
    if (!dimension) return bad_output(index, "is cut off");
    tensor.shape.push_back(*dimension);
  }
  const auto count = element_count(tensor.shape);
  if (!count) return bad_output(index, "has an impossible shape");
  const auto size = reader.number<std::uint64_t>();
  const auto bytes = size ? reader.bytes(*size) : std::nullopt;
  if (!bytes) return bad_output(index, "is cut off");
  if (tensor.type == ElementType::kText) {
    STRATA_TRY(read_texts(tensor, *count, *bytes, index));
    return tensor;
  }
  const auto width = element_bytes(tensor.type);
  if (bytes->size() % width != 0 || bytes->size() / width != *count)
    return bad_output(index, fmt::format("has {} bytes for shape {} of {}", bytes->size(),
                                         show_shape(tensor.shape), element_name(tensor.type)));
  if (tensor.type == ElementType::kBool &&
      std::any_of(bytes->begin(), bytes->end(), [](char c) { return c != 0 && c != 1; })) {
    return bad_output(index, "has a boolean that is neither 0 nor 1");
  }
  tensor.adopt({bytes->begin(), bytes->end()});
  return tensor;
}

}  // namespace

std::string encode_worker_call(std::uint64_t id, std::span<const Tensor> tensors,
                               std::size_t inputs) {
  std::string out;
  out.reserve(bytes_of(tensors));
  put(out, id);
  put(out, static_cast<std::uint32_t>(inputs));
  put(out, static_cast<std::uint32_t>(tensors.size() - inputs));
  for (const auto& tensor : tensors)
    put_tensor(out, tensor);
  return out;
}

std::string encode_worker_answer(const WorkerAnswer& answer) {
  std::string out;
  out.reserve(bytes_of(answer.outputs));
  put(out, answer.id);
  put(out, answer.bare ? kBare : std::uint8_t{0});
  put(out, static_cast<std::uint32_t>(answer.outputs.size()));
  for (const auto& tensor : answer.outputs)
    put_tensor(out, tensor);
  return out;
}

Result<WorkerAnswer> decode_worker_answer(std::string_view payload) {
  FrameReader reader(payload);
  const auto id = reader.number<std::uint64_t>();
  const auto flags = reader.number<std::uint8_t>();
  const auto count = reader.number<std::uint32_t>();
  if (!id || !flags || !count) return bad("the answer is cut off");
  if (*flags > kBare || *count > kMostTensors) return bad("the answer's head is impossible");
  WorkerAnswer answer{*id, *flags == kBare, {}};
  if (answer.bare && *count != 1) return bad("an answer without names has one output");
  for (std::uint32_t i = 0; i < *count; ++i) {
    auto tensor = read_tensor(reader, i);
    if (!tensor) return std::move(tensor).error();
    answer.outputs.push_back(*std::move(tensor));
  }
  if (!reader.rest().empty()) return bad("there are bytes behind the last output");
  return answer;
}

Result<WorkerFailure> decode_worker_failure(std::string_view payload) {
  FrameReader reader(payload);
  const auto id = reader.number<std::uint64_t>();
  const auto kind = reader.number<std::uint8_t>();
  if (!id || !kind) return bad("the failure is cut off");
  if (*kind > static_cast<std::uint8_t>(WorkerFailure::Kind::kUnsupported))
    return bad("the failure is of no known kind");
  if (!is_utf8(reader.rest())) return bad("the failure's message is not UTF-8");
  return WorkerFailure{*id, static_cast<WorkerFailure::Kind>(*kind), std::string(reader.rest())};
}

Status decode_worker_ready(std::string_view payload) {
  FrameReader reader(payload);
  const auto version = reader.number<std::uint32_t>();
  if (!version || !reader.rest().empty()) return bad("the greeting is no version number");
  if (*version == kWorkerFrames) return {};
  return Error(Code::kUnsupported, fmt::format("the worker speaks version {} of the frames, this "
                                               "server version {}",
                                               *version, kWorkerFrames));
}

}  // namespace strata::wire
