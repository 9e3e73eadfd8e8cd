#include "wire/pickle/pickle_scan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "base/text.hpp"

namespace strata::wire {

namespace {

constexpr std::size_t kMaxStack = 1U << 20U;
constexpr std::size_t kMaxGlobals = 10'000;
constexpr std::size_t kMaxName = 1'000;

// How the argument of an opcode stands in the bytes.
enum class Argument : std::uint8_t {
  kNone,
  kBytes1,
  kBytes2,
  kBytes4,
  kBytes8,
  kCounted1,  // a length of so many bytes, and what it counts
  kCounted4,
  kCounted8,
  kLine,
  kTwoLines
};

enum class Effect : std::uint8_t {
  kNothing,
  kPush,      // something that is no text
  kText,      // its argument
  kTextLine,  // its argument, in quotes
  kMark,
  kPop,
  kPopMark,
  kDup,
  kCollect,   // all to the mark become one
  kAbsorb,    // all to the mark go into what lies below
  kInstance,  // all to the mark become one, of a class that the argument names
  kGlobal,
  kStackGlobal,
  kExtension,
  kGet,
  kPut,
  kMemoize,
  kTake1,  // so many are taken and nothing is left
  kTake2,
  kMake1,  // so many become one
  kMake2,
  kMake3,
  kStop
};

struct Opcode {
  unsigned char code;
  Argument argument;
  Effect effect;
};

using A = Argument;
using E = Effect;
constexpr Opcode kOpcodes[] = {{'I', A::kLine, E::kPush},         {'J', A::kBytes4, E::kPush},
                               {'K', A::kBytes1, E::kPush},       {'M', A::kBytes2, E::kPush},
                               {'L', A::kLine, E::kPush},         {0x8a, A::kCounted1, E::kPush},
                               {0x8b, A::kCounted4, E::kPush},    {'S', A::kLine, E::kTextLine},
                               {'T', A::kCounted4, E::kText},     {'U', A::kCounted1, E::kText},
                               {'B', A::kCounted4, E::kPush},     {'C', A::kCounted1, E::kPush},
                               {0x8e, A::kCounted8, E::kPush},    {0x96, A::kCounted8, E::kPush},
                               {0x97, A::kNone, E::kPush},        {0x98, A::kNone, E::kMake1},
                               {'N', A::kNone, E::kPush},         {0x88, A::kNone, E::kPush},
                               {0x89, A::kNone, E::kPush},        {'V', A::kLine, E::kText},
                               {0x8c, A::kCounted1, E::kText},    {'X', A::kCounted4, E::kText},
                               {0x8d, A::kCounted8, E::kText},    {'F', A::kLine, E::kPush},
                               {'G', A::kBytes8, E::kPush},       {']', A::kNone, E::kPush},
                               {'a', A::kNone, E::kTake1},        {'e', A::kNone, E::kAbsorb},
                               {'l', A::kNone, E::kCollect},      {')', A::kNone, E::kPush},
                               {'t', A::kNone, E::kCollect},      {0x85, A::kNone, E::kMake1},
                               {0x86, A::kNone, E::kMake2},       {0x87, A::kNone, E::kMake3},
                               {'}', A::kNone, E::kPush},         {'d', A::kNone, E::kCollect},
                               {'s', A::kNone, E::kTake2},        {'u', A::kNone, E::kAbsorb},
                               {0x8f, A::kNone, E::kPush},        {0x90, A::kNone, E::kAbsorb},
                               {0x91, A::kNone, E::kCollect},     {'0', A::kNone, E::kPop},
                               {'2', A::kNone, E::kDup},          {'(', A::kNone, E::kMark},
                               {'1', A::kNone, E::kPopMark},      {'g', A::kLine, E::kGet},
                               {'h', A::kBytes1, E::kGet},        {'j', A::kBytes4, E::kGet},
                               {'p', A::kLine, E::kPut},          {'q', A::kBytes1, E::kPut},
                               {'r', A::kBytes4, E::kPut},        {0x94, A::kNone, E::kMemoize},
                               {0x82, A::kBytes1, E::kExtension}, {0x83, A::kBytes2, E::kExtension},
                               {0x84, A::kBytes4, E::kExtension}, {'c', A::kTwoLines, E::kGlobal},
                               {0x93, A::kNone, E::kStackGlobal}, {'R', A::kNone, E::kMake2},
                               {'b', A::kNone, E::kTake1},        {'i', A::kTwoLines, E::kInstance},
                               {'o', A::kNone, E::kCollect},      {0x81, A::kNone, E::kMake2},
                               {0x92, A::kNone, E::kMake3},       {0x80, A::kBytes1, E::kNothing},
                               {'.', A::kNone, E::kStop},         {0x95, A::kBytes8, E::kNothing},
                               {'P', A::kLine, E::kPush},         {'Q', A::kNone, E::kMake1}};

const Opcode* opcode_of(unsigned char code) {
  static const auto table = [] {
    std::array<const Opcode*, 256> all{};
    for (const auto& opcode : kOpcodes)
      all.at(opcode.code) = &opcode;
    return all;
  }();
  return table.at(code);
}

class Scanner {
 public:
  explicit Scanner(std::string_view bytes) : bytes_(bytes) {}

  Result<PickleScan> run() {
    while (true) {
      STRATA_TRY(one());
      out_.bytes = at_;
      // Another one behind it, as joblib and others write them.
      if (!looks_like_pickle(bytes_.substr(at_))) break;
    }
    std::ranges::sort(out_.globals);
    const auto rest = std::ranges::unique(out_.globals);
    out_.globals.erase(rest.begin(), rest.end());
    return std::move(out_);
  }

 private:
  // A text that the bytes hold, a mark, or anything else.
  struct Item {
    enum class Kind : std::uint8_t { kOther, kText, kMark } kind = Kind::kOther;
    std::string_view text{};
  };

  Error fault(std::string_view what) const {
    return Error(Code::kMalformed, fmt::format("pickle, byte {}: {}", began_, what));
  }

  Status one() {
    stack_.clear();
    memo_.clear();
    for (bool over = false; !over;) {
      began_ = at_;
      if (at_ >= bytes_.size()) return fault("it has no end");
      const auto* opcode = opcode_of(static_cast<unsigned char>(bytes_[at_++]));
      if (opcode == nullptr) return fault("no opcode of a pickle");
      ++out_.opcodes;
      STRATA_TRY(read(opcode->argument));
      STRATA_TRY(act(opcode->effect));
      if (stack_.size() > kMaxStack) return fault("more on its stack than any model has");
      if (out_.globals.size() > kMaxGlobals) compact();
      over = opcode->effect == Effect::kStop;
    }
    return {};
  }

  void compact() {
    std::ranges::sort(out_.globals);
    const auto rest = std::ranges::unique(out_.globals);
    out_.globals.erase(rest.begin(), rest.end());
  }

  Status take(std::size_t count) {
    if (count > bytes_.size() - at_) return fault("its argument is cut off");
    argument_ = bytes_.substr(at_, count);
    at_ += count;
    return {};
  }

  Status counted(std::size_t width) {
    STRATA_TRY(take(width));
    const std::uint64_t count = number();
    if (count > bytes_.size() - at_) return fault("its argument is cut off");
    return take(static_cast<std::size_t>(count));
  }

  Status line(std::string_view& to) {
    const auto end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) return fault("its line has no end");
    to = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return {};
  }

  Status read(Argument argument) {
    argument_ = second_ = {};
    switch (argument) {
      case Argument::kNone:
        return {};
      case Argument::kBytes1:
        return take(1);
      case Argument::kBytes2:
        return take(2);
      case Argument::kBytes4:
        return take(4);
      case Argument::kBytes8:
        return take(8);
      case Argument::kCounted1:
        return counted(1);
      case Argument::kCounted4:
        return counted(4);
      case Argument::kCounted8:
        return counted(8);
      case Argument::kLine:
        textual_ = true;
        return line(argument_);
      case Argument::kTwoLines:
        STRATA_TRY(line(argument_));
        return line(second_);
    }
    return {};
  }

  std::uint64_t number() const {
    std::uint64_t value = 0;
    for (std::size_t i = argument_.size(); i-- > 0;)
      value = value << 8U | static_cast<unsigned char>(argument_[i]);
    return value;
  }

  // A place in the memo: little-endian, or digits on a line.
  Result<std::uint64_t> place() {
    if (!std::exchange(textual_, false)) return number();
    const auto value = to_int(argument_);
    if (!value || *value < 0) return fault("its place in the memo is no number");
    return static_cast<std::uint64_t>(*value);
  }

  Status pop(std::size_t count) {
    for (; count > 0; --count) {
      if (stack_.empty() || stack_.back().kind == Item::Kind::kMark)
        return fault("there is too little on its stack");
      stack_.pop_back();
    }
    return {};
  }

  Status pop_to_mark() {
    while (!stack_.empty() && stack_.back().kind != Item::Kind::kMark)
      stack_.pop_back();
    if (stack_.empty()) return fault("there is no mark on its stack");
    stack_.pop_back();
    return {};
  }

  Status make(std::size_t count) {
    STRATA_TRY(pop(count));
    stack_.push_back({});
    return {};
  }

  void name(std::string_view module, std::string_view global) {
    out_.globals.push_back(
        {std::string(module.substr(0, kMaxName)), std::string(global.substr(0, kMaxName))});
  }

  Status stack_global() {
    const auto text_at = [&](std::size_t from_top) {
      if (stack_.size() < from_top) return std::string_view("?");
      const Item& item = stack_[stack_.size() - from_top];
      return item.kind == Item::Kind::kText ? item.text : std::string_view("?");
    };
    name(text_at(2), text_at(1));
    return make(2);
  }

  Status remember(std::uint64_t where) {
    if (stack_.empty() || stack_.back().kind == Item::Kind::kMark)
      return fault("there is nothing to remember");
    if (memo_.size() > kMaxStack) return fault("it remembers more than any model has");
    memo_[where] = stack_.back();
    return {};
  }

  Status act_on_memo(Effect effect) {
    if (effect == Effect::kMemoize) return remember(memo_.size());
    const auto where = place();
    if (!where) return where.error();
    if (effect == Effect::kPut) return remember(*where);
    const auto found = memo_.find(*where);
    if (found == memo_.end()) return fault("what it gets was not remembered");
    stack_.push_back(found->second);
    return {};
  }

  Status act_on_stack(Effect effect) {
    switch (effect) {
      case Effect::kPop:
        if (stack_.empty()) return fault("there is too little on its stack");
        stack_.pop_back();
        return {};
      case Effect::kDup:
        if (stack_.empty()) return fault("there is too little on its stack");
        stack_.push_back(stack_.back());
        return {};
      case Effect::kCollect:
        STRATA_TRY(pop_to_mark());
        stack_.push_back({});
        return {};
      case Effect::kPopMark:
      case Effect::kAbsorb:
        return pop_to_mark();
      case Effect::kTake1:
        return pop(1);
      case Effect::kTake2:
        return pop(2);
      case Effect::kMake1:
        return make(1);
      case Effect::kMake2:
        return make(2);
      default:
        return make(3);
    }
  }

  Status act(Effect effect) {
    const bool lined = std::exchange(textual_, false);
    switch (effect) {
      case Effect::kNothing:
        return {};
      case Effect::kPush:
        stack_.push_back({});
        return {};
      case Effect::kText:
        stack_.push_back({Item::Kind::kText, argument_});
        return {};
      case Effect::kTextLine:
        if (argument_.size() < 2) return fault("its text lacks quotes");
        stack_.push_back({Item::Kind::kText, argument_.substr(1, argument_.size() - 2)});
        return {};
      case Effect::kMark:
        stack_.push_back({Item::Kind::kMark, {}});
        return {};
      case Effect::kGlobal:
        name(argument_, second_);
        stack_.push_back({});
        return {};
      case Effect::kInstance:
        name(argument_, second_);
        STRATA_TRY(pop_to_mark());
        stack_.push_back({});
        return {};
      case Effect::kExtension:
        name("copyreg", "?");
        stack_.push_back({});
        return {};
      case Effect::kStackGlobal:
        return stack_global();
      case Effect::kStop:
        return pop(1);
      case Effect::kGet:
      case Effect::kPut:
      case Effect::kMemoize:
        textual_ = lined;
        return act_on_memo(effect);
      default:
        return act_on_stack(effect);
    }
  }

  const std::string_view bytes_;
  std::size_t at_ = 0, began_ = 0;
  std::string_view argument_, second_;
  bool textual_ = false;  // the argument is a line
  std::vector<Item> stack_;
  std::map<std::uint64_t, Item> memo_;
  PickleScan out_;
};

bool is_below(std::string_view module, std::span<const std::string_view> packages) {
  const auto top = module.substr(0, module.find('.'));
  return std::ranges::find(packages, top) != packages.end();
}

}  // namespace

PickleDanger danger_of(const PickleGlobal& global) {
  constexpr std::array<std::string_view, 14> kNumerical = {
      "numpy",    "scipy",       "sklearn",  "pandas",  "pyarrow",     "lightgbm", "xgboost",
      "catboost", "statsmodels", "datetime", "decimal", "collections", "uuid",     "fractions"};
  constexpr std::array<std::string_view, 14> kPlain = {
      "bool", "int",   "float",     "complex", "str",  "bytes",  "bytearray",
      "list", "tuple", "frozenset", "set",     "dict", "object", "slice"};
  constexpr std::array<std::string_view, 42> kCode = {
      "os",      "posix",    "nt",       "ntpath",    "posixpath",   "subprocess",
      "sys",     "shutil",   "socket",   "ctypes",    "importlib",   "runpy",
      "pty",     "commands", "code",     "codeop",    "pickle",      "_pickle",
      "marshal", "types",    "operator", "_operator", "asyncio",     "multiprocessing",
      "pdb",     "bdb",      "timeit",   "cProfile",  "profile",     "doctest",
      "http",    "urllib",   "requests", "tempfile",  "webbrowser",  "platform",
      "io",      "_io",      "glob",     "pip",       "cloudpickle", "dill"};
  if (global.module == "?" || global.name == "?") return PickleDanger::kCode;
  if (global.module == "builtins" || global.module == "__builtin__") {
    return std::ranges::find(kPlain, global.name) == kPlain.end() ? PickleDanger::kCode
                                                                  : PickleDanger::kNone;
  }
  if (global.module == "copyreg" || global.module == "copy_reg")
    return global.name == "_reconstructor" ? PickleDanger::kNone : PickleDanger::kCode;
  if (global.module == "_codecs" && global.name == "encode") return PickleDanger::kNone;
  if (is_below(global.module, kCode)) return PickleDanger::kCode;
  // What runs text, files or programs for tests of these libraries.
  const bool testing = global.module.find("testing") != std::string::npos ||
                       global.module.find("f2py") != std::string::npos ||
                       global.module.find("distutils") != std::string::npos;
  if (is_below(global.module, kNumerical))
    return testing ? PickleDanger::kCode : PickleDanger::kNone;
  return PickleDanger::kUnknown;
}

bool looks_like_pickle(std::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5;
}

Result<PickleScan> scan_pickle(std::string_view bytes) {
  return Scanner(bytes).run();
}

}  // namespace strata::wire
