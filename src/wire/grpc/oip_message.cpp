#include "wire/grpc/oip_message.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "wire/protobuf/protobuf.hpp"

namespace strata::wire {

namespace {

using protobuf::Reader;
using protobuf::Writer;

struct Input {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  std::string_view contents;  // an InferTensorContents
  bool typed = false;         // with values in it
};

Error bad_input(std::size_t index, std::string_view name, std::string_view what) {
  const std::string field =
      name.empty() ? fmt::format("inputs[{}]", index) : fmt::format("input '{}'", printable(name));
  return invalid(field, fmt::format("{}: {}", field, what));
}

Error too_many(std::string_view field, std::size_t most) {
  return invalid(std::string(field), fmt::format("{}: has more than {} members", field, most));
}

// The fields of InferTensorContents; their numbers are their places, from one on.
enum class Contents : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kInt64,
  kUint,
  kUint64,
  kFp32,
  kFp64,
  kBytes
};

std::string_view contents_name(Contents contents) {
  constexpr std::array<std::string_view, 9> kNames = {
      "",
      "bool_contents",
      "int_contents",
      "int64_contents",
      "uint_contents",
      "uint64_contents",
      "fp32_contents",
      "fp64_contents",
      "bytes_contents",
  };
  return kNames[static_cast<std::size_t>(contents)];
}

Contents contents_of(ElementType type) {
  switch (type) {
    case ElementType::kBool:
      return Contents::kBool;
    case ElementType::kInt8:
    case ElementType::kInt16:
    case ElementType::kInt32:
      return Contents::kInt;
    case ElementType::kInt64:
      return Contents::kInt64;
    case ElementType::kUint8:
    case ElementType::kUint16:
    case ElementType::kUint32:
      return Contents::kUint;
    case ElementType::kUint64:
      return Contents::kUint64;
    case ElementType::kFp32:
      return Contents::kFp32;
    case ElementType::kFp64:
      return Contents::kFp64;
    case ElementType::kText:
      return Contents::kBytes;
    case ElementType::kFp16:
      break;
  }
  return Contents::kNone;
}

// The name of a parameter, that is the key of a map's entry (proto3: map fields).
std::string parameter_name(std::string_view entry) {
  std::string name;
  Reader reader(entry, "InferParameter entry");
  while (reader.next())
    if (reader.number() == 1) reader.text("key", name);
  return name;
}

// Fills a tensor from the field of its type; the others must be empty.
class TypedContents {
 public:
  TypedContents(std::size_t index, Tensor& tensor, std::size_t count)
      : index_(index),
        tensor_(tensor),
        count_(count),
        wanted_(contents_of(tensor.type)) {}

  Status read(std::string_view contents) {
    if (wanted_ == Contents::kNone) {
      return fault(fmt::format("{} has no field in contents; send it in raw_input_contents",
                               element_name(tensor_.type)));
    }
    Reader reader(contents, "InferTensorContents");
    while (reader.next() && !fault_)
      read_field(reader);
    if (fault_) return *std::move(fault_);
    if (reader.failed()) return reader.error();
    if (seen_ != count_) {
      return fault(fmt::format("shape {} needs {} elements, contents.{} has {}",
                               show_shape(tensor_.shape), count_, contents_name(wanted_), seen_));
    }
    if (tensor_.type != ElementType::kText) tensor_.adopt(std::move(bytes_));
    return {};
  }

 private:
  void read_field(Reader& reader) {
    if (reader.number() == 0 || reader.number() > 8) return;
    const auto sent = static_cast<Contents>(reader.number());
    if (sent != wanted_) {
      const bool empty = reader.field().type == protobuf::WireType::kBytes &&
                         reader.field().bytes.empty() && sent != Contents::kBytes;
      if (!empty) {
        fault_ = fault(fmt::format("contents.{} is given, but the values of {} belong in {}",
                                   contents_name(sent), element_name(tensor_.type),
                                   contents_name(wanted_)));
      }
      return;
    }
    if (sent == Contents::kBytes) {
      const auto text = reader.bytes("bytes_contents");
      if (has_room()) tensor_.texts.emplace_back(text);
      return;
    }
    with_element(tensor_.type,
                 [&](auto zero) { read_numbers<decltype(zero)>(reader, contents_name(sent)); });
  }

  template <class T>
  void read_numbers(Reader& reader, std::string_view name) {
    if constexpr (std::is_floating_point_v<T>) {
      reader.numbers<T>(name, [&](T value) { append(value); });
    } else {
      using Sent = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
      reader.numbers<Sent>(name, [&](Sent value) {
        if (tensor_.type == ElementType::kBool) return append(static_cast<T>(value != 0));
        if (!std::in_range<T>(value)) {
          if (!fault_) {
            fault_ =
                fault(fmt::format("element {} is no {} value", seen_, element_name(tensor_.type)));
          }
          return;
        }
        append(static_cast<T>(value));
      });
    }
  }

  template <class T>
  void append(T value) {
    if (!has_room()) return;
    const auto* raw = reinterpret_cast<const char*>(&value);
    bytes_.insert(bytes_.end(), raw, raw + sizeof value);
  }

  // Counts one more; what is beyond the shape is not kept.
  bool has_room() { return seen_++ < count_; }

  Error fault(std::string_view what) const { return bad_input(index_, tensor_.name, what); }

  const std::size_t index_;
  Tensor& tensor_;
  const std::size_t count_;
  const Contents wanted_;
  std::size_t seen_ = 0;
  std::vector<char> bytes_;
  std::optional<Error> fault_;
};

class Decoder {
 public:
  explicit Decoder(std::shared_ptr<const std::string> message) : message_(std::move(message)) {}

  OipInferMessage run() {
    OipInferMessage out{{}, {}, {}, OipRequest()};
    Reader reader(*message_, "ModelInferRequest");
    while (reader.next() && !fault_)
      read_field(reader, out);
    if (!fault_ && reader.failed()) fault_ = reader.error();
    if (!fault_) {
      if (const auto built = build(); !built) fault_ = built.error();
    }
    if (fault_) {
      out.request = *std::move(fault_);
      return out;
    }
    request_.id = out.id;
    request_.binary_outputs = true;
    request_.body = std::move(message_);
    out.request = std::move(request_);
    return out;
  }

 private:
  void read_field(Reader& reader, OipInferMessage& out) {
    switch (reader.number()) {
      case 1:
        return reader.text("model_name", out.model);
      case 2:
        return reader.text("model_version", out.version);
      case 3:
        return reader.text("id", out.id);
      case 5:
        return read_input(reader.message("inputs"));
      case 6:
        return read_output(reader.message("outputs"));
      case 7:
        if (raw_.size() == kMaxOipTensors) {
          fault_ = too_many("raw_input_contents", kMaxOipTensors);
          return;
        }
        raw_.push_back(reader.bytes("raw_input_contents"));
        return;
      default:
        return;  // parameters of the request change nothing here
    }
  }

  void read_input(std::string_view message) {
    if (inputs_.size() == kMaxOipTensors) {
      fault_ = too_many("inputs", kMaxOipTensors);
      return;
    }
    Input input;
    Reader reader(message, "InferInputTensor");
    while (reader.next()) {
      switch (reader.number()) {
        case 1:
          reader.text("name", input.name);
          break;
        case 2:
          reader.text("datatype", input.datatype);
          break;
        case 3:
          reader.numbers<std::int64_t>("shape", [&](std::int64_t dimension) {
            if (input.shape.size() <= kMaxOipDimensions) input.shape.push_back(dimension);
          });
          break;
        case 4:
          if (parameter_name(reader.message("parameters")).starts_with("shared_memory")) {
            refuse(
                "shared_memory: shared-memory tensors are not offered; send the data in the "
                "request");
          }
          break;
        case 5:
          input.contents = reader.message("contents");
          input.typed = input.typed || !input.contents.empty();
          break;
        default:
          break;
      }
    }
    if (reader.failed() && !fault_) fault_ = reader.error();
    inputs_.push_back(std::move(input));
  }

  void read_output(std::string_view message) {
    if (request_.outputs.size() == kMaxOipTensors) {
      fault_ = too_many("outputs", kMaxOipTensors);
      return;
    }
    OipOutputAsk ask;
    Reader reader(message, "InferRequestedOutputTensor");
    while (reader.next()) {
      if (reader.number() == 1) reader.text("name", ask.name);
      if (reader.number() != 2) continue;
      const auto name = parameter_name(reader.message("parameters"));
      if (name == "classification" || name.starts_with("shared_memory"))
        refuse(fmt::format("{}: not offered for outputs; leave it out", printable(name)));
    }
    if (fault_) return;
    if (reader.failed()) {
      fault_ = reader.error();
    } else if (ask.name.empty()) {
      fault_ = invalid("outputs", fmt::format("outputs[{}]: name is missing; name an output of "
                                              "the model",
                                              request_.outputs.size()));
    }
    request_.outputs.push_back(std::move(ask));
  }

  void refuse(std::string what) {
    if (!fault_) fault_ = Error(Code::kUnsupported, std::move(what));
  }

  Status build() {
    if (inputs_.empty()) return invalid("inputs", "inputs: is empty; send at least one tensor");
    if (!raw_.empty() && raw_.size() != inputs_.size()) {
      return invalid("raw_input_contents",
                     fmt::format("raw_input_contents: has {} members for {} inputs; send one for "
                                 "each input, or none and the values in contents",
                                 raw_.size(), inputs_.size()));
    }
    request_.inputs.reserve(inputs_.size());
    std::unordered_set<std::string_view> names;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i].name.empty()) return bad_input(i, "", "name is missing");
      if (!names.insert(inputs_[i].name).second)
        return bad_input(i, inputs_[i].name, "is given twice");
      STRATA_TRY(build_tensor(i, inputs_[i]));
    }
    return {};
  }

  Status build_tensor(std::size_t index, const Input& input) {
    const auto type = parse_element_name(input.datatype);
    if (!type) {
      return bad_input(index, input.name,
                       input.datatype.empty()
                           ? std::string("datatype is missing")
                           : fmt::format("datatype '{}' is unknown", printable(input.datatype)));
    }
    if (input.shape.size() > kMaxOipDimensions) {
      return bad_input(index, input.name,
                       fmt::format("shape has more than {} dimensions", kMaxOipDimensions));
    }
    const auto count = element_count(input.shape);
    if (!count) {
      return bad_input(index, input.name,
                       fmt::format("shape {} has a negative dimension or too many elements",
                                   show_shape(input.shape)));
    }
    Tensor tensor(input.name, *type, input.shape);
    if (raw_.empty()) {
      STRATA_TRY(TypedContents(index, tensor, *count).read(input.contents));
    } else {
      if (input.typed) {
        return bad_input(index, input.name,
                         "has contents, and the request has raw_input_contents; use one of the "
                         "two for all inputs");
      }
      STRATA_TRY(read_raw_tensor(
          tensor, *count, raw_[index], "the size of its raw_input_contents",
          [&](std::string_view what) { return bad_input(index, input.name, what); }));
    }
    request_.inputs.push_back(std::move(tensor));
    return {};
  }

  std::shared_ptr<const std::string> message_;
  std::vector<Input> inputs_;
  std::vector<std::string_view> raw_;
  OipRequest request_;
  std::optional<Error> fault_;
};

void write_parameters(Writer& out, std::uint32_t number, const OipParameters& parameters) {
  constexpr std::uint32_t kStringParam = 3;
  for (const auto& [name, text] : parameters) {
    Writer value;
    value.element(kStringParam, text);
    Writer entry;
    entry.text(1, name);
    entry.message(2, value);
    out.message(number, entry);
  }
}

}  // namespace

OipInferMessage decode_oip_message(std::shared_ptr<const std::string> message) {
  return Decoder(std::move(message)).run();
}

Status append_oip_answer(std::string& out, std::string_view model, std::string_view version,
                         const OipRequest& request, std::span<const Tensor> outputs,
                         const OipParameters& parameters) {
  const auto chosen = choose_outputs(request, outputs);
  if (!chosen) return chosen.error();
  std::size_t values = 0;
  for (const auto* tensor : *chosen)
    values += raw_bytes(*tensor);
  Writer writer(std::move(out));
  writer.text(1, model);
  writer.text(2, version);
  writer.text(3, request.id);
  write_parameters(writer, 4, parameters);
  for (const auto* tensor : *chosen) {
    Writer head;
    head.text(1, tensor->name);
    head.text(2, element_name(tensor->type));
    head.packed(3, tensor->shape);
    writer.message(5, head);
  }
  constexpr std::size_t kLongestHead = 11;
  writer.out().reserve(writer.out().size() + values + chosen->size() * kLongestHead);
  for (const auto* tensor : *chosen) {
    writer.begin_element(6, raw_bytes(*tensor));
    append_raw_tensor(writer.out(), *tensor);
  }
  out = writer.take();
  return {};
}

void append_oip_stream_answer(std::string& out, std::string_view infer_response) {
  Writer writer(std::move(out));
  writer.element(2, infer_response);
  out = writer.take();
}

void append_oip_stream_error(std::string& out, const OipInferMessage& message, const Error& error) {
  Writer names;
  names.text(1, message.model);
  names.text(2, message.version);
  names.text(3, message.id);
  Writer writer(std::move(out));
  writer.text(1, error.to_string());
  writer.message(2, names);
  out = writer.take();
}

}  // namespace strata::wire
