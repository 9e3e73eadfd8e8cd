"""Where a thing came from, and what depends on it."""

from __future__ import annotations

from typing import Any

from ._client import Client, connect, segment


def why(id: str, *, client: Client | None = None) -> dict[str, Any]:
    """All that led to a prediction, endpoint, model, run or table ("model:flights@3").

    Nodes and edges of the lineage graph. Raises NotFoundError.
    """
    answer: dict[str, Any] = (client or connect()).json("GET", f"/api/v1/why/{segment(id)}")
    return answer


def impact(ref: str, *, client: Client | None = None) -> dict[str, Any]:
    """All that was made with the help of a thing."""
    answer: dict[str, Any] = (client or connect()).json("GET", "/api/v1/impact", query={"ref": ref})
    return answer
