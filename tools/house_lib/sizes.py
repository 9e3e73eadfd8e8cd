"""Limits on files, headers, functions and lines, and how functions are found."""

import re

from house_lib.tree import File, Finding, Tree

MAX_FILE = 800
MAX_HEADER = 300
MAX_FUNCTION = 70
MAX_LINE = 100

_URL = re.compile(r"https?://\S{40,}")
_PUNCTUATION = re.compile(r"[{}();]")
_TEMPLATE_ARGUMENTS = re.compile(r"<[^<>(){};]*>")
_SCOPE = re.compile(
    r"(?:export\s+|inline\s+|typedef\s+|static\s+)*(?:namespace|class|struct|union|enum)\b[^()]*$"
    r'|extern\s*["\']'
)
_ATTRIBUTE = re.compile(r"\[\[[^\]]*\]\]|\balignas\s*\([^()]*\)|\brequires\s*\([^()]*\)")
_OPERATOR = re.compile(r"\boperator\s*(?:\(\s*\)|[^\s\w(]+)")
_CONTROL = re.compile(r"\b(?:if|for|while|switch|catch|do|else|try)\b\s*(?:\(|$)")
_TS_TEST_GROUP = re.compile(r"\b(?:describe|suite)\b")
_TS_FUNCTION = re.compile(r"\bfunction\b|=>\s*$")
_TS_METHOD = re.compile(
    r"^\s*(?:[\w#]+\s+)*[\w#]+\s*(?:<[^<>]*>)?\(.*\)(?:\s*:\s*[^{}]+)?\s*$", re.S
)
_PY_DEF = re.compile(r"^([ \t]*)(?:async[ \t]+)?def[ \t]+(\w+)", re.M)
_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.S)

Function = tuple[int, int, str]  # first line, length in lines, name as far as it can be read


def check_sizes(tree: Tree) -> list[Finding]:
    findings = []
    for file in tree.code_files():
        findings += _check_file(file)
        findings += _check_lines(file)
        if file.line_count > MAX_FUNCTION:
            for line, length, name in functions_of(file):
                if length > MAX_FUNCTION:
                    findings.append(Finding(
                        file.path, line, "function-lines",
                        f"{name} has {length} lines, more than {MAX_FUNCTION}",
                        "Name its steps and make them functions", length))
    return findings


def _check_file(file: File) -> list[Finding]:
    count = file.line_count
    if file.is_header and count > MAX_HEADER:
        return [Finding(file.path, MAX_HEADER + 1, "header-lines",
                        f"{count} lines, more than {MAX_HEADER}",
                        "Move what callers need not see into .cpp files or a second header", count)]
    if count > MAX_FILE:
        return [Finding(file.path, MAX_FILE + 1, "file-lines",
                        f"{count} lines, more than {MAX_FILE}", "Split it by purpose", count)]
    return []


def _check_lines(file: File) -> list[Finding]:
    if max(map(len, file.lines), default=0) <= MAX_LINE:
        return []
    return [
        Finding(file.path, number, "line-length", f"{len(line)} characters, more than {MAX_LINE}",
                "Break the line", len(line))
        for number, line in enumerate(file.lines, 1)
        if len(line) > MAX_LINE and not _URL.search(line) and "#include" not in line
    ]


def functions_of(file: File) -> list[Function]:
    """The outermost functions of a file; those nested in them count as part of them."""
    if file.language == "cpp":
        return _brace_functions(_without_directives(file.code), _cpp_kind, by_parentheses=True)
    if file.language == "typescript":
        code = _script_of(file.code) if file.ext == ".svelte" else file.code
        return _brace_functions(code, _typescript_kind, by_parentheses=False)
    if file.language == "python":
        return _python_functions(file.code)
    return []


def _brace_functions(code: str, kind_of, by_parentheses: bool) -> list[Function]:
    """Matches braces; what stands before an opening brace says what the brace opens.

    With `by_parentheses`, a brace inside parentheses (a default argument, a macro) opens nothing
    and a semicolon there ends nothing.
    """
    found: list[Function] = []
    stack: list[str] = []
    head_start, depth, inside, body = 0, 0, 0, (0, "")
    for match in _PUNCTUATION.finditer(code):
        mark, at = match[0], match.start()
        if inside:  # in a function only its own end matters
            inside += (mark == "{") - (mark == "}")
            if not inside:
                first = code.count("\n", 0, body[0]) + 1
                found.append((first, code.count("\n", body[0], at) + 1, body[1]))
                head_start, depth = at + 1, 0
        elif mark in "()":
            depth = max(0, depth + (1 if mark == "(" else -1))
        elif by_parentheses and depth:
            continue
        elif mark == "{":
            head = code[head_start:at]
            if kind_of(head, stack) == "function":
                start = head_start + len(head) - len(head.lstrip())
                inside, body = 1, (start, " ".join(head.split())[-60:])
            else:
                stack.append(kind_of(head, stack))
                head_start = at + 1
        else:
            if mark == "}" and stack:
                stack.pop()
            head_start = at + 1
    return found


def _cpp_kind(head: str, _stack: list[str]) -> str:
    head = _OPERATOR.sub("operator_", _ATTRIBUTE.sub(" ", head))
    while True:
        shorter = _TEMPLATE_ARGUMENTS.sub(" ", head)
        if shorter == head:
            break
        head = shorter
    head = re.sub(r"^\s*(?:template\s+)+", "", head)
    head = re.sub(r"^\s*(?:public|private|protected)\s*:(?!:)", "", head).strip()
    if _SCOPE.match(head):
        return "scope"
    if "(" not in head or re.search(r"=\s*$", head):
        return "other"
    return "function"


def _typescript_kind(head: str, stack: list[str]) -> str:
    if _TS_TEST_GROUP.search(head):
        return "scope"
    if re.search(r"\bclass\b", head):
        return "class"
    if _TS_FUNCTION.search(head):
        return "function"
    in_class = bool(stack) and stack[-1] == "class"
    if in_class and _TS_METHOD.match(head) and not _CONTROL.search(head):
        return "function"
    return "other"


def _without_directives(code: str) -> str:
    """Blanks directives, and the branches after #else or #elif so that braces still match."""
    if "#" not in code:
        return code
    kept, skipping, continued = [], 0, False
    for line in code.split("\n"):
        text = line.lstrip()
        directive = continued or text.startswith("#")
        continued = directive and line.endswith("\\")
        word = text[1:].lstrip() if text.startswith("#") else ""
        if skipping:
            skipping += word.startswith("if")
            skipping -= word.startswith("endif")
        elif word.startswith(("else", "elif")):
            skipping = 1
        kept.append("" if directive or skipping else line)
    return "\n".join(kept)


def _script_of(code: str) -> str:
    """Only the script blocks of a Svelte component, with the line numbers of the file."""
    kept, last = [], 0
    for match in _SCRIPT.finditer(code):
        kept += ["\n" * code.count("\n", last, match.start(1)), match[1]]
        last = match.end(1)
    return "".join(kept)


def _python_functions(code: str) -> list[Function]:
    """A function lasts until the next line that is indented no deeper than its `def`."""
    lines = code.split("\n")
    found: list[Function] = []
    end = 0
    for match in _PY_DEF.finditer(code):
        first = code.count("\n", 0, match.start()) + 1
        if first <= end:
            continue  # nested in the one before
        indent = len(match[1].expandtabs())
        end = first
        for number in range(first + 1, len(lines) + 1):
            text = lines[number - 1].expandtabs()
            bare = text.lstrip()
            if bare and len(text) - len(bare) <= indent and bare[0] not in ")]}\"'":
                break
            if bare:
                end = number
        found.append((first, end - first + 1, match[2]))
    return found
