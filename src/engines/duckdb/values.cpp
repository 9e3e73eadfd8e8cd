#include "engines/duckdb/values.hpp"

#include <cmath>
#include <limits>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/time.hpp"

namespace strata::engines::duckdb {

namespace {

constexpr std::size_t kExactDigits = 15;

std::string taken(const Library& library, char* text) {
  std::string out = text != nullptr ? text : "";
  library.free(text);
  return out;
}

std::string quoted_name(const std::string& name) {
  bool plain = !name.empty() && !(name[0] >= '0' && name[0] <= '9');
  for (const char c : name)
    plain = plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
  if (plain) return name;
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + '"';
}

const char* scalar_name(duckdb_type id) {
  switch (id) {
    case DUCKDB_TYPE_BOOLEAN:
      return "BOOLEAN";
    case DUCKDB_TYPE_TINYINT:
      return "TINYINT";
    case DUCKDB_TYPE_SMALLINT:
      return "SMALLINT";
    case DUCKDB_TYPE_INTEGER:
      return "INTEGER";
    case DUCKDB_TYPE_BIGINT:
      return "BIGINT";
    case DUCKDB_TYPE_UTINYINT:
      return "UTINYINT";
    case DUCKDB_TYPE_USMALLINT:
      return "USMALLINT";
    case DUCKDB_TYPE_UINTEGER:
      return "UINTEGER";
    case DUCKDB_TYPE_UBIGINT:
      return "UBIGINT";
    case DUCKDB_TYPE_HUGEINT:
      return "HUGEINT";
    case DUCKDB_TYPE_UHUGEINT:
      return "UHUGEINT";
    case DUCKDB_TYPE_FLOAT:
      return "FLOAT";
    case DUCKDB_TYPE_DOUBLE:
      return "DOUBLE";
    case DUCKDB_TYPE_TIMESTAMP:
      return "TIMESTAMP";
    case DUCKDB_TYPE_TIMESTAMP_S:
      return "TIMESTAMP_S";
    case DUCKDB_TYPE_TIMESTAMP_MS:
      return "TIMESTAMP_MS";
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return "TIMESTAMP_NS";
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return "TIMESTAMP WITH TIME ZONE";
    case DUCKDB_TYPE_DATE:
      return "DATE";
    case DUCKDB_TYPE_TIME:
      return "TIME";
    case DUCKDB_TYPE_TIME_NS:
      return "TIME_NS";
    case DUCKDB_TYPE_TIME_TZ:
      return "TIME WITH TIME ZONE";
    case DUCKDB_TYPE_INTERVAL:
      return "INTERVAL";
    case DUCKDB_TYPE_VARCHAR:
      return "VARCHAR";
    case DUCKDB_TYPE_BLOB:
      return "BLOB";
    case DUCKDB_TYPE_BIT:
      return "BIT";
    case DUCKDB_TYPE_UUID:
      return "UUID";
    case DUCKDB_TYPE_BIGNUM:
      return "BIGNUM";
    case DUCKDB_TYPE_SQLNULL:
      return "NULL";
    default:
      return "UNKNOWN";
  }
}

std::string members(const Library& library, duckdb_logical_type type, bool is_union) {
  const idx_t count =
      is_union ? library.union_type_member_count(type) : library.struct_type_child_count(type);
  std::string out;
  for (idx_t i = 0; i < count; ++i) {
    char* name = is_union ? library.union_type_member_name(type, i)
                          : library.struct_type_child_name(type, i);
    const Type child(library, is_union ? library.union_type_member_type(type, i)
                                       : library.struct_type_child_type(type, i));
    if (i > 0) out += ", ";
    out += quoted_name(taken(library, name)) + " " + type_name(library, child.get());
  }
  return out;
}

void pad(std::string& out, std::int64_t value, int width) {
  const std::string digits = std::to_string(value);
  out.append(static_cast<std::size_t>(std::max(0, width - static_cast<int>(digits.size()))), '0');
  out += digits;
}

void append_uuid(std::string& out, duckdb_hugeint value) {
  // The engine flips the top bit, so that UUIDs sort as signed integers.
  const auto upper = static_cast<std::uint64_t>(value.upper) ^ (1ULL << 63U);
  const std::string hex = fmt::format("{:016x}{:016x}", upper, value.lower);
  out += hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20);
}

// ISO 8601: P1Y2M3DT4H5M6.789S. Months, days and time stay apart, as they do not convert into each
// other.
void append_interval(std::string& out, duckdb_interval value) {
  const std::size_t begin = out.size();
  out += 'P';
  if (value.months / 12 != 0) out += std::to_string(value.months / 12) + "Y";
  if (value.months % 12 != 0) out += std::to_string(value.months % 12) + "M";
  if (value.days != 0) out += std::to_string(value.days) + "D";
  if (value.micros != 0) {
    out += 'T';
    const std::int64_t hours = value.micros / 3'600'000'000;
    const std::int64_t minutes = value.micros / 60'000'000 % 60;
    const std::int64_t rest = value.micros % 60'000'000;
    if (hours != 0) out += std::to_string(hours) + "H";
    if (minutes != 0) out += std::to_string(minutes) + "M";
    if (rest != 0) {
      if (rest < 0) out += '-';
      const std::int64_t size = std::abs(rest);
      out += std::to_string(size / 1'000'000);
      if (size % 1'000'000 != 0) {
        out += '.';
        pad(out, size % 1'000'000, 6);
        while (out.back() == '0')
          out.pop_back();
      }
      out += 'S';
    }
  }
  if (out.size() == begin + 1) out += "T0S";
}

void append_bits(std::string& out, std::string_view bits) {
  if (bits.empty()) return;
  const auto skipped =
      static_cast<std::size_t>(bits[0]);  // unused bits at the front of the first byte
  for (std::size_t i = skipped; i < (bits.size() - 1) * 8; ++i) {
    const auto byte = static_cast<unsigned char>(bits[1 + i / 8]);
    out += ((byte >> (7U - i % 8U)) & 1U) != 0 ? '1' : '0';
  }
}

// Shortest text that reads back as the same float; 0.1f is "0.1", not "0.10000000149011612".
void append_float(std::string& out, float value) {
  out += fmt::format("{}", value);
}

}  // namespace

std::string type_name(const Library& library, duckdb_logical_type type) {
  const std::string alias = taken(library, library.logical_type_get_alias(type));
  if (!alias.empty()) return alias;  // JSON, or a type that the user defined
  const duckdb_type id = library.get_type_id(type);
  switch (id) {
    case DUCKDB_TYPE_DECIMAL:
      return fmt::format("DECIMAL({},{})", library.decimal_width(type),
                         library.decimal_scale(type));
    case DUCKDB_TYPE_LIST:
      return type_name(library, Type(library, library.list_type_child_type(type)).get()) + "[]";
    case DUCKDB_TYPE_ARRAY:
      return fmt::format(
          "{}[{}]", type_name(library, Type(library, library.array_type_child_type(type)).get()),
          library.array_type_array_size(type));
    case DUCKDB_TYPE_MAP:
      return "MAP(" + type_name(library, Type(library, library.map_type_key_type(type)).get()) +
             ", " + type_name(library, Type(library, library.map_type_value_type(type)).get()) +
             ")";
    case DUCKDB_TYPE_STRUCT:
      return "STRUCT(" + members(library, type, false) + ")";
    case DUCKDB_TYPE_UNION:
      return "UNION(" + members(library, type, true) + ")";
    case DUCKDB_TYPE_ENUM: {
      std::string out = "ENUM(";
      for (std::uint32_t i = 0; i < library.enum_dictionary_size(type); ++i) {
        out += (i > 0 ? ", '" : "'") + taken(library, library.enum_dictionary_value(type, i)) + "'";
      }
      return out + ")";
    }
    default:
      return scalar_name(id);
  }
}

void append_decimal(std::string& out, __int128 value, int scale) {
  const bool negative = value < 0;
  auto rest =
      negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  const auto behind = static_cast<std::size_t>(scale);
  if (digits.size() <= behind) digits.insert(0, behind + 1 - digits.size(), '0');
  if (behind > 0) digits.insert(digits.size() - behind, 1, '.');
  if (negative) out += '-';
  out += digits;
}

void append_date(std::string& out, std::int32_t days) {
  if (days == std::numeric_limits<std::int32_t>::max()) return void(out += "infinity");
  if (days == -std::numeric_limits<std::int32_t>::max()) return void(out += "-infinity");
  // The engine's dates reach beyond what 64 bits of microseconds hold: split into 400-year cycles
  // of 146,097 days.
  std::int64_t cycle = days / 146'097;
  std::int64_t rest = days % 146'097;
  if (rest < 0) {
    rest += 146'097;
    --cycle;
  }
  const auto civil = to_civil(Instant::from_seconds(rest * 86'400));
  const std::int64_t year = civil.year + cycle * 400;
  if (year <= 0) out += '-';  // ISO 8601: year 0 is 1 BC
  pad(out, year <= 0 ? -year : year, 4);
  out += '-';
  pad(out, civil.month, 2);
  out += '-';
  pad(out, civil.day, 2);
}

void append_time(std::string& out, std::int64_t value, int fraction_digits) {
  std::int64_t unit = 1;
  for (int i = 0; i < fraction_digits; ++i)
    unit *= 10;
  const std::int64_t seconds = value / unit;
  pad(out, seconds / 3600, 2);
  out += ':';
  pad(out, seconds / 60 % 60, 2);
  out += ':';
  pad(out, seconds % 60, 2);
  if (value % unit != 0) {
    out += '.';
    pad(out, value % unit, fraction_digits);
    while (out.back() == '0')
      out.pop_back();
  }
}

void append_timestamp(std::string& out, std::int64_t value, int fraction_digits) {
  if (value == std::numeric_limits<std::int64_t>::max()) return void(out += "infinity");
  if (value == -std::numeric_limits<std::int64_t>::max()) return void(out += "-infinity");
  std::int64_t day = 86'400;
  for (int i = 0; i < fraction_digits; ++i)
    day *= 10;
  std::int64_t days = value / day;
  std::int64_t rest = value % day;
  if (rest < 0) {
    rest += day;
    --days;
  }
  append_date(out, static_cast<std::int32_t>(days));
  out += 'T';
  append_time(out, rest, fraction_digits);
}

CellReader::CellReader(const Library& library, duckdb_logical_type type)
    : library_(library),
      id_(library.get_type_id(type)),
      storage_(id_) {
  const auto child = [&](duckdb_logical_type of) {
    const Type owned(library, of);
    children_.push_back(std::make_unique<CellReader>(library, owned.get()));
  };
  switch (id_) {
    case DUCKDB_TYPE_DECIMAL:
      storage_ = library.decimal_internal_type(type);
      scale_ = library.decimal_scale(type);
      break;
    case DUCKDB_TYPE_ENUM:
      storage_ = library.enum_internal_type(type);
      for (std::uint32_t i = 0; i < library.enum_dictionary_size(type); ++i) {
        names_.push_back(taken(library, library.enum_dictionary_value(type, i)));
      }
      break;
    case DUCKDB_TYPE_LIST:
      child(library.list_type_child_type(type));
      break;
    case DUCKDB_TYPE_ARRAY:
      array_size_ = library.array_type_array_size(type);
      child(library.array_type_child_type(type));
      break;
    case DUCKDB_TYPE_MAP:
      child(library.map_type_key_type(type));
      child(library.map_type_value_type(type));
      break;
    case DUCKDB_TYPE_STRUCT:
      for (idx_t i = 0; i < library.struct_type_child_count(type); ++i) {
        names_.push_back(taken(library, library.struct_type_child_name(type, i)));
        child(library.struct_type_child_type(type, i));
      }
      break;
    case DUCKDB_TYPE_UNION:
      for (idx_t i = 0; i < library.union_type_member_count(type); ++i) {
        names_.push_back(taken(library, library.union_type_member_name(type, i)));
        child(library.union_type_member_type(type, i));
      }
      break;
    default:
      break;
  }
}

void CellReader::attach(duckdb_vector vector) {
  data_ = library_.vector_get_data(vector);
  validity_ = library_.vector_get_validity(vector);
  switch (id_) {
    case DUCKDB_TYPE_LIST:
      children_[0]->attach(library_.list_vector_get_child(vector));
      break;
    case DUCKDB_TYPE_ARRAY:
      children_[0]->attach(library_.array_vector_get_child(vector));
      break;
    case DUCKDB_TYPE_MAP: {  // a list of structs of key and value
      duckdb_vector entries = library_.list_vector_get_child(vector);
      for (idx_t i = 0; i < 2; ++i)
        children_[i]->attach(library_.struct_vector_get_child(entries, i));
      break;
    }
    case DUCKDB_TYPE_STRUCT:
      for (idx_t i = 0; i < children_.size(); ++i) {
        children_[i]->attach(library_.struct_vector_get_child(vector, i));
      }
      break;
    case DUCKDB_TYPE_UNION:  // a struct whose first member is the tag
      data_ = library_.vector_get_data(library_.struct_vector_get_child(vector, 0));
      for (idx_t i = 0; i < children_.size(); ++i) {
        children_[i]->attach(library_.struct_vector_get_child(vector, i + 1));
      }
      break;
    default:
      break;
  }
}

// Short texts lie in the cell itself, so the view points into the chunk and never into a copy of
// the cell.
std::string_view CellReader::text_at(idx_t row) const {
  const auto& text = static_cast<const duckdb_string_t*>(data_)[row];
  if (text.value.inlined.length <= 12)
    return {text.value.inlined.inlined, text.value.inlined.length};
  return {text.value.pointer.ptr, text.value.pointer.length};
}

bool CellReader::is_null(idx_t row) const {
  if (id_ == DUCKDB_TYPE_SQLNULL) return true;
  return validity_ != nullptr && ((validity_[row / 64] >> (row % 64)) & 1U) == 0;
}

bool CellReader::append_whole(std::string& out, idx_t row) const {
  const auto whole = [&](auto value) {
    fmt::format_to(std::back_inserter(out), "{}", value);
    return true;
  };
  switch (id_) {
    case DUCKDB_TYPE_BOOLEAN:
      return whole(at<bool>(row));
    case DUCKDB_TYPE_TINYINT:
      return whole(static_cast<int>(at<std::int8_t>(row)));
    case DUCKDB_TYPE_SMALLINT:
      return whole(at<std::int16_t>(row));
    case DUCKDB_TYPE_INTEGER:
      return whole(at<std::int32_t>(row));
    case DUCKDB_TYPE_BIGINT:
      return whole(at<std::int64_t>(row));
    case DUCKDB_TYPE_UTINYINT:
      return whole(static_cast<unsigned>(at<std::uint8_t>(row)));
    case DUCKDB_TYPE_USMALLINT:
      return whole(at<std::uint16_t>(row));
    case DUCKDB_TYPE_UINTEGER:
      return whole(at<std::uint32_t>(row));
    case DUCKDB_TYPE_UBIGINT:
      return whole(at<std::uint64_t>(row));
    default:
      return false;
  }
}

__int128 CellReader::huge_at(idx_t row) const {
  const auto value = at<duckdb_hugeint>(row);
  return static_cast<__int128>(value.upper) * (static_cast<__int128>(1) << 64) + value.lower;
}

bool CellReader::append_wide(std::string& out, idx_t row, bool& quote) const {
  const std::size_t begin = out.size();
  const auto decimal = [&](__int128 value, int scale) {
    append_decimal(out, value, scale);
    // A number only where every reader's double holds it; otherwise a text, which nobody rounds.
    quote = out.size() - begin > kExactDigits + 1;
    return true;
  };
  const auto real = [&](double value) {
    quote = !std::isfinite(value);
    if (quote) out += std::isnan(value) ? "NaN" : (value > 0 ? "Infinity" : "-Infinity");
    return true;
  };
  switch (id_) {
    case DUCKDB_TYPE_FLOAT:
      if (!std::isfinite(at<float>(row))) return real(static_cast<double>(at<float>(row)));
      append_float(out, at<float>(row));
      return true;
    case DUCKDB_TYPE_DOUBLE:
      if (!std::isfinite(at<double>(row))) return real(at<double>(row));
      append_json_double(out, at<double>(row));
      return true;
    case DUCKDB_TYPE_HUGEINT:
      return decimal(huge_at(row), 0);
    case DUCKDB_TYPE_UHUGEINT: {
      const auto value = at<duckdb_uhugeint>(row);
      fmt::format_to(std::back_inserter(out), "{}",
                     (static_cast<unsigned __int128>(value.upper) << 64U) + value.lower);
      quote = out.size() - begin > kExactDigits;
      return true;
    }
    case DUCKDB_TYPE_DECIMAL:
      if (storage_ == DUCKDB_TYPE_SMALLINT) return decimal(at<std::int16_t>(row), scale_);
      if (storage_ == DUCKDB_TYPE_INTEGER) return decimal(at<std::int32_t>(row), scale_);
      if (storage_ == DUCKDB_TYPE_BIGINT) return decimal(at<std::int64_t>(row), scale_);
      return decimal(huge_at(row), scale_);
    default:
      return false;
  }
}

void CellReader::append_scalar(std::string& out, idx_t row, bool& quote) const {
  quote = false;
  if (append_whole(out, row) || append_wide(out, row, quote)) return;
  quote = true;
  switch (id_) {
    case DUCKDB_TYPE_DATE:
      return append_date(out, at<std::int32_t>(row));
    case DUCKDB_TYPE_TIME:
      return append_time(out, at<std::int64_t>(row), 6);
    case DUCKDB_TYPE_TIME_NS:
      return append_time(out, at<std::int64_t>(row), 9);
    case DUCKDB_TYPE_TIME_TZ: {  // 40 bits of microseconds, 24 bits of offset counted down from
                                 // +15:59:59
      const auto bits = at<std::uint64_t>(row);
      append_time(out, static_cast<std::int64_t>(bits >> 24U), 6);
      const auto offset = 57'599 - static_cast<std::int32_t>(bits & 0xFFFFFFU);
      out += offset < 0 ? '-' : '+';
      pad(out, std::abs(offset) / 3600, 2);
      out += ':';
      pad(out, std::abs(offset) / 60 % 60, 2);
      return;
    }
    case DUCKDB_TYPE_TIMESTAMP:
      return append_timestamp(out, at<std::int64_t>(row), 6);
    case DUCKDB_TYPE_TIMESTAMP_S:
      return append_timestamp(out, at<std::int64_t>(row), 0);
    case DUCKDB_TYPE_TIMESTAMP_MS:
      return append_timestamp(out, at<std::int64_t>(row), 3);
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return append_timestamp(out, at<std::int64_t>(row), 9);
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      append_timestamp(out, at<std::int64_t>(row), 6);
      if (out.back() != 'y') out += 'Z';  // not behind "infinity"
      return;
    case DUCKDB_TYPE_INTERVAL:
      return append_interval(out, at<duckdb_interval>(row));
    case DUCKDB_TYPE_UUID:
      return append_uuid(out, at<duckdb_hugeint>(row));
    case DUCKDB_TYPE_ENUM: {
      const std::size_t index = storage_ == DUCKDB_TYPE_UTINYINT    ? at<std::uint8_t>(row)
                                : storage_ == DUCKDB_TYPE_USMALLINT ? at<std::uint16_t>(row)
                                                                    : at<std::uint32_t>(row);
      out += index < names_.size() ? names_[index] : "";
      return;
    }
    case DUCKDB_TYPE_BIT:
      return append_bits(out, text_at(row));
    default:
      out += text_at(row);
  }
}

void CellReader::append_nested(std::string& out, idx_t row) const {
  switch (id_) {
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY: {
      duckdb_list_entry entry{row * array_size_, array_size_};
      if (id_ == DUCKDB_TYPE_LIST) entry = at<duckdb_list_entry>(row);
      out += '[';
      for (idx_t i = 0; i < entry.length; ++i) {
        if (i > 0) out += ',';
        children_[0]->append_json(out, entry.offset + i);
      }
      out += ']';
      return;
    }
    case DUCKDB_TYPE_MAP: {
      const auto entry = at<duckdb_list_entry>(row);
      out += '[';
      for (idx_t i = 0; i < entry.length; ++i) {
        out += i > 0 ? ",{\"key\":" : "{\"key\":";
        children_[0]->append_json(out, entry.offset + i);
        out += ",\"value\":";
        children_[1]->append_json(out, entry.offset + i);
        out += '}';
      }
      out += ']';
      return;
    }
    case DUCKDB_TYPE_UNION: {
      const auto tag = at<std::uint8_t>(row);
      if (tag < children_.size()) return children_[tag]->append_json(out, row);
      out += "null";
      return;
    }
    default: {
      out += '{';
      for (std::size_t i = 0; i < children_.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, names_[i]);
        out += ':';
        children_[i]->append_json(out, row);
      }
      out += '}';
    }
  }
}

namespace {
bool is_nested(duckdb_type id) {
  return id == DUCKDB_TYPE_LIST || id == DUCKDB_TYPE_ARRAY || id == DUCKDB_TYPE_MAP ||
         id == DUCKDB_TYPE_STRUCT || id == DUCKDB_TYPE_UNION;
}
}  // namespace

void CellReader::append_json(std::string& out, idx_t row) const {
  if (is_null(row)) return void(out += "null");
  if (is_nested(id_)) return append_nested(out, row);
  if (id_ == DUCKDB_TYPE_VARCHAR) return append_json_string(out, text_at(row));
  if (id_ == DUCKDB_TYPE_BLOB || id_ == DUCKDB_TYPE_BIGNUM) {
    return append_json_string(out, to_base64(text_at(row)));
  }
  bool quote = false;
  const std::size_t begin = out.size();
  append_scalar(out, row, quote);
  if (!quote) return;
  if (id_ == DUCKDB_TYPE_ENUM) {  // any characters
    const std::string text = out.substr(begin);
    out.resize(begin);
    return append_json_string(out, text);
  }
  out.insert(begin, 1, '"');
  out += '"';
}

bool CellReader::append_text(std::string& out, idx_t row) const {
  if (is_null(row)) return false;
  if (is_nested(id_)) {
    append_nested(out, row);
  } else if (id_ == DUCKDB_TYPE_BLOB) {
    for (const char c : text_at(row)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte < 0x7F && c != '\\') {
        out += c;
      } else {
        fmt::format_to(std::back_inserter(out), "\\x{:02X}", byte);
      }
    }
  } else {
    bool quote = false;
    append_scalar(out, row, quote);
  }
  return true;
}

}  // namespace strata::engines::duckdb
