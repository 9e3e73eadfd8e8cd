#pragma once

// By which bytes the store has what stands in it. Private to the room.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/streams/streams.hpp"

namespace strata::platform::streams {

// Keys of the store begin with one of these.
inline constexpr std::string_view kApplied = "a";  // the newest record that the states have
inline constexpr std::string_view kKept = "k";     // a set of key columns
inline constexpr std::string_view kRepeat = "r";   // an idempotency key
inline constexpr std::string_view kState = "s";    // the state of a key
inline constexpr std::string_view kWindow = "w";   // how long the events of a set are kept
inline constexpr std::string_view kEvent = "e";    // an event of a key, in order of their times
inline constexpr std::string_view kEventEnd = "f";

std::string kept_key(const KeySet& set);
std::optional<KeySet> kept_of(std::string_view key);
std::string window_key(const EventSet& set);
std::optional<EventSet> window_of(std::string_view key);

std::string state_key(const KeySet& set, const std::vector<const Value*>& values);
std::string repeat_key(const Record& record);

// Before the events of a key since a time; after all of those before it.
std::string event_prefix(const EventSet& set, const std::vector<const Value*>& values,
                         std::int64_t time);
std::string event_key(const EventSet& set, const std::vector<const Value*>& values,
                      const Record& record, const Row& row);
// The set and the time of an event in the store; nothing for other bytes.
struct EventPlace {
  EventSet set;
  std::int64_t time = 0;
};
std::optional<EventPlace> event_of(std::string_view key);

// The values of the set's columns in a row; nothing where one is absent or NULL, since such a row
// belongs to no key.
std::optional<std::vector<const Value*>> key_of(const KeySet& set, const Record& record,
                                                const Row& row);

}  // namespace strata::platform::streams
