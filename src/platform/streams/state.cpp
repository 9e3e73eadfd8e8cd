#include "platform/streams/state.hpp"

namespace strata::platform::streams {

namespace {

constexpr std::uint8_t kFormat = 1;

void write(ByteWriter& out, const Stamp& stamp) {
  out.i64(stamp.event);
  out.i64(stamp.created);
  out.u64(stamp.place.sequence);
  out.u32(stamp.place.row);
}

Stamp read_stamp(ByteReader& in) {
  Stamp out;
  out.event = in.i64();
  out.created = in.i64();
  out.place.sequence = in.u64();
  out.place.row = in.u32();
  return out;
}

}  // namespace

const Cell* KeyState::find(std::string_view column) const {
  const auto at = cells.find(column);
  return at == cells.end() ? nullptr : &at->second;
}

void fold(KeyState& state, const std::vector<Column>& columns, const Row& row, const Place& place) {
  const Stamp stamp{row.event, row.created, place};
  if (row.deleted) {
    if (!state.deleted || *state.deleted < stamp) state.deleted = stamp;
    std::erase_if(state.cells,
                  [&](const auto& cell) { return cell.second.stamp < *state.deleted; });
    return;
  }
  if (state.deleted && stamp < *state.deleted) return;
  for (std::size_t i = 0; i < columns.size() && i < row.cells.size(); ++i) {
    if (!row.cells[i]) continue;
    const auto [at, is_new] = state.cells.try_emplace(columns[i].name, Cell{stamp, *row.cells[i]});
    if (!is_new && at->second.stamp < stamp) at->second = Cell{stamp, *row.cells[i]};
  }
}

std::string encode(const KeyState& state) {
  ByteWriter out;
  out.u8(kFormat);
  out.u8(state.deleted ? 1 : 0);
  if (state.deleted) write(out, *state.deleted);
  out.u32(static_cast<std::uint32_t>(state.cells.size()));
  for (const auto& [name, cell] : state.cells) {
    out.text(name);
    write(out, cell.stamp);
    out.u8(static_cast<std::uint8_t>(cell.value.type));
    out.u8(cell.value.present ? 1 : 0);
    if (cell.value.present) out.value(cell.value);
  }
  return std::move(out).take();
}

Result<KeyState> decode_state(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u8() != kFormat) in.fail();
  KeyState out;
  if (in.u8() != 0) out.deleted = read_stamp(in);
  for (std::uint32_t left = in.count(); left > 0 && in.ok(); --left) {
    std::string name = in.text();
    const Stamp stamp = read_stamp(in);
    const Type type = in.type();
    const bool present = in.u8() != 0;
    out.cells.insert_or_assign(std::move(name),
                               Cell{stamp, present ? in.value(type) : Value::null(type)});
  }
  if (in.done()) return out;
  return Error(Code::kDataLoss, "the state of a key of features is damaged");
}

}  // namespace strata::platform::streams
