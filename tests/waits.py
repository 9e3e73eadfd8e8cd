"""Waiting in tests: always for a condition with a deadline, or for the random moment of a fault."""

import time


def pause(seconds: float) -> None:
    """One step of a wait with a deadline, or the random moment before a fault."""
    time.sleep(seconds)
