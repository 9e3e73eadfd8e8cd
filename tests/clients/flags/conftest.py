"""What the tests of flags share."""

from __future__ import annotations

import pytest
from flags_client import Flags


@pytest.fixture
def flags(fresh_server) -> Flags:
    return Flags(fresh_server.start())
