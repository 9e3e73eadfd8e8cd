"""Pipelines' YAML is refused where a YAML parser refuses it, with the place of what is wrong."""

import pytest
import yaml

HEAD = "name: x\nsteps:\n"
# What is wrong, the text below HEAD, and the line and column that the error has to name.
BAD = [
    ("double quote", '  a:\n   command: "echo\n  b: x\n', "4:13"),
    ("double quote at the end", '  a:\n   command: "echo', "4:13"),
    ("double quote and a blank line", '  a:\n   command: "echo\n\n\n', "4:13"),
    ("single quote", "  a:\n   command: 'echo\n", "4:13"),
    ("single quote doubled", "  a:\n   command: 'it''s\n", "4:13"),
    ("escaped quote", '  a:\n   command: "echo \\"\n', "4:13"),
    ("quote in a list", "  a:\n   command: [sh, -c, 'echo]\n", "4:22"),
    ("quote behind a whole one", "  a:\n   command: ['sh', \"-c]\n", "4:20"),
    ("quoted key", '  a:\n   "command: [x]\n', "4:4"),
    ("quote behind an apostrophe", "  a:\n   command: it's\n  b: \"x\n", "5:6"),
    ("quote behind a comment", '  a:\n   # "so"\n   command: "x\n', "5:13"),
    ("bracket", "  a: {command: [echo, x\n", "3:16"),
    ("brace", "  a: {command: echo\n", "3:6"),
    ("tab", "  a:\n\tcommand: x\n", "4:1"),
    ("tab behind spaces", "  a:\n    cpu: 1\n  \tcommand: x\n", "5:3"),
]
GOOD = [
    "  a: {command: [\"say 'hi'\", 'a \"b\"', it's]}\n",
    "  a:\n    command: |+\n      echo \"it's\n",
    "  a:\n    command: [sh, -c, 'echo one\n      two']\n",
    '  a: {command: ["x"]}\n# a comment with "\n',
    "  a: {command: ['x']} # it's",
]


@pytest.mark.parametrize("what, text, place", BAD, ids=[what for what, _, _ in BAD])
def test_what_no_yaml_parser_takes_is_refused(server, tmp_path, what, text, place):
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(HEAD + text)
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + text)
    refused = server.strata("flow", "apply", str(file), "--dry-run", check=False)
    assert refused.returncode == 2
    assert f"bad.yaml:{place}:" in refused.stderr


@pytest.mark.parametrize("text", GOOD)
def test_quotes_that_close_or_quote_nothing_are_taken(server, tmp_path, text):
    assert yaml.safe_load(HEAD + text)["steps"]["a"]["command"]
    file = tmp_path / "good.yaml"
    file.write_text(HEAD + text)
    server.strata("flow", "apply", str(file), "--dry-run")
