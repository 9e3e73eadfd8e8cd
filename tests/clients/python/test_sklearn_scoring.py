"""A scikit-learn model over a whole table: the endpoint's bits."""

from __future__ import annotations

import numpy as np
from mlflow.models import infer_signature
from scoring_client import (
    endpoint_says,
    finished,
    put_table,
    start,
    table_says,
    with_ids,
)


def test_a_scikit_learn_model_scores_a_table_as_its_endpoint_does(server, make_served, table):
    from sklearn.ensemble import RandomForestRegressor

    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = make_served("forest")
    model = RandomForestRegressor(10, random_state=1).fit(frame, late + frame.wind)
    served.point(
        served.log(
            "sklearn",
            model,
            signature=infer_signature(frame, model.predict(frame)),
            input_example=frame.head(2),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
    )
    served.create()
    put_table(server, "planes", with_ids(frame))
    scoring = finished(server, start(server, served, input="planes", output="planes_out"))
    assert scoring["rows"] == len(frame)
    assert np.array_equal(table_says(server, "planes_out"), endpoint_says(served, frame))
