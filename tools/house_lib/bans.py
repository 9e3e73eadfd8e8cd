"""The table of refused identifiers, each with what to write instead."""

import re
from typing import NamedTuple


class Ban(NamedTuple):
    """Refused in code. Text without any of `words` cannot match `pattern`: it is not searched.

    `places` are exempt: floors, floor/room, `tests` or `config` (build configuration in
    JavaScript).
    """

    words: list[str]
    pattern: re.Pattern[str]
    instead: str
    places: set[str]


def call(words: str, instead: str, places: str = "") -> Ban:
    """Calls of free functions; members with the same name are someone else's."""
    pattern = rf"(?<![\w.>])(?:{_any(words)})\s*\("
    return Ban(words.split(), re.compile(pattern), instead, set(places.split()))


def name(words: str, instead: str, places: str = "") -> Ban:
    return Ban(words.split(), re.compile(rf"(?<!\w)(?:{_any(words)})(?!\w)"), instead,
               set(places.split()))


def form(word: str, pattern: str, instead: str, places: str = "") -> Ban:
    return Ban([word], re.compile(pattern, re.M), instead, set(places.split()))


def _any(words: str) -> str:
    return "|".join(re.escape(word) for word in words.split())


_ASK_THE_CLOCK = "Ask the runtime's Clock, so that a test can set the time"
_PROCESSES = "Start processes through runtime's Processes"
_PARSE = "Use std::from_chars or base's parsers, which report bad input as a Result"
_REPLACE = "Use Files::replace, which also syncs the folder"
_LOG = "Log through base's log; only app/ writes to a terminal"
_FILES = "Read and write through runtime's Files, which tests can make fail"
_POOLS = "Use runtime's pools and scopes, which own and join what they start"
_RENDER = "Let the component render text; markup built from data runs other people's script"

CPP_BANS = [
    name("std::this_thread::sleep_for std::this_thread::sleep_until",
         "Await the runtime's Clock; a sleeping thread serves nobody", "runtime"),
    call("sleep usleep nanosleep", "Await the runtime's Clock; a sleeping thread serves nobody",
         "runtime"),
    call("system popen fork vfork execl execlp execle execv execvp execvpe execve posix_spawn "
         "posix_spawnp", _PROCESSES, "runtime resources/orchestrator"),
    call("strcpy strcat sprintf vsprintf gets strtok", "Use std::string and fmt::format"),
    call("atoi atol atof", _PARSE),
    name("std::stoi std::stol std::stoul std::stoll std::stoull std::stof std::stod", _PARSE),
    form("std::atomic<std::shared_ptr>", r"std::atomic<\s*std::shared_ptr",
         "Copy the pointer under a mutex: libstdc++ 12 reads these without release order"),
    call("rand srand", "Use the runtime's Random", "runtime"),
    name("std::random_device", "Use the runtime's Random", "runtime"),
    form("time", r"(?<![\w.>])time\s*\(\s*(?:nullptr|NULL|0)\s*\)", _ASK_THE_CLOCK, "runtime"),
    call("gettimeofday clock_gettime", _ASK_THE_CLOCK, "runtime"),
    name("system_clock::now", _ASK_THE_CLOCK, "runtime"),
    name("steady_clock::now", _ASK_THE_CLOCK, "runtime tests"),
    name("high_resolution_clock", "Use the runtime's Clock; this one is not steady everywhere"),
    call("localtime gmtime asctime ctime", "Use base's time functions; these share one buffer"),
    call("std::rename std::filesystem::rename fs::rename", _REPLACE, "runtime"),
    form("::rename", r"(?<![\w>])::rename\s*\(", _REPLACE, "runtime"),
    name("std::fstream std::ifstream std::ofstream", _FILES, "runtime app engines tests"),
    call("fopen std::fopen", _FILES, "runtime app engines tests"),
    call("getenv secure_getenv setenv putenv",
         "Settings come through the config schema; only app/ reads the environment",
         "app runtime tests"),
    name("std::cout std::cerr std::clog std::cin <iostream>", _LOG, "app"),
    call("printf fprintf puts fputs", _LOG, "app"),
    name("std::regex std::basic_regex <regex>",
         "Write a small parser; std::regex is slow and recurses once per character"),
    form("std::", r"\bstd::(?:jthread|thread(?!::)|async)\b", _POOLS,
         "runtime tests resources/orchestrator resources/workflow"),
    form("detach", r"\bdetach\s*\(\s*\)", "Let a scope own and join it"),
    call("exit _exit quick_exit std::exit", "Return a Result; only main ends the process",
         "app runtime resources/orchestrator"),
    call("alloca", "Use a fixed array or a vector; nothing checks the bound of the stack"),
    name("volatile", "Use std::atomic; volatile orders nothing between threads", "tests"),
    name("const_cast", "Fix the constness where it is wrong; only C interfaces need the cast",
         "runtime engines"),
    name("goto", "Return early or use a scope guard"),
]
HEADER_BANS = [
    form("using", r"\busing\s+namespace\b",
         "Name what you use; a header's choice binds all who include it"),
]
PYTHON_BANS = [
    call("os.system os.popen", "Use subprocess.run with a list"),
    form("shell", r"\bshell\s*=\s*True\b", "Use subprocess.run with a list"),
    form("except", r"^[ \t]*except\s*:", "Name the exceptions that you can handle"),
    name("tempfile.mktemp", "Use tempfile.mkstemp or pytest's tmp_path"),
]
PYTHON_TEST_BANS = [
    call("time.sleep", "Wait for the condition with a deadline, in one shared helper"),
]
TYPESCRIPT_BANS = [
    form("HTML", r"\.(?:inner|outer)HTML\s*=(?!=)", _RENDER),
    name("{@html", _RENDER),
    call("eval", _RENDER),
    name("@ts-ignore @ts-nocheck", "Give the value its type, or narrow it"),
    call("console.log console.debug", "Take it out, or show it in the page", "tests config"),
    name("debugger", "Take it out"),
]
