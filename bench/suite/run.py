"""The settings of one run and its scratch folders."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil


@dataclasses.dataclass
class Run:
    scratch: pathlib.Path
    seconds: float = 3.0  # of one sample
    repetitions: int = 3
    made: int = 0

    def fresh(self, name: str) -> pathlib.Path:
        """An empty folder of that name on the disk under measurement."""
        self.made += 1
        folder = self.scratch / f"{name}-{self.made}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
