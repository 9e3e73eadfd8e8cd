"""Runs one Python step: ``python -m strata.runner module:function``.

Started by the server's node agent.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from ._flow import RESULT, Step
from ._task import output


def _argument(value: Any) -> Any:
    """A reference to an output becomes the step's returned value, or the path of another file."""
    if isinstance(value, dict) and set(value) == {"$file"}:
        path = value["$file"]
        if os.path.basename(path) != RESULT:
            return path
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    if isinstance(value, dict):
        return {key: _argument(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_argument(item) for item in value]
    return value


def main(target: str) -> int:
    """Imports and calls the function; writes what it returned."""
    module_name, _, function_name = target.partition(":")
    sys.path.insert(0, os.getcwd())
    found: Any = importlib.import_module(module_name)
    for part in function_name.split("."):
        found = getattr(found, part)
    function = found.function if isinstance(found, Step) else found
    arguments = {
        name: _argument(value)
        for name, value in json.loads(os.environ.get("STRATA_ARGUMENTS", "{}")).items()
    }
    value = function(**arguments)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as problem:
        print(
            f"strata: {target} returned a {type(value).__name__} that is not JSON "
            f"({problem}); return plain values and write "
            "files with strata.output(name)",
            file=sys.stderr,
        )
        return 1
    with output(RESULT) as path:
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        print("usage: python -m strata.runner module:function", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
