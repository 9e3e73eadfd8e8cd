#include "wire/inference/oip.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "wire/flow/json_reader.hpp"

namespace strata::wire {

namespace {

using Scalar = JsonScalar::Kind;

struct InputHead {
  std::string name;
  std::string datatype;
  std::optional<std::vector<std::int64_t>> shape;
  std::optional<std::size_t> data_at;  // where the raw text of "data" stands in the JSON part
  std::string_view data;
  std::optional<std::size_t> binary_size;
};

Error bad_input(std::size_t index, std::string_view name, std::string_view what) {
  const std::string field =
      name.empty() ? fmt::format("inputs[{}]", index) : fmt::format("input '{}'", printable(name));
  return invalid(field, fmt::format("{}: {}", field, what));
}

// A member that is a whole number from 0 up.
bool read_size(JsonReader& reader, std::string_view what, std::size_t& out) {
  JsonScalar value;
  if (!reader.scalar(value)) return false;
  if (value.kind != Scalar::kInt || value.integer < 0) {
    return reader.fail(fmt::format("{} must be a whole number from 0 up", what));
  }
  out = static_cast<std::size_t>(value.integer);
  return true;
}

bool read_flag(JsonReader& reader, std::string_view what, bool& out) {
  JsonScalar value;
  if (!reader.scalar(value)) return false;
  if (value.kind != Scalar::kBool)
    return reader.fail(fmt::format("{} must be true or false", what));
  out = value.boolean;
  return true;
}

class Decoder {
 public:
  Decoder(std::shared_ptr<const std::string> body, std::string_view json, std::string_view binary)
      : reader_(json),
        binary_(binary) {
    out_.body = std::move(body);
  }

  Result<OipRequest> run() {
    read_document();
    if (unsupported_) return *std::move(unsupported_);
    if (reader_.failed()) return reader_.error();
    if (!has_inputs_)
      return invalid("inputs", "inputs: missing; an inference request lists its input tensors");
    if (heads_.empty()) return invalid("inputs", "inputs: is empty; send at least one tensor");
    if (heads_.size() > kMaxOipInputs) {
      return invalid("inputs", fmt::format("inputs: {} tensors; a request has at most {}",
                                           heads_.size(), kMaxOipInputs));
    }
    for (std::size_t i = 0; i < heads_.size(); ++i)
      STRATA_TRY(read_tensor(i, heads_[i]));
    if (!binary_.empty()) {
      return invalid("body",
                     fmt::format("body: {} bytes follow the last binary tensor", binary_.size()));
    }
    return std::move(out_);
  }

 private:
  void read_document() {
    std::string name;
    if (!reader_.enter_object()) return;
    while (reader_.next_member(name)) {
      if (name == "id") {
        reader_.text(out_.id);
      } else if (name == "inputs") {
        has_inputs_ = true;
        read_inputs();
      } else if (name == "outputs") {
        read_outputs();
      } else if (name == "parameters") {
        read_request_parameters();
      } else {
        reader_.skip();
      }
    }
    reader_.finish();
  }

  void read_request_parameters() {
    std::string name;
    if (!reader_.enter_object()) return;
    while (reader_.next_member(name)) {
      if (name == "binary_data_output") {
        read_flag(reader_, "parameters.binary_data_output", out_.binary_outputs);
      } else {
        reader_.skip();
      }
    }
  }

  void read_inputs() {
    if (!reader_.enter_array()) return;
    while (reader_.next_element()) {
      InputHead head;
      std::string name;
      if (!reader_.enter_object()) return;
      while (reader_.next_member(name))
        read_input_member(head, name);
      heads_.push_back(std::move(head));
    }
  }

  void read_input_member(InputHead& head, std::string_view name) {
    if (name == "name") {
      reader_.text(head.name);
    } else if (name == "datatype") {
      reader_.text(head.datatype);
    } else if (name == "shape") {
      read_shape(head);
    } else if (name == "data") {
      reader_.peek();  // steps over the space, so that the position is the value's own
      head.data_at = reader_.position();
      head.data = reader_.skip();
    } else if (name == "parameters") {
      read_input_parameters(head);
    } else {
      reader_.skip();
    }
  }

  void read_shape(InputHead& head) {
    head.shape.emplace();
    if (!reader_.enter_array()) return;
    JsonScalar value;
    while (reader_.next_element()) {
      if (!reader_.scalar(value)) return;
      if (value.kind != Scalar::kInt) {
        reader_.fail("shape: dimensions must be whole numbers");
        return;
      }
      head.shape->push_back(value.integer);
    }
  }

  void read_input_parameters(InputHead& head) {
    std::string name;
    if (!reader_.enter_object()) return;
    while (reader_.next_member(name)) {
      if (name == "binary_data_size") {
        std::size_t size = 0;
        if (read_size(reader_, "binary_data_size", size)) head.binary_size = size;
      } else if (name.starts_with("shared_memory")) {
        refuse(
            "shared_memory: shared-memory tensors are not offered; send the data in the request");
        reader_.skip();
      } else {
        reader_.skip();
      }
    }
  }

  void read_outputs() {
    if (!reader_.enter_array()) return;
    while (reader_.next_element()) {
      OipOutputAsk ask;
      std::string name;
      if (!reader_.enter_object()) return;
      while (reader_.next_member(name)) {
        if (name == "name") {
          reader_.text(ask.name);
        } else if (name == "parameters") {
          read_output_parameters(ask);
        } else {
          reader_.skip();
        }
      }
      if (ask.name.empty())
        reader_.fail(fmt::format("outputs[{}].name is missing", out_.outputs.size()));
      out_.outputs.push_back(std::move(ask));
    }
  }

  void read_output_parameters(OipOutputAsk& ask) {
    std::string name;
    if (!reader_.enter_object()) return;
    while (reader_.next_member(name)) {
      if (name == "binary_data") {
        bool binary = false;
        if (read_flag(reader_, "binary_data", binary)) ask.binary = binary;
      } else if (name == "classification" || name.starts_with("shared_memory")) {
        refuse(fmt::format("{}: not offered for outputs; leave it out", name));
        reader_.skip();
      } else {
        reader_.skip();
      }
    }
  }

  Status read_tensor(std::size_t index, InputHead& head) {
    if (head.name.empty()) return bad_input(index, "", "name is missing");
    for (const auto& earlier : out_.inputs) {
      if (earlier.name == head.name) return bad_input(index, head.name, "is given twice");
    }
    const auto type = parse_element_name(head.datatype);
    if (!type) {
      return bad_input(index, head.name,
                       head.datatype.empty()
                           ? std::string("datatype is missing")
                           : fmt::format("datatype '{}' is unknown", printable(head.datatype)));
    }
    if (!head.shape) return bad_input(index, head.name, "shape is missing");
    const auto count = element_count(*head.shape);
    if (!count) {
      return bad_input(index, head.name,
                       fmt::format("shape {} has a negative dimension or too many elements",
                                   show_shape(*head.shape)));
    }
    Tensor tensor(head.name, *type, *head.shape);
    if (head.binary_size) {
      if (head.data_at) return bad_input(index, head.name, "has both data and binary_data_size");
      STRATA_TRY(read_binary(index, tensor, *count, *head.binary_size));
    } else if (head.data_at) {
      STRATA_TRY(read_json_data(index, tensor, *count, head));
    } else {
      return bad_input(index, head.name, "has neither data nor binary_data_size");
    }
    out_.inputs.push_back(std::move(tensor));
    return {};
  }

  Status read_binary(std::size_t index, Tensor& tensor, std::size_t count, std::size_t size) {
    if (size > binary_.size()) {
      return bad_input(index, tensor.name,
                       fmt::format("binary_data_size is {} but only {} bytes are left in the body",
                                   size, binary_.size()));
    }
    const auto bytes = binary_.substr(0, size);
    binary_.remove_prefix(size);
    return read_raw_tensor(tensor, count, bytes, "binary_data_size", [&](std::string_view what) {
      return bad_input(index, tensor.name, what);
    });
  }

  Status read_json_data(std::size_t index, Tensor& tensor, std::size_t count,
                        const InputHead& head) {
    if (tensor.type == ElementType::kFp16) {
      return bad_input(index, tensor.name, "FP16 has no JSON form; send it as binary data");
    }
    JsonReader data(head.data, *head.data_at);
    if (data.peek() != JsonReader::Kind::kArray)
      return bad_input(index, tensor.name, "data must be an array");
    // Every element needs two characters at least, so this bounds what a false shape can reserve.
    if (count > head.data.size()) {
      return bad_input(index, tensor.name,
                       fmt::format("shape {} needs {} elements, the data has fewer",
                                   show_shape(tensor.shape), count));
    }
    if (tensor.type == ElementType::kText) {
      tensor.texts.reserve(count);
    } else {
      bytes_.clear();
      bytes_.reserve(count * element_bytes(tensor.type));
    }
    seen_ = 0;
    depth_seen_ = -1;
    std::string fault;
    if (!read_level(data, tensor, count, 0, fault)) {
      return bad_input(index, tensor.name, fault.empty() ? data.error().message : fault);
    }
    if (seen_ != count) {
      return bad_input(index, tensor.name,
                       fmt::format("shape {} needs {} elements, the data has {}",
                                   show_shape(tensor.shape), count, seen_));
    }
    if (tensor.type != ElementType::kText)
      tensor.adopt(std::vector<char>(bytes_.begin(), bytes_.end()));
    return {};
  }

  // One array of the data: either flat, or nested exactly as the shape says.
  bool read_level(JsonReader& data, Tensor& tensor, std::size_t count, int level,
                  std::string& fault) {
    if (!data.enter_array()) return false;
    std::int64_t here = 0;
    while (data.next_element()) {
      ++here;
      const auto kind = data.peek();
      if (kind == JsonReader::Kind::kArray) {
        if (static_cast<std::size_t>(level) + 1 >= tensor.shape.size() || depth_seen_ == level) {
          fault = fmt::format("data is nested in a way that does not fit shape {}",
                              show_shape(tensor.shape));
          return false;
        }
        if (!read_level(data, tensor, count, level + 1, fault)) return false;
        continue;
      }
      if (depth_seen_ < 0) depth_seen_ = level;
      if (depth_seen_ != level) {
        fault = "data is ragged: numbers stand beside arrays";
        return false;
      }
      if (++seen_ > count) {
        fault = fmt::format("shape {} needs {} elements, the data has more",
                            show_shape(tensor.shape), count);
        return false;
      }
      if (!data.scalar(value_)) return false;
      if (!append_value(tensor, fault)) return false;
    }
    if (data.failed()) return false;
    const bool flat = level == 0 && depth_seen_ <= 0;
    if (!flat && here != tensor.shape[static_cast<std::size_t>(level)]) {
      fault = fmt::format("data is ragged: an array at depth {} has {} elements, shape {} says {}",
                          level, here, show_shape(tensor.shape),
                          tensor.shape[static_cast<std::size_t>(level)]);
      return false;
    }
    return true;
  }

  bool append_value(Tensor& tensor, std::string& fault) {
    if (tensor.type == ElementType::kText) {
      if (value_.kind != Scalar::kText) {
        fault = fmt::format("element {} is no text, but datatype is BYTES", seen_ - 1);
        return false;
      }
      tensor.texts.push_back(value_.text);
      return true;
    }
    if (tensor.type == ElementType::kBool) {
      const bool number =
          value_.kind == Scalar::kInt && (value_.integer == 0 || value_.integer == 1);
      if (value_.kind != Scalar::kBool && !number) {
        fault = fmt::format("element {} must be true or false", seen_ - 1);
        return false;
      }
      bytes_ += static_cast<char>(number ? value_.integer : (value_.boolean ? 1 : 0));
      return true;
    }
    return with_element(tensor.type,
                        [&](auto zero) { return append_number<decltype(zero)>(tensor, fault); });
  }

  template <class T>
  bool append_number(const Tensor& tensor, std::string& fault) {
    T number{};
    bool fits = false;
    if constexpr (std::is_floating_point_v<T>) {
      fits = true;
      if (value_.kind == Scalar::kDouble) {
        number = static_cast<T>(value_.number);
      } else if (value_.kind == Scalar::kInt) {
        number = static_cast<T>(value_.integer);
      } else if (value_.kind == Scalar::kUnsigned) {
        number = static_cast<T>(value_.unsigned_integer);
      } else {
        fits = value_.kind == Scalar::kText && named_number(value_.text, number);
      }
    } else if (value_.kind == Scalar::kInt) {
      fits = std::in_range<T>(value_.integer);
      number = static_cast<T>(value_.integer);
    } else if (value_.kind == Scalar::kUnsigned) {
      fits = std::in_range<T>(value_.unsigned_integer);
      number = static_cast<T>(value_.unsigned_integer);
    }
    if (!fits) {
      fault = fmt::format("element {} is no {} value", seen_ - 1, element_name(tensor.type));
      return false;
    }
    char raw[sizeof(T)];
    std::memcpy(raw, &number, sizeof(T));
    bytes_.append(raw, sizeof(T));
    return true;
  }

  template <class T>
  static bool named_number(std::string_view text, T& out) {
    if (text == "NaN") {
      out = std::numeric_limits<T>::quiet_NaN();
    } else if (text == "Infinity" || text == "-Infinity") {
      out =
          text[0] == '-' ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    } else {
      return false;
    }
    return true;
  }

  void refuse(std::string message) {
    if (!unsupported_) unsupported_ = Error(Code::kUnsupported, std::move(message));
  }

  JsonReader reader_;
  std::string_view binary_;
  OipRequest out_;
  std::vector<InputHead> heads_;
  bool has_inputs_ = false;
  std::optional<Error> unsupported_;
  std::string bytes_;
  JsonScalar value_;
  std::size_t seen_ = 0;
  int depth_seen_ = -1;  // the nesting depth at which elements stand
};

bool wants_binary(const OipRequest& request, std::string_view name) {
  for (const auto& ask : request.outputs) {
    if (ask.name == name) return ask.binary.value_or(request.binary_outputs);
  }
  return request.binary_outputs;
}

void append_output(std::string& out, const Tensor& tensor, bool binary) {
  out += "{\"name\":";
  append_json_string(out, tensor.name);
  fmt::format_to(std::back_inserter(out), ",\"datatype\":\"{}\",\"shape\":{}",
                 element_name(tensor.type), show_shape(tensor.shape));
  if (binary) {
    fmt::format_to(std::back_inserter(out), ",\"parameters\":{{\"binary_data_size\":{}}}}}",
                   raw_bytes(tensor));
    return;
  }
  out += ",\"data\":[";
  const std::size_t count = tensor.count();
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    append_element_json(out, tensor, i);
  }
  out += "]}";
}

}  // namespace

namespace {

Result<OipRequest> decode_split(std::shared_ptr<const std::string> body, std::size_t json_length) {
  const std::string_view all = *body;
  if (json_length > all.size()) {
    return invalid("Inference-Header-Content-Length",
                   fmt::format("Inference-Header-Content-Length: is {} but the body has {} bytes",
                               json_length, all.size()));
  }
  if (json_length == 0) {
    return all.empty() ? invalid("body", "body: is empty; an inference request is a JSON object")
                       : Error(Code::kUnsupported,
                               "Inference-Header-Content-Length: raw requests without a JSON part "
                               "are not offered; send the JSON part that names the input");
  }
  Decoder decoder(std::move(body), all.substr(0, json_length), all.substr(json_length));
  return decoder.run();
}

}  // namespace

Result<OipRequest> decode_oip_request(std::shared_ptr<const std::string> body,
                                      std::optional<std::size_t> header_length) {
  const std::size_t size = body->size();
  auto request = decode_split(body, header_length.value_or(size));
  if (request || !header_length || *header_length == size || size == 0) return request;
  auto whole = decode_split(std::move(body), size);
  if (whole || *header_length < size) return whole ? std::move(whole) : std::move(request);
  // A length beyond the body is left over from another request, or the body was cut off: then it is
  // no whole JSON either.
  auto error = std::move(whole).error();
  if (error.code == Code::kMalformed) {
    error.message += fmt::format("; {}", request.error().message);
  }
  return error;
}

Error unknown_output(std::string_view name) {
  return invalid("outputs", fmt::format("outputs: the model has no output '{}'", printable(name)));
}

Result<std::vector<const Tensor*>> choose_outputs(const OipRequest& request,
                                                  std::span<const Tensor> outputs) {
  std::vector<const Tensor*> chosen;
  for (const auto& ask : request.outputs) {
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [&](const Tensor& t) { return t.name == ask.name; });
    if (found == outputs.end()) return unknown_output(ask.name);
    chosen.push_back(&*found);
  }
  if (!request.outputs.empty()) return chosen;
  for (const auto& output : outputs)
    chosen.push_back(&output);
  return chosen;
}

Result<OipAnswer> encode_oip_answer(std::string_view model, std::string_view version,
                                    const OipRequest& request, std::span<const Tensor> outputs) {
  const auto found = choose_outputs(request, outputs);
  if (!found) return found.error();
  const auto& chosen = *found;
  OipAnswer answer;
  std::string& out = answer.body;
  out += "{\"model_name\":";
  append_json_string(out, model);
  out += ",\"model_version\":";
  append_json_string(out, version);
  if (!request.id.empty()) {
    out += ",\"id\":";
    append_json_string(out, request.id);
  }
  out += ",\"outputs\":[";
  bool any_binary = false;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (i > 0) out += ',';
    const bool binary =
        wants_binary(request, chosen[i]->name) || chosen[i]->type == ElementType::kFp16;
    any_binary |= binary;
    append_output(out, *chosen[i], binary);
  }
  out += "]}";
  if (!any_binary) return answer;
  answer.header_length = out.size();
  for (const auto* tensor : chosen) {
    if (wants_binary(request, tensor->name) || tensor->type == ElementType::kFp16)
      append_raw_tensor(out, *tensor);
  }
  return answer;
}

}  // namespace strata::wire
