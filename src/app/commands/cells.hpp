#pragma once

#include <string>
#include <string_view>

namespace strata::app {

// What a server gave, as a person may see it on a terminal: one line of well-formed UTF-8, in which
// a blank stands for each control character (C0, DEL, C1), line separator and mark of direction,
// so that no name can move the cursor, rename the window or turn the rest of the line around.
std::string one_line(std::string_view text);
// The columns that `text` takes on a terminal: none for a combining mark, two for a wide East Asian
// character (Unicode TR 11), else one.
std::size_t width_of(std::string_view text);
// The text itself, or as much as fits into `width` columns with an ellipsis.
std::string cut(const std::string& text, std::size_t width);
// Prints one_line(text) and a line break to standard output.
void print_line(std::string_view text);

}  // namespace strata::app
