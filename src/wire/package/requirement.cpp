#include "wire/package/requirement.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/bytes.hpp"
#include "base/text.hpp"

namespace strata::wire {
namespace {

constexpr std::size_t kMaxLine = 8192;
constexpr int kMaxDepth = 32;

// PEP 440, appendix B, in parts: which of them may stand behind an operator differs.
constexpr std::string_view kRelease = R"(v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*)";
constexpr std::string_view kTwoParts = R"(v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)+)";
constexpr std::string_view kSuffix =
    R"((?:[-_.]?(?:alpha|beta|preview|pre|a|b|c|rc)[-_.]?[0-9]*)?)"
    R"((?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?(?:[-_.]?dev[-_.]?[0-9]*)?)";
constexpr std::string_view kLocal = R"((?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?)";

struct Patterns {
  re2::RE2 exact{fmt::format(R"((?i){}(?:\.\*|{}{}))", kRelease, kSuffix, kLocal)};
  re2::RE2 compatible{fmt::format("(?i){}{}", kTwoParts, kSuffix)};
  re2::RE2 ordered{fmt::format("(?i){}{}", kRelease, kSuffix)};
};

const Patterns& patterns() {
  static const Patterns kPatterns;
  return kPatterns;
}

constexpr std::array<std::string_view, 8> kOperators = {
    "===", "~=", "==", "!=", "<=", ">=", "<", ">"};
constexpr std::array<std::string_view, 18> kVariables = {"python_version",
                                                         "python_full_version",
                                                         "os_name",
                                                         "os.name",
                                                         "sys_platform",
                                                         "sys.platform",
                                                         "platform_release",
                                                         "platform_system",
                                                         "platform_version",
                                                         "platform.version",
                                                         "platform_machine",
                                                         "platform.machine",
                                                         "platform_python_implementation",
                                                         "platform.python_implementation",
                                                         "python_implementation",
                                                         "implementation_name",
                                                         "implementation_version",
                                                         "extra"};

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Error malformed(std::string_view what) {
  return Error(Code::kMalformed, std::string(what));
}

// What is left to read, with the blanks between tokens passed over.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : rest_(text) { skip(); }
  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    advance(token.size());
    return true;
  }
  // A whole word, not the beginning of a longer one.
  bool take_word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    if (rest_.size() > word.size() && (is_word(rest_[word.size()]) || rest_[word.size()] == '_'))
      return false;
    advance(word.size());
    return true;
  }
  std::string_view take_while(auto accept) {
    std::size_t length = 0;
    while (length < rest_.size() && accept(rest_[length]))
      ++length;
    const std::string_view taken = rest_.substr(0, length);
    advance(length);
    return taken;
  }
  // A name: letters, digits, and between them also . _ -
  std::string_view take_name() {
    std::size_t length = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      if (is_word(rest_[i])) {
        length = i + 1;
      } else if (i == 0 || (rest_[i] != '.' && rest_[i] != '_' && rest_[i] != '-')) {
        break;
      }
    }
    const std::string_view taken = rest_.substr(0, length);
    advance(length);
    return taken;
  }

 private:
  void advance(std::size_t count) {
    rest_.remove_prefix(count);
    skip();
  }
  void skip() {
    while (!rest_.empty() && is_blank(rest_.front()))
      rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

// The grammar of environment markers; only checked, as they are kept as written.
class MarkerCheck {
 public:
  explicit MarkerCheck(Tokens& tokens) : tokens_(tokens) {}

  Status any(int depth = 0) {
    do {
      STRATA_TRY(all(depth));
    } while (tokens_.take_word("or"));
    return {};
  }

 private:
  Status all(int depth) {
    do {
      STRATA_TRY(one(depth));
    } while (tokens_.take_word("and"));
    return {};
  }

  Status one(int depth) {
    if (depth > kMaxDepth) return malformed("the marker is nested too deeply");
    if (tokens_.take("(")) {
      STRATA_TRY(any(depth + 1));
      if (!tokens_.take(")")) return malformed("a ')' is missing in the marker");
      return {};
    }
    STRATA_TRY(value());
    STRATA_TRY(comparison());
    return value();
  }

  Status value() {
    for (const char quote : {'\'', '"'}) {
      if (!tokens_.rest().starts_with(quote)) continue;
      const auto end = tokens_.rest().find(quote, 1);
      if (end == std::string_view::npos) return malformed("a text in the marker does not end");
      tokens_.take(tokens_.rest().substr(0, end + 1));
      return {};
    }
    for (const auto name : kVariables) {
      if (tokens_.take_word(name)) return {};
    }
    return malformed(fmt::format("'{}' is no marker; write for example python_version >= '3.9'",
                                 printable(tokens_.rest(), 40)));
  }

  Status comparison() {
    for (const auto op : kOperators) {
      if (tokens_.take(op)) return {};
    }
    if (tokens_.take_word("in")) return {};
    if (tokens_.take_word("not") && tokens_.take_word("in")) return {};
    return malformed(
        fmt::format("'{}' is no comparison of a marker", printable(tokens_.rest(), 40)));
  }

  Tokens& tokens_;
};

Status check_version(std::string_view op, std::string_view version) {
  if (op == "===") return {};
  const auto& all = patterns();
  const re2::RE2& pattern = op == "==" || op == "!=" ? all.exact
                            : op == "~="             ? all.compatible
                                                     : all.ordered;
  if (re2::RE2::FullMatch(re2::StringPiece(version.data(), version.size()), pattern)) return {};
  return malformed(fmt::format("'{}{}' is no version clause (PEP 440)", op, printable(version)));
}

Result<VersionClause> take_clause(Tokens& tokens) {
  for (const auto op : kOperators) {
    if (!tokens.take(op)) continue;
    const auto version = tokens.take_while(
        [](char c) { return !is_blank(c) && !std::string_view(",;)").contains(c); });
    if (version.empty()) return malformed(fmt::format("a version is missing behind '{}'", op));
    STRATA_TRY(check_version(op, version));
    return VersionClause{std::string(op), std::string(version)};
  }
  return malformed(fmt::format("'{}' is no version clause", printable(tokens.rest(), 40)));
}

std::string text_of(const VersionClause& clause) {
  return clause.op + clause.version;
}

Status take_clauses(Tokens& tokens, Requirement& into) {
  const bool in_parentheses = tokens.take("(");
  const auto at_clause = [&] {
    return !tokens.done() && std::string_view("<>=!~").contains(tokens.rest().front());
  };
  while (at_clause()) {
    auto clause = take_clause(tokens);
    if (!clause) return std::move(clause).error();
    into.clauses.push_back(*std::move(clause));
    if (!tokens.take(",")) break;
  }
  if (in_parentheses && !tokens.take(")")) return malformed("a ')' is missing");
  std::sort(into.clauses.begin(), into.clauses.end(),
            [](const auto& a, const auto& b) { return text_of(a) < text_of(b); });
  const auto last =
      std::unique(into.clauses.begin(), into.clauses.end(),
                  [](const auto& a, const auto& b) { return text_of(a) == text_of(b); });
  into.clauses.erase(last, into.clauses.end());
  return {};
}

Status take_extras(Tokens& tokens, Requirement& into) {
  if (!tokens.take("[")) return {};
  while (!tokens.take("]")) {
    const auto extra = tokens.take_name();
    if (extra.empty()) return malformed("the extras in [...] are no list of names");
    into.extras.push_back(normal_package_name(extra));
    if (tokens.take("]")) break;
    if (!tokens.take(",")) return malformed("the extras in [...] are no list of names");
    if (tokens.rest().starts_with(']')) return malformed("an extra is missing behind the comma");
  }
  std::sort(into.extras.begin(), into.extras.end());
  into.extras.erase(std::unique(into.extras.begin(), into.extras.end()), into.extras.end());
  return {};
}

// Takes pip's "--hash=sha256:..." off the end.
Result<std::string_view> take_hashes(std::string_view text, Requirement& into) {
  const auto begin = text.find(" --");
  if (begin == std::string_view::npos) return text;
  Tokens tokens(text.substr(begin));
  while (!tokens.done()) {
    const bool spaced = !tokens.rest().starts_with("--hash=");
    if (!tokens.take(spaced ? "--hash" : "--hash="))
      return malformed(fmt::format("'{}' is no option that is known here; --hash is",
                                   printable(tokens.rest(), 40)));
    const auto hash = tokens.take_while([](char c) { return is_word(c) || c == ':'; });
    if (hash.find(':') == std::string_view::npos)
      return malformed("--hash is written as sha256:HEX");
    into.hashes.push_back(to_lower(hash));
  }
  std::sort(into.hashes.begin(), into.hashes.end());
  into.hashes.erase(std::unique(into.hashes.begin(), into.hashes.end()), into.hashes.end());
  return text.substr(0, begin);
}

// Options that bring in what stands elsewhere; the others say where packages come from.
bool adds_others(std::string_view option) {
  constexpr std::array<std::string_view, 3> kLong = {"--requirement", "--constraint", "--editable"};
  for (const auto name : kLong) {
    if (option.starts_with(name)) return true;
  }
  return option.size() > 1 && option[0] == '-' && std::string_view("rce").contains(option[1]);
}

// pip: a '#' at the start or behind a blank begins a comment.
std::string_view without_comment(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#' && (i == 0 || is_blank(line[i - 1]))) return line.substr(0, i);
  }
  return line;
}

RequirementLine read_line(std::size_t number, std::string text) {
  RequirementLine line{number, std::move(text), std::nullopt, ""};
  if (line.text.starts_with('-')) {
    line.open = "refers to something else";
    return line;
  }
  auto requirement = parse_requirement(line.text);
  if (!requirement) {
    line.open = requirement.error().message;
    return line;
  }
  line.requirement = *std::move(requirement);
  if (!line.requirement->locked())
    line.open = line.requirement->url.empty() ? "names no exact version" : "names a place";
  return line;
}

}  // namespace

std::string normal_package_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_word(c)) {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  return out;
}

bool Requirement::locked() const {
  return std::any_of(clauses.begin(), clauses.end(), [](const VersionClause& clause) {
    return clause.op == "===" || (clause.op == "==" && !clause.version.ends_with(".*"));
  });
}

std::string Requirement::canonical() const {
  std::string out = name;
  if (!extras.empty()) out += "[" + join(extras, ",") + "]";
  for (std::size_t i = 0; i < clauses.size(); ++i)
    out += (i == 0 ? "" : ",") + text_of(clauses[i]);
  if (!url.empty()) out += " @ " + url;
  if (!marker.empty()) out += (url.empty() ? "; " : " ; ") + marker;
  for (const auto& hash : hashes)
    out += " --hash=" + hash;
  return out;
}

Result<Requirement> parse_requirement(std::string_view text) {
  text = trim(text);
  if (text.size() > kMaxLine) return malformed("a requirement is longer than 8192 bytes");
  if (!is_utf8(text) || std::any_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 && c != '\t';
      }))
    return malformed("a requirement holds bytes that are no text");
  Requirement out;
  const auto plain = take_hashes(text, out);
  if (!plain) return plain.error();
  Tokens tokens(*plain);
  const auto name = tokens.take_name();
  if (name.empty())
    return malformed(fmt::format("'{}' begins with no name of a package", printable(text, 40)));
  out.name = normal_package_name(name);
  STRATA_TRY(take_extras(tokens, out));
  if (tokens.take("@")) {
    out.url = tokens.take_while([](char c) { return !is_blank(c); });
    if (out.url.empty()) return malformed("a URL is missing behind '@'");
  } else {
    STRATA_TRY(take_clauses(tokens, out));
  }
  if (tokens.take(";")) {
    const std::string_view marker = tokens.rest();
    STRATA_TRY(MarkerCheck(tokens).any());
    out.marker = trim(marker.substr(0, marker.size() - tokens.rest().size()));
  }
  if (!tokens.done())
    return malformed(
        fmt::format("'{}' is not understood; write NAME==VERSION", printable(tokens.rest(), 40)));
  return out;
}

Result<std::vector<RequirementLine>> read_requirements(std::string_view text) {
  if (text.size() > kMaxRequirementsFile)
    return Error(Code::kTooLarge, "a list of requirements is larger than 1 MiB");
  std::vector<RequirementLine> out;
  std::string joined;
  std::size_t number = 0, first = 0;
  const auto finish = [&] {
    const std::string line(trim(without_comment(joined)));
    joined.clear();
    if (line.empty() || (line.starts_with('-') && !adds_others(line))) return;
    out.push_back(read_line(first, line));
  };
  for (auto& raw : split(text, '\n')) {
    ++number;
    if (raw.ends_with('\r')) raw.pop_back();
    if (joined.empty()) first = number;
    // A comment line continues nothing (pip).
    const bool continues = raw.ends_with('\\') && without_comment(raw).size() == raw.size();
    joined += continues ? raw.substr(0, raw.size() - 1) : raw;
    if (continues) continue;
    finish();
    if (out.size() > kMaxRequirementLines)
      return Error(Code::kTooLarge, "a list of requirements has more than 10,000 lines");
  }
  finish();
  return out;
}

}  // namespace strata::wire
