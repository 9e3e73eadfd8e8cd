"""SQL on the warehouse, as Python rows, pandas or Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ._client import Client, connect
from ._errors import StrataError
from ._params import encode_params
from ._statement import only_looks

if TYPE_CHECKING:
    import pandas
    import pyarrow

_ARROW = "application/vnd.apache.arrow.stream"


class QueryResult:
    """The answer to one statement.

    A query runs when its answer is first looked at, in the form that is asked for, and then wrong
    SQL raises; a statement that changes something has run when ``sql()`` returns, once.
    """

    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self._client = client
        self._body = body
        self._once = False
        self.query_id = ""

    def __repr__(self) -> str:
        query = " ".join(self._body["sql"].split())
        shown = query if len(query) <= 60 else query[:57] + "..."
        if "_json" in self.__dict__:
            state = f"{len(self)} rows of {', '.join(self.columns) or 'no columns'}"
        elif "_table" in self.__dict__:
            state = f"{self._table.num_rows} rows of {', '.join(self._table.column_names)}"
        else:
            state = "not run yet: look at .rows, .scalar(), .to_pandas() or .to_arrow()"
        return f"<QueryResult of {shown!r}: {state}>"

    def _fetch(self, accept: str) -> bytes:
        content, fields = self._client.request(
            "POST",
            "/api/v1/sql",
            body=json.dumps(self._body | {"limit": 0}).encode(),
            accept=accept,
        )
        self.query_id = fields.get("strata-query-id", "")
        return content

    @cached_property
    def _json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._fetch("application/json"))
        return answer

    @property
    def columns(self) -> list[str]:
        return [column["name"] for column in self._json["columns"]]

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._json["rows"]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self._json["rows"])

    def scalar(self) -> Any:
        """The only value of a one-row, one-column answer."""
        if len(self._json["rows"]) != 1 or len(self._json["columns"]) != 1:
            raise StrataError(
                f"expected one value, got {len(self)} rows of {len(self.columns)} columns"
            )
        return self._json["rows"][0][0]

    @cached_property
    def _table(self) -> pyarrow.Table:
        try:
            import pyarrow as pa
        except ImportError as problem:
            raise StrataError("this needs pyarrow: pip install pyarrow") from problem
        if self._once:
            columns = [pa.array([row[i] for row in self.rows]) for i in range(len(self.columns))]
            return pa.Table.from_arrays(columns, names=self.columns)
        with pa.ipc.open_stream(self._fetch(_ARROW)) as reader:
            return reader.read_all()

    def to_arrow(self) -> pyarrow.Table:
        """The answer as an Arrow table, with exact types."""
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """The answer as a pandas DataFrame; over Arrow where pyarrow is installed."""
        try:
            import pandas as pd
        except ImportError as problem:
            raise StrataError("this needs pandas: pip install pandas") from problem
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            return pd.DataFrame(self.rows, columns=self.columns)
        return self._table.to_pandas()


def sql(
    query: str,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    *,
    client: Client | None = None,
) -> QueryResult:
    """Runs one statement on the warehouse; ``?`` and ``$name`` stand for ``params``.

    What changes something has run when this returns. A query runs when its answer is first looked
    at (``.rows``, ``.to_pandas()`` and so on), and raises there.

    A parameter is a number, text, bool, None, date, time, datetime, Decimal, UUID, bytes, or a
    scalar of NumPy or pandas; NaN, NaT and NA are NULL. What JSON has no type for goes as exact
    text, which SQL casts where it meets a column of the type; write the cast where there is none:
    ``?::DATE``, ``?::DECIMAL(18, 4)``, ``?::TIMESTAMPTZ``, ``?::BLOB``.

    Raises InvalidArgumentError for wrong SQL, TypeError for a parameter of another type.
    """
    client = client or connect()
    body: dict[str, Any] = {"sql": query}
    if params is not None:
        body["params"] = encode_params(params)
    result = QueryResult(client, body)
    # A statement that changes something must happen now and once, not when its answer is looked at.
    if not only_looks(query):
        result._once = True
        _ = result._json
    return result
