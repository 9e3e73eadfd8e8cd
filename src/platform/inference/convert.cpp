#include "platform/inference/convert.hpp"

#include <charconv>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::platform::inference {

namespace {

using wire::ElementType;
using wire::Tensor;
using Cell = wire::ScoringCell::Kind;

// One element, from C++ type From to the element type `to`.
template <class To, class From>
bool fit_element(From value, ElementType to, To& out) {
  if (!fit(value, out)) return false;
  return to != ElementType::kBool || out == To{0} || out == To{1};
}

template <class From, class Read>
Result<Tensor> convert_numbers(const Tensor& from, ElementType to, std::string_view what,
                               Read read) {
  Tensor result(from.name, to, from.shape);
  const auto values = from.as<From>();
  std::size_t bad = values.size();
  with_element(to, [&](auto zero) {
    using To = decltype(zero);
    const auto out = result.allocate<To>(values.size());
    for (std::size_t i = 0; i < values.size() && bad == values.size(); ++i) {
      if (!fit_element(read(values[i]), to, out[i])) bad = i;
    }
  });
  if (bad == values.size()) return result;
  std::string shown;
  append_element_json(shown, from, bad);
  return invalid(from.name, fmt::format("{}: element {} is {}, which is no {} value", what, bad,
                                        shown, element_name(to)));
}

std::optional<double> named_number(std::string_view text) {
  if (text == "NaN" || text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity" || text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity" || text == "-inf") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

// A number written as text, exactly where it is an integer.
template <class To>
bool fit_text(std::string_view text, ElementType to, To& out) {
  if (to == ElementType::kBool) {
    const auto lower = to_lower(text);
    out = lower == "true" || lower == "1" ? To{1} : To{0};
    return lower == "true" || lower == "false" || lower == "1" || lower == "0";
  }
  To exact{};
  const auto done = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (done.ec == std::errc{} && done.ptr == text.data() + text.size()) {
    out = exact;
    return true;
  }
  const auto number = to_double(text);
  return number && fit_element(*number, to, out);
}

template <class To>
bool fit_cell(const wire::ScoringCell& cell, const std::vector<std::string>& texts, ElementType to,
              const CellRules& rules, To& out) {
  switch (cell.kind) {
    case Cell::kMissing:
      if constexpr (std::is_floating_point_v<To>) {
        out = std::numeric_limits<To>::quiet_NaN();
        return rules.may_miss;
      }
      return false;
    case Cell::kBool:
      return fit_element(static_cast<std::uint8_t>(cell.boolean ? 1 : 0), to, out);
    case Cell::kInt:
      return fit_element(cell.integer, to, out);
    case Cell::kUnsigned:
      return fit_element(cell.unsigned_integer, to, out);
    case Cell::kDouble:
      return fit_element(cell.number, to, out);
    case Cell::kText:
      break;
  }
  const auto& text = texts[cell.text];
  if (std::is_floating_point_v<To>) {
    if (const auto number = named_number(text)) return fit_element(*number, to, out);
  }
  return rules.texts_are_numbers && fit_text(trim(text), to, out);
}

std::string show_cell(const wire::ScoringCell& cell, const std::vector<std::string>& texts) {
  switch (cell.kind) {
    case Cell::kMissing:
      return "missing (null)";
    case Cell::kBool:
      return cell.boolean ? "true" : "false";
    case Cell::kInt:
      return std::to_string(cell.integer);
    case Cell::kUnsigned:
      return std::to_string(cell.unsigned_integer);
    case Cell::kDouble:
      return fmt::format("{}", cell.number);
    case Cell::kText:
      break;
  }
  return fmt::format("the text '{}'", printable(texts[cell.text], 40));
}

Error bad_cell(const wire::ScoringArray& array, std::size_t index,
               const std::vector<std::string>& texts, const CellRules& rules,
               std::string_view what) {
  const auto width =
      array.shape.empty()
          ? std::size_t{1}
          : array.cells.size() / std::max<std::size_t>(1, static_cast<std::size_t>(array.shape[0]));
  const std::size_t row = width == 0 ? 0 : index / width;
  return invalid(
      array.name,
      fmt::format("{}, row {}: the value is {}; the model's signature says {}", what,
                  rules.first_row + row, show_cell(array.cells[index], texts), rules.type_name));
}

Result<Tensor> convert_texts(const wire::ScoringArray& array, const std::vector<std::string>& texts,
                             const CellRules& rules, std::string_view what) {
  Tensor result(array.name, ElementType::kText, array.shape);
  result.texts.reserve(array.cells.size());
  for (std::size_t i = 0; i < array.cells.size(); ++i) {
    const auto& cell = array.cells[i];
    if (cell.kind == Cell::kText) {
      result.texts.push_back(texts[cell.text]);
    } else if (cell.kind == Cell::kMissing && (rules.may_miss || rules.texts_are_numbers)) {
      result.missing.resize(array.cells.size());
      result.missing[i] = 1;
      result.texts.emplace_back();
    } else {
      return bad_cell(array, i, texts, rules, what);
    }
  }
  return result;
}

}  // namespace

Result<Tensor> convert(const Tensor& from, ElementType to, std::string_view what) {
  if (from.type == ElementType::kText || to == ElementType::kText) {
    if (from.type != to) {
      return invalid(from.name, fmt::format("{}: datatype is {}, the model takes {}", what,
                                            element_name(from.type), element_name(to)));
    }
    Tensor result(from.name, to, from.shape);
    for (std::size_t i = 0; i < from.texts.size(); ++i) {
      if (!is_utf8(from.texts[i])) {
        return invalid(from.name, fmt::format("{}: element {} is not valid UTF-8", what, i));
      }
    }
    result.texts = from.texts;
    result.missing = from.missing;
    return result;
  }
  if (from.type == to) {
    Tensor result(from.name, to, from.shape);
    result.view({from.bytes().data(), from.bytes().size()});
    return result;
  }
  if (to == ElementType::kFp16) {
    return invalid(from.name, fmt::format("{}: datatype is {}, the model takes FP16", what,
                                          element_name(from.type)));
  }
  if (from.type == ElementType::kFp16) {
    return convert_numbers<std::uint16_t>(
        from, to, what, [](std::uint16_t half) { return wire::half_to_float(half); });
  }
  return with_element(from.type, [&](auto zero) {
    return convert_numbers<decltype(zero)>(from, to, what, [](auto v) { return v; });
  });
}

Result<Tensor> convert(const wire::ScoringArray& array, const std::vector<std::string>& texts,
                       ElementType to, const CellRules& rules, std::string_view what) {
  if (to == ElementType::kText) return convert_texts(array, texts, rules, what);
  if (to == ElementType::kFp16) {
    return Error(
        Code::kUnsupported,
        fmt::format("{}: FP16 values have no text form; use the inference protocol's binary "
                    "tensors",
                    what));
  }
  Tensor result(array.name, to, array.shape);
  std::size_t bad = array.cells.size();
  with_element(to, [&](auto zero) {
    using To = decltype(zero);
    const auto out = result.allocate<To>(array.cells.size());
    for (std::size_t i = 0; i < array.cells.size() && bad == array.cells.size(); ++i) {
      if (!fit_cell(array.cells[i], texts, to, rules, out[i])) bad = i;
    }
  });
  if (bad < array.cells.size()) return bad_cell(array, bad, texts, rules, what);
  return result;
}

}  // namespace strata::platform::inference
