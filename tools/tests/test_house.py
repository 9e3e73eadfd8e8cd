"""Each rule of tools/house passes a tree that keeps it and finds the fault in another."""

import pathlib
import subprocess
import sys

import pytest

HOUSE = pathlib.Path(__file__).resolve().parents[1] / "house"

FLOORS = """\
base
runtime
kernel: records events
storage: lake(blob_store.hpp) warehouse
engines: sqlite files
doors: http grpc s3 rest
app
<fmt/>: everywhere
<gtest/>: tests
<sqlite3.h>: engines/sqlite
<boost/asio/>: runtime
  doors/http
"""
CONTRACT = """\
#pragma once
// Keeps things. Promises: what it has acknowledged survives a power loss. Owns: its own folder.
// Cost: one commit for each write. Fails: when the disk is full.
"""
README = "# Room\n\nKeeps things in order. More of it.\n"


def header(*includes: str) -> str:
    return "#pragma once\n" + source(*includes)


def source(*includes: str) -> str:
    return "".join(f"#include {i if i[0] == '<' else chr(34) + i + chr(34)}\n" for i in includes)


def room(path: str, *extra: str) -> dict[str, str]:
    """A room that keeps the rules; app uses its front door and the `extra` headers."""
    name = path.split("/")[1]
    files = {f"src/{path}/README.md": README, f"src/{path}/{name}.hpp": CONTRACT}
    files |= {f"src/{path}/{e}": header() for e in extra}
    used = [f"{path}/{h}" for h in (f"{name}.hpp", *extra)]
    return files | {f"src/app/use_{name}.cpp": source(*used)}


def write(root: pathlib.Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        full = root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")


def run(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, HOUSE, "--root", root, *arguments],
                          capture_output=True, text=True, check=False)


def rules(root: pathlib.Path) -> set[tuple[str, str]]:
    """(rule, path) of each finding; the exit code must agree with whether there are any."""
    done = run(root)
    assert done.returncode in (0, 1), done.stderr
    found = set()
    for line in done.stdout.splitlines():
        if not line.startswith("ok:"):
            place, rule, _ = line.split(": ", 2)
            found.add((rule, place.rsplit(":", 1)[0]))
    assert bool(found) == (done.returncode == 1), done.stdout
    return found


def build(root: pathlib.Path, *parts: dict[str, str]) -> set[tuple[str, str]]:
    write(root, {"src/FLOORS": FLOORS})
    for part in parts:
        write(root, part)
    return rules(root)


LAKE = room("storage/lake", "blob_store.hpp")
RECORDS = room("kernel/records")
BASE = {"src/base/result.hpp": header("<vector>", "<fmt/core.h>"),
        "src/app/main.cpp": source("base/result.hpp", "<iostream>")}


def test_a_tree_that_keeps_every_rule_passes_and_says_its_size(tmp_path):
    files = RECORDS | LAKE | BASE | {
        "src/kernel/records/index.hpp": header("base/result.hpp"),
        "src/kernel/records/index.cpp": source("kernel/records/index.hpp"),
        "src/kernel/records/records.cpp": source("kernel/records/index.hpp"),
        "src/storage/lake/lake.cpp": source("kernel/records/records.hpp"),
        "src/engines/files/blobs.cpp": source("storage/lake/blob_store.hpp"),
        "src/engines/files/README.md": README,
        "README.md": "# Title\n\n[map](src/FLOORS) and [title](#title)\n",
    }
    assert build(tmp_path, files) == set()
    assert run(tmp_path).stdout.startswith(f"ok: {len(files) + 1} files, 3 rooms in ")


# Who includes what, and whether that is allowed.
INCLUDES = [
    ("runtime/loop.cpp", "base/result.hpp", True),
    ("base/result.cpp", "runtime/clock.hpp", False),
    ("kernel/records/records.cpp", "runtime/clock.hpp", True),
    ("storage/lake/lake.cpp", "kernel/records/records.hpp", True),
    ("storage/lake/lake.cpp", "kernel/records/index.hpp", False),
    ("storage/lake/parts/lake.cpp", "storage/lake/etag.hpp", True),
    ("kernel/records/records.cpp", "storage/lake/lake.hpp", False),
    ("kernel/events/events.cpp", "kernel/records/records.hpp", True),
    ("kernel/records/records.cpp", "kernel/events/events.hpp", False),
    ("storage/lake/lake.cpp", "engines/sqlite/db.hpp", False),
    ("storage/lake/lake.cpp", "doors/http/http.hpp", False),
    ("engines/files/blobs.cpp", "storage/lake/blob_store.hpp", True),
    ("engines/files/blobs.cpp", "storage/lake/etag.hpp", False),
    ("engines/files/blobs.cpp", "engines/sqlite/db.hpp", False),
    ("engines/files/blobs.cpp", "doors/http/http.hpp", False),
    ("doors/s3/put.cpp", "storage/lake/lake.hpp", True),
    ("doors/s3/put.cpp", "doors/http/http.hpp", True),
    ("doors/s3/put.cpp", "doors/grpc/grpc.hpp", True),
    ("doors/http/server.cpp", "doors/s3/routes.hpp", False),
    ("doors/rest/why.cpp", "doors/s3/routes.hpp", False),
    ("doors/s3/put.cpp", "engines/sqlite/db.hpp", False),
    ("app/serve.cpp", "engines/sqlite/db.hpp", True),
    ("app/serve.cpp", "doors/s3/routes.hpp", True),
    ("app/serve.cpp", "storage/lake/etag.hpp", False),
    ("runtime/loop.cpp", "app/options.hpp", False),
    ("storage/lake/lake_test.cpp", "kernel/records/index.hpp", True),
    ("storage/lake/lake_test.cpp", "storage/warehouse/memory_engine.hpp", True),
    ("kernel/records/records_test.cpp", "storage/lake/memory_blob_store.hpp", True),
    ("kernel/records/records_test.cpp", "storage/lake/lake.hpp", False),
    ("kernel/records/records.cpp", "kernel/records/records_testing.hpp", False),
    ("storage/lake/lake.cpp", "etag.hpp", False),
]


@pytest.mark.parametrize(("file", "included", "allowed"), INCLUDES)
def test_an_include_looks_down_and_through_front_doors(tmp_path, file, included, allowed):
    target = {} if "/" not in included else {f"src/{included}": CONTRACT}
    found = build(tmp_path, target, {f"src/{file}": source(included)})
    assert (("include", f"src/{file}") in found) is not allowed


@pytest.mark.parametrize(("file", "included", "allowed"), [
    ("engines/sqlite/db.cpp", "<sqlite3.h>", True),
    ("kernel/records/records.cpp", "<sqlite3.h>", False),
    ("doors/http/server.cpp", "<boost/asio/ip/tcp.hpp>", True),
    ("doors/s3/put.cpp", "<boost/asio/ip/tcp.hpp>", False),
    ("base/result_test.cpp", "<gtest/gtest.h>", True),
    ("base/result.cpp", "<gtest/gtest.h>", False),
    ("base/result.cpp", "<expected>", True),
    ("base/result.cpp", "<curl/curl.h>", False),
])
def test_a_third_party_header_stays_where_floors_says(tmp_path, file, included, allowed):
    found = build(tmp_path, {f"src/{file}": source(included)})
    assert (("third-party", f"src/{file}") in found) is not allowed


@pytest.mark.parametrize("line", [
    "base", "Kernel: records", "kernel: records records", "<x.h> base", "<x.h>: attic"])
def test_floors_that_cannot_be_read_are_refused(tmp_path, line):
    write(tmp_path, {"src/FLOORS": f"base\n{line}\n"})
    assert rules(tmp_path) == {("floors", "src/FLOORS")}


@pytest.mark.parametrize(("path", "refused"), [
    ("src/attic/x.cpp", True), ("src/kernel/cellar/x.cpp", True), ("src/kernel/x.cpp", True),
    ("src/x.cpp", True), ("src/base/x.cpp", False), ("src/base/deep/x.cpp", False),
    ("src/kernel/CMakeLists.txt", False)])
def test_every_source_lives_in_a_listed_place(tmp_path, path, refused):
    assert build(tmp_path, {path: ""}) == ({("floors", path)} if refused else set())


def test_a_circle_of_files_or_rooms_is_named(tmp_path):
    files = {"src/base/a.hpp": header("base/b.hpp"), "src/base/b.hpp": header("base/a.hpp")}
    assert ("cycle", "src/base/a.hpp") in build(tmp_path, files)
    rooms = RECORDS | room("kernel/events") | {
        "src/kernel/records/r.cpp": source("kernel/events/events.hpp"),
        "src/kernel/events/e.cpp": source("kernel/records/records.hpp"),
        "src/base/b.hpp": header()}
    found = build(tmp_path, rooms)
    assert ("cycle", "src/base/a.hpp") not in found
    assert {path for rule, path in found if rule == "cycle"} == {"src/kernel/events/e.cpp"}


@pytest.mark.parametrize(("change", "fault"), [
    ({"src/kernel/records/README.md": "# R\n\n" + "Line.\n" * 38}, None),
    ({"src/kernel/records/README.md": "# R\n\n" + "Line.\n" * 39}, "room-readme"),
    ({"src/kernel/records/README.md": "# Only a title\n"}, "room-readme"),
    ({"src/kernel/records/records.hpp": "#pragma once\n// Short.\n"}, "front-door"),
    ({"src/kernel/records/records.hpp": "#pragma once\n" + "\n" * 25 + CONTRACT}, "front-door"),
])
def test_a_room_has_a_contract_and_a_short_readme(tmp_path, change, fault):
    found = build(tmp_path, RECORDS, change)
    assert {rule for rule, _ in found} == ({fault} if fault else set())


def test_a_room_without_its_front_door_readme_or_port_is_refused(tmp_path):
    found = build(tmp_path, {"src/storage/lake/put.cpp": ""})
    assert found == {("front-door", "src/storage/lake/lake.hpp"), ("floors", "src/FLOORS"),
                     ("room-readme", "src/storage/lake/README.md")}


def test_a_folder_holds_25_files_and_a_room_counts_its_sub_folders(tmp_path):
    many = {f"src/kernel/records/deep/f{i}.cpp": "" for i in range(24)}
    flat = {f"src/base/f{i}.cpp": "" for i in range(25)} | {"src/base/more/f.cpp": ""}
    assert build(tmp_path, RECORDS, many, flat) == set()
    one_more = {"src/kernel/records/f.cpp": "", "src/base/f25.cpp": ""}
    assert build(tmp_path, one_more) == {("folder-files", "src/kernel/records"),
                                         ("folder-files", "src/base")}


def cpp_function(lines: int) -> str:
    body = "  use(R\"x(})x\", '{', 1'000);  // {\n" * (lines - 2)
    before = "namespace a {\nstruct S { int x{0}; };\n"
    return before + "int f(S s = {}, int b = 1) {\n" + body + "}\n}\n"


def cpp_constructor(lines: int) -> str:
    return "S::S(int a)\n    : a_{a},\n      b_(a) {\n" + "  x();\n" * (lines - 4) + "}\n"


def cpp_branches(lines: int) -> str:
    head = "int f() {\n#ifdef A\n  if (a) {\n#else\n  if (b) {\n#endif\n  }\n"
    return head + "  x();\n" * (lines - 8) + "}\n"


def python_function(lines: int) -> str:
    return "def f(\n    a,\n):\n" + "    x('''\nflush left''')\n\n" * ((lines - 3) // 3) + "y = 1\n"


def typescript_function(lines: int) -> str:
    return "export const f = (a: A): B => {\n" + "  if (a) { b(); }\n" * (lines - 2) + "};\n"


def typescript_method(lines: int) -> str:
    return "class A {\n  async f(a: B): C {\n" + "    `${x} }`;\n" * (lines - 2) + "  }\n}\n"


@pytest.mark.parametrize(("path", "make", "at_limit", "over"), [
    ("src/base/f.cpp", cpp_function, 70, 71),
    ("src/base/f.cpp", cpp_constructor, 70, 72),
    ("src/base/f.cpp", cpp_branches, 70, 71),
    ("sdk/f.py", python_function, 69, 75),
    ("web/src/f.ts", typescript_function, 70, 71),
    ("web/src/f.ts", typescript_method, 70, 71),
])
def test_a_function_has_70_lines(tmp_path, path, make, at_limit, over):
    assert build(tmp_path, {path: make(at_limit) + "\n" * 9}) == set()
    assert build(tmp_path, {path: make(over) + "\n" * 9}) == {("function-lines", path)}


def test_long_namespaces_classes_tables_and_test_groups_are_not_functions(tmp_path):
    assert build(tmp_path, {
        "src/base/a.cpp": "namespace a {\n" + "int f() { return 1; }\n" * 99 + "}\n",
        "src/base/b.cpp": "template <class T>\nclass B : A<T> {\n" + "int a;\n" * 99 + "};\n",
        "src/base/c.cpp": "constexpr Row kRows[] = {\n" + "{f(1)},\n" * 99 + "};\n",
        "web/src/a.test.ts": "describe('x', () => {\n" + "it('y', () => { z() });\n" * 99 + "});\n",
    }) == set()


@pytest.mark.parametrize(("path", "line", "at_limit", "rule"), [
    ("src/base/f.cpp", "int x;\n", 800, "file-lines"),
    ("src/base/f.hpp", "int x;\n", 299, "header-lines"),
    ("web/src/f.svelte", "<p>x</p>\n", 800, "file-lines"),
])
def test_a_file_has_its_length(tmp_path, path, line, at_limit, rule):
    start, use = "", {}
    if path.endswith(".hpp"):
        start, use = header(), {"src/app/use.cpp": source("base/f.hpp")}
    assert build(tmp_path, use, {path: start + line * at_limit}) == set()
    assert build(tmp_path, {path: start + line * (at_limit + 1)}) == {(rule, path)}


@pytest.mark.parametrize("path", ["src/base/f.cpp", "sdk/f.py", "web/src/f.ts", "bench/run.sh"])
def test_a_line_has_100_characters(tmp_path, path):
    assert build(tmp_path, {path: "x" * 100 + "\n"}) == set()
    assert build(tmp_path, {path: "x" * 101 + "\n"}) == {("line-length", path)}
    assert build(tmp_path, {path: "# https://example.org/" + "x" * 100 + "\n"}) == set()
    assert build(tmp_path, {path: "// @" "generated\n" + "x" * 101 + "\n"}) == set()


# A floor's file, a line of it, and whether the line is refused there.
BANS = [
    ("base/f.cpp", "std::this_thread::sleep_for(1s);", True),
    ("base/f.cpp", "// std::this_thread::sleep_for(1s); \"system(\"", False),
    ("base/f.cpp", 'log("std::regex, rand()");', False),
    ("base/f.cpp", "system(line);", True),
    ("base/f.cpp", "file_system(line); clock.time(nullptr); step->exit(0);", False),
    ("base/f.cpp", "auto t = time(nullptr);", True),
    ("base/f.cpp", "auto t = std::chrono::system_clock::now();", True),
    ("runtime/f.cpp", "auto t = std::chrono::system_clock::now();", False),
    ("base/f.cpp", "std::random_device r;", True),
    ("base/f.cpp", "::rename(a, b);", True),
    ("base/f.cpp", "std::filesystem::rename(a, b);", True),
    ("base/f.cpp", "Lake::rename(a, b);", False),
    ("base/f.cpp", 'getenv("HOME");', True),
    ("app/f.cpp", 'getenv("HOME");', False),
    ("base/f.cpp", "#include <iostream>", True),
    ("app/f.cpp", "std::cout << 1;", False),
    ("base/f.cpp", "std::regex r;", True),
    ("base/f.cpp", "std::thread t;", True),
    ("base/f.cpp", "std::thread::hardware_concurrency();", False),
    ("base/f.cpp", "volatile int x;", True),
    ("base/f.cpp", "using namespace std::literals;", False),
    ("app/f.cpp", "exit(1);", False),
    ("base/f.cpp", "int x = std::stoi(s); std::stop_token t;", True),
    ("base/f.cpp", "std::stop_token t;", False),
]


@pytest.mark.parametrize(("file", "line", "refused"), BANS)
def test_a_banned_identifier_is_refused_where_a_replacement_exists(tmp_path, file, line, refused):
    path = f"src/{file}"
    assert build(tmp_path, {path: line + "\n"}) == ({("banned", path)} if refused else set())


@pytest.mark.parametrize(("path", "line"), [
    ("sdk/f.py", "subprocess.run(x, shell=True)"), ("sdk/f.py", "    except:"),
    ("tests/test_f.py", "time.sleep(1)"), ("web/src/f.ts", "e.innerHTML = x;"),
    ("web/src/f.ts", "// @ts-ignore"), ("web/src/f.svelte", "{@html text}")])
def test_other_languages_have_their_bans(tmp_path, path, line):
    assert build(tmp_path, {path: line + "\n"}) == {("banned", path)}


def test_a_header_names_what_it_uses_and_has_its_guard(tmp_path):
    use = {"src/base/f.cpp": "", "src/base/g.cpp": source("base/f.hpp")}
    assert build(tmp_path, use, {"src/base/f.hpp": "#pragma once\n"}) == set()
    found = build(tmp_path, {"src/base/f.hpp": "using namespace std;\n"})
    assert found == {("banned", "src/base/f.hpp"), ("pragma-once", "src/base/f.hpp")}


@pytest.mark.parametrize(("path", "text", "rule"), [
    ("src/base/f.cpp", "// TO" "DO: later\n", "word"),
    ("docs/a.md", "FIX" "ME\n", "word"),
    ("src/base/f.cpp", "mkstemp(\"/tmp/aXX" "XXXX\");\n", None),
    ("bench/run.sh", "cd /" "work/main\n", "machine-path"),
    ("docs/a.md", "`/" "root/.cache`\n", "machine-path"),
    ("bench/run.sh", "cd build/" "work/main ${HERE}/" "root/x a.work/" "root/b\n", None),
    ("src/base/f.cpp", "// caf\u00e9\n", "non-ascii"),
    ("src/base/f_test.cpp", "// caf\u00e9\n", None),
    ("web/src/f.ts", "const a = '\u2192';\n", None),
    ("src/base/Big.cpp", "", "name"),
    ("src/base/f.h", "", "name"),
    ("sdk/some-file.py", "", "name"),
    ("src/base/f.cpp", "TEST(A, B) {}\n", "name"),
    ("src/base/f_test.cpp", "TEST(A, B) {}\n", None),
    ("tests/f.py", "def test_x():\n    pass\n", "name"),
    ("src/base/f.hpp", "#pragma once\n", "dead-header"),
    ("tools/f.py", "", "dead-tool"),
])
def test_words_paths_characters_names_and_dead_files(tmp_path, path, text, rule):
    assert build(tmp_path, {path: text}) == ({(rule, path)} if rule else set())


def test_a_header_that_only_its_own_source_includes_is_dead_and_a_named_tool_is_not(tmp_path):
    files = {"src/base/f.hpp": header(), "src/base/f.cpp": source("base/f.hpp"),
             "tools/fetch.py": "import fetch_lib\n", "tools/fetch_lib.py": "",
             "Makefile": "all:\n\ttools/fetch.py\n"}
    assert build(tmp_path, files) == {("dead-header", "src/base/f.hpp")}
    assert build(tmp_path, {"src/base/f_test.cpp": source("base/f.hpp")}) == set()


@pytest.mark.parametrize(("link", "broken"), [
    ("[a](b.md)", False), ("[a](b.md#two-words)", False), ("[a](../src/)", False),
    ("[a](https://example.org/x)", False), ("`[a](c.md)`", False), ("[a](#here)", False),
    ("```\n[a](c.md)\n```", False), ("[a](c.md)", True), ("[a](b.md#three)", True),
    ("![a](c.png)", True), ("[r]: c.md", True), ('<img src="c.png">', True),
    ("[a](../../x.md)", True), ("[a](#nowhere)", True)])
def test_a_relative_link_leads_somewhere(tmp_path, link, broken):
    files = {"docs/a.md": f"# Here\n\n{link}\n", "docs/b.md": "## Two words\n"}
    assert build(tmp_path, files) == ({("link", "docs/a.md")} if broken else set())


def test_the_map_shows_rooms_with_their_first_sentence_and_is_kept_current(tmp_path):
    page = "docs/architecture.md"
    write(tmp_path, {"src/FLOORS": FLOORS, page: "# A\n\n<!-- map -->\n<!-- /map -->\n\nEnd.\n"})
    write(tmp_path, RECORDS)
    assert "- [`kernel/records`](../src/kernel/records/README.md): Keeps things in order.\n" in (
        run(tmp_path, "map").stdout)
    assert rules(tmp_path) == {("map", page)}
    assert run(tmp_path, "map", "--check", page).returncode == 1
    assert run(tmp_path, "map", "--write", page).returncode == 0
    assert run(tmp_path, "map", "--check", page).returncode == 0
    assert rules(tmp_path) == set()
    assert (tmp_path / page).read_text().endswith("End.\n")
    write(tmp_path, room("kernel/events"))
    assert rules(tmp_path) == {("map", page)}


def test_an_exception_allows_exactly_what_stands_and_must_go_when_it_is_mended(tmp_path):
    path, listed = "src/base/f.cpp", "tools/house.exceptions"
    assert build(tmp_path, {path: "int x;\n" * 810}) == {("file-lines", path)}
    exceptions = {listed: f"# comment\nfile-lines {path} 810 # generated tables\n"}
    assert build(tmp_path, exceptions) == set()
    assert "810 of 810, because generated tables" in run(tmp_path, "exceptions").stdout
    assert build(tmp_path, {path: "int x;\n" * 811}) == {("file-lines", path)}
    assert build(tmp_path, {path: "int x;\n" * 805}) == {("exceptions", listed)}
    assert build(tmp_path, {path: "int x;\n"}) == {("exceptions", listed)}
    assert build(tmp_path, {listed: f"file-lines {path} 810\n"}) == {("exceptions", listed)}


def test_exceptions_may_not_grow_from_one_commit_to_the_next(tmp_path):
    def commit(files: dict[str, str]) -> None:
        write(tmp_path, files)
        for command in (["add", "-A"], ["commit", "-qm", "x"]):
            subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b",
                            *command], check=True)

    subprocess.run(["git", "init", "-qb", "main", tmp_path], check=True)
    a, b, listed = "src/base/a.cpp", "src/base/b.cpp", "tools/house.exceptions"
    line = "int {}; volatile int {}_v;\n"
    commit({"src/FLOORS": FLOORS, a: line, listed: f"banned {a} 1 # why\n"})
    commit({"README.md": "# A\n"})
    assert rules(tmp_path) == set()
    commit({b: line, listed: f"banned {a} 1 # why\nbanned {b} 1 # why\n"})
    assert rules(tmp_path) == {("exceptions", listed)}
    commit({b: "int x;\n", a: "int y;\n", listed: ""})
    assert rules(tmp_path) == set()


def test_ignored_files_are_not_judged(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert build(tmp_path, {".gitignore": "/build/\n", "build/f.cpp": "volatile int x;\n"}) == set()
