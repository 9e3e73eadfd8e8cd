#include "platform/streams/state_keys.hpp"

#include <algorithm>

namespace strata::platform::streams {

namespace {

void put(ByteWriter& out, const std::vector<std::string>& columns) {
  out.u32(static_cast<std::uint32_t>(columns.size()));
  for (const auto& column : columns)
    out.text(column);
}

void put(ByteWriter& out, const KeySet& set) {
  out.text(set.project);
  out.text(set.stream);
  put(out, set.columns);
}

void put(ByteWriter& out, const EventSet& set) {
  put(out, set.keys);
  put(out, set.told_apart);
}

void put(ByteWriter& out, const std::vector<const Value*>& values) {
  for (const Value* const value : values) {
    out.u8(static_cast<std::uint8_t>(value->type));
    out.value(*value);
  }
}

std::vector<std::string> columns_in(ByteReader& in) {
  std::vector<std::string> out;
  for (std::uint32_t left = in.count(); left > 0 && in.ok(); --left)
    out.push_back(in.text());
  return out;
}

KeySet keys_in(ByteReader& in) {
  KeySet out{in.text(), in.text(), {}};
  out.columns = columns_in(in);
  return out;
}

EventSet events_in(ByteReader& in) {
  EventSet out{keys_in(in), {}};
  out.told_apart = columns_in(in);
  return out;
}

constexpr std::uint64_t kSign = std::uint64_t{1} << 63U;

// Big-endian and without a sign, so that bytes are in the order of times.
void put_time(ByteWriter& out, std::int64_t time) {
  const std::uint64_t bits = static_cast<std::uint64_t>(time) ^ kSign;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.u8(static_cast<std::uint8_t>(bits >> static_cast<unsigned>(shift)));
}

std::int64_t time_in(ByteReader& in) {
  std::uint64_t bits = 0;
  for (int i = 0; i < 8; ++i)
    bits = bits << 8U | in.u8();
  return static_cast<std::int64_t>(bits ^ kSign);
}

const std::optional<Value>* cell_of(const Record& record, const Row& row, std::string_view name) {
  const auto at = std::ranges::find(record.columns, name, &Column::name);
  if (at == record.columns.end()) return nullptr;
  return &row.cells[static_cast<std::size_t>(at - record.columns.begin())];
}

}  // namespace

std::string kept_key(const KeySet& set) {
  ByteWriter out;
  put(out, set);
  return std::string(kKept) + std::move(out).take();
}

std::optional<KeySet> kept_of(std::string_view key) {
  ByteReader in(key.substr(kKept.size()));
  KeySet out = keys_in(in);
  return in.done() ? std::optional(std::move(out)) : std::nullopt;
}

std::string window_key(const EventSet& set) {
  ByteWriter out;
  put(out, set);
  return std::string(kWindow) + std::move(out).take();
}

std::optional<EventSet> window_of(std::string_view key) {
  ByteReader in(key.substr(kWindow.size()));
  EventSet out = events_in(in);
  return in.done() ? std::optional(std::move(out)) : std::nullopt;
}

std::string state_key(const KeySet& set, const std::vector<const Value*>& values) {
  ByteWriter out;
  put(out, set);
  put(out, values);
  return std::string(kState) + std::move(out).take();
}

std::string repeat_key(const Record& record) {
  ByteWriter out;
  out.text(record.project);
  out.text(record.stream);
  out.text(record.idempotency_key);
  return std::string(kRepeat) + std::move(out).take();
}

std::string event_prefix(const EventSet& set, const std::vector<const Value*>& values,
                         std::int64_t time) {
  ByteWriter out;
  put(out, set);
  put(out, values);
  put_time(out, time);
  return std::string(kEvent) + std::move(out).take();
}

std::string event_id(const EventSet& set, const Record& record, const Row& row) {
  ByteWriter out;
  put_time(out, row.event);
  for (const auto& name : set.told_apart) {
    const auto* const cell = cell_of(record, row, name);
    const bool present = cell != nullptr && *cell && (*cell)->present;
    out.u8(present ? 1 : 0);
    if (present) put(out, {&**cell});
  }
  return std::move(out).take();
}

std::string event_key(const EventSet& set, const std::vector<const Value*>& values,
                      const Record& record, const Row& row) {
  ByteWriter out;
  put(out, set);
  put(out, values);
  return std::string(kEvent) + std::move(out).take() + event_id(set, record, row);
}

std::optional<EventPlace> event_of(std::string_view key) {
  ByteReader in(key.substr(kEvent.size()));
  EventPlace out{events_in(in), 0};
  for (std::size_t left = out.set.keys.columns.size(); left > 0 && in.ok(); --left)
    in.value(in.type());
  out.time = time_in(in);
  return in.ok() ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::vector<const Value*>> key_of(const KeySet& set, const Record& record,
                                                const Row& row) {
  std::vector<const Value*> out;
  for (const auto& name : set.columns) {
    const auto* const cell = cell_of(record, row, name);
    if (cell == nullptr || !*cell || !(*cell)->present) return std::nullopt;
    out.push_back(&**cell);
  }
  return out;
}

}  // namespace strata::platform::streams
