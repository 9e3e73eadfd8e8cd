#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace strata::wire {

// What a pickle looks up by name when it is loaded; loading calls what it finds.
struct PickleGlobal {
  std::string module, name;  // "?" where only running it would tell
  auto operator<=>(const PickleGlobal&) const = default;
};

enum class PickleDanger : std::uint8_t {
  kNone,     // a class of a numerical library, or plain data
  kUnknown,  // code of somebody's own
  kCode      // runs commands or code, reads files, or opens connections
};

// How dangerous it is to load what names that.
PickleDanger danger_of(const PickleGlobal& global);

struct PickleScan {
  std::vector<PickleGlobal> globals;  // each once, ascending
  std::size_t opcodes = 0;
  std::size_t bytes = 0;  // of the pickles; what follows is something else
};

// Whether the bytes begin as a pickle of protocol 2 or later does.
bool looks_like_pickle(std::string_view bytes);

// Reads the opcodes of one pickle, or of several that stand one behind another, and runs nothing of
// them. Protocols 0 to 5. Errors: kMalformed with the offset: an unknown opcode, an argument that
// is cut off, a stack that does not hold what an opcode takes, no end. Spec: CPython's
// Lib/pickletools.py.
Result<PickleScan> scan_pickle(std::string_view bytes);

}  // namespace strata::wire
