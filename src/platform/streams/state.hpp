#pragma once

// The newest that is known of a key: a fold over its rows that gives the same in whatever order
// they come, and however often.

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/streams/record.hpp"

namespace strata::platform::streams {

// Where a row stands in the log: the record, and which of its rows.
struct Place {
  std::uint64_t sequence = 0;
  std::uint32_t row = 0;
  auto operator<=>(const Place&) const = default;
};

// Of two rows the one with the greater stamp counts: the later event, then the later made one, then
// the one that came later.
struct Stamp {
  std::int64_t event = 0;
  std::int64_t created = 0;
  Place place;
  auto operator<=>(const Stamp&) const = default;
};

struct Cell {
  Stamp stamp;
  Value value;  // may be NULL
};

struct KeyState {
  std::optional<Stamp> deleted;                    // the newest row that said that the key is gone
  std::map<std::string, Cell, std::less<>> cells;  // by column; each newer than `deleted`

  const Cell* find(std::string_view column) const;
  bool exists() const { return !cells.empty(); }
};

// Takes a row into the state. A column that the row does not have keeps its value and its age; a
// row that says that the key is gone takes away all that is older, and only that.
void fold(KeyState& state, const std::vector<Column>& columns, const Row& row, const Place& place);

std::string encode(const KeyState& state);
// Errors: kDataLoss.
Result<KeyState> decode_state(std::string_view bytes);

}  // namespace strata::platform::streams
