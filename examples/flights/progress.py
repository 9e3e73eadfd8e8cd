"""A progress bar on a terminal; a line every few seconds where there is none."""

import sys
import threading
import time


class Bar:
    """Counts towards `total`. May be advanced from any thread."""

    def __init__(self, label: str, total: int, unit: str = "", out=sys.stderr):
        self.label, self.total, self.unit, self.out = label, max(total, 1), unit, out
        self.done, self.started = 0, time.monotonic()
        self.shown_at = self.started
        self.lock = threading.Lock()
        self.terminal = out.isatty()

    def advance(self, by: int = 1) -> None:
        with self.lock:
            self.done += by
            now = time.monotonic()
            if now - self.shown_at > (0.1 if self.terminal else 3) or self.done >= self.total:
                self.shown_at = now
                self._show(now - self.started)

    def _show(self, elapsed: float) -> None:
        part = min(self.done / self.total, 1.0)
        count = f"{self.done:,}/{self.total:,} {self.unit}".rstrip()
        if self.terminal:
            filled = int(part * 24)
            bar = "#" * filled + "." * (24 - filled)
            line = f"\r  {self.label:<10} [{bar}] {count}  {elapsed:4.1f} s"
            print(line, end="\n" if self.done >= self.total else "", file=self.out, flush=True)
        else:
            print(
                f"  {self.label:<10} {part:4.0%}  {count}  {elapsed:4.1f} s",
                file=self.out,
                flush=True,
            )
