"""Files of the step that runs: what it reads from earlier steps and writes for later ones."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import ConfigurationError, NotFoundError


def _folder(variable: str) -> pathlib.Path:
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(f"{variable} is not set: this runs outside of a pipeline's step")
    return pathlib.Path(value)


def input(step: str, name: str) -> pathlib.Path:
    """The path of a file that an earlier step wrote. Raises NotFoundError naming what there is."""
    folder = _folder("STRATA_INPUTS")
    path = folder / step / name
    if not path.is_file():
        there = sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/*"))
        raise NotFoundError(
            f"no input '{step}/{name}'; there is "
            + (", ".join(there) or "none: does the step need it?")
        )
    return path


@contextmanager
def output(name: str) -> Iterator[pathlib.Path]:
    """The path to write an output of this step to.

    It takes its name only when the block ends without an exception.
    """
    folder = _folder("STRATA_OUTPUTS")
    part = folder / f".{name}.part"
    yield part
    os.replace(part, folder / name)
