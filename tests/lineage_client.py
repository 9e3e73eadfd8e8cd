"""The stock OpenLineage client, as Airflow and others use it, and what the tests tell by it."""

from __future__ import annotations

import datetime
import uuid

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset,
    error_message_run,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpCompression,
    HttpConfig,
    HttpTransport,
)

PRODUCER = "https://github.com/apache/airflow"


def client(server, token: str | None = None) -> OpenLineageClient:
    key = token or server.bearer()["Authorization"].removeprefix("Bearer ")
    config = HttpConfig(
        url=server.http,
        auth=ApiKeyTokenProvider({"api_key": key}),
        compression=HttpCompression.GZIP,
        retry={"total": 0},
    )
    return OpenLineageClient(transport=HttpTransport(config))


def time_of(seconds_ago: float = 0.0) -> str:
    now = datetime.datetime.now(datetime.UTC)
    return (now - datetime.timedelta(seconds=seconds_ago)).isoformat()


def new_run() -> str:
    return str(uuid.uuid4())


def assertions(*all_of: tuple[str, bool, str]):
    """Each is what is checked, whether it holds, and how bad it is if not."""
    kind = data_quality_assertions_dataset
    return {
        "dataQualityAssertions": kind.DataQualityAssertionsDatasetFacet(
            assertions=[
                kind.Assertion(assertion=what, success=holds, column="wind", severity=severity)
                for what, holds, severity in all_of
            ]
        )
    }


def schema(*columns: tuple[str, str]):
    fields = [schema_dataset.SchemaDatasetFacetFields(name=n, type=t) for n, t in columns]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}


def written(space: str, name: str, rows: int | None = None, facets=None) -> OutputDataset:
    kind = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    counted = {} if rows is None else {"outputStatistics": kind(rowCount=rows)}
    return OutputDataset(namespace=space, name=name, facets=facets or {}, outputFacets=counted)


def read(space: str, name: str, checks=None) -> InputDataset:
    return InputDataset(namespace=space, name=name, inputFacets=checks or {})


def run_event(
    job: str,
    state: str,
    run: str | None = None,
    inputs=(),
    outputs=(),
    time: str | None = None,
    error: str = "",
    space: str = "airflow",
) -> RunEvent:
    facet = error_message_run.ErrorMessageRunFacet(message=error, programmingLanguage="PYTHON")
    return RunEvent(
        eventType=RunState[state],
        eventTime=time or time_of(),
        run=Run(runId=run or new_run(), facets={"errorMessage": facet} if error else {}),
        job=Job(namespace=space, name=job),
        producer=PRODUCER,
        inputs=list(inputs),
        outputs=list(outputs),
    )
