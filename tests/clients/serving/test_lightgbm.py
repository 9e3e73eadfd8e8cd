"""LightGBM behind MLflow's scoring protocol: Python's numbers, and nothing served unchecked."""

from __future__ import annotations

import gzip
import json
import zlib

import numpy as np
import pytest


def columns_of(table):
    return table[0].drop(columns=["origin"])


def test_every_payload_form_gives_what_python_gives_to_the_bit(flights, table):
    frame = columns_of(table).head(7)
    expected = flights.models["1"].predict(frame).tolist()
    split = json.loads(frame.to_json(orient="split", double_precision=15))
    exact = {"columns": list(frame.columns), "data": frame.astype(object).values.tolist()}
    records = frame.astype(object).to_dict(orient="records")
    columns = {name: frame[name].tolist() for name in frame.columns}
    assert set(split) == {"columns", "index", "data"}
    for body in (
        {"dataframe_split": exact},
        {"dataframe_split": {**exact, "index": split["index"]}},
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": columns},
        {"inputs": records, "params": {}},
    ):
        answer = flights.invoke(body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": expected}
    answer = flights.invoke(frame.to_csv(index=False), "text/csv; charset=UTF-8")
    assert answer.json() == {"predictions": expected}, answer.text
    marked = flights.invoke(b"\xef\xbb\xbf" + frame.to_csv(index=False).encode(), "text/csv")
    assert marked.json() == {"predictions": expected}, marked.text  # as spreadsheets save it


def test_a_payload_may_come_packed_and_the_answer_go_out_so(flights, table):
    frame = columns_of(table)
    body = frame.to_csv(index=False).encode()
    expected = flights.models["1"].predict(frame).tolist()
    for coding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        headers = {"Content-Encoding": coding, "Accept-Encoding": coding}
        answer = flights.invoke(pack(body), "text/csv", more_headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Encoding"] == coding
        assert answer.json() == {"predictions": expected}


def test_one_row_and_many_rows_agree(flights, table):
    frame = columns_of(table).head(50)
    many = flights.invoke(
        {"dataframe_records": frame.astype(object).to_dict(orient="records")}
    ).json()["predictions"]
    ones = [
        flights.invoke({"dataframe_records": [row]}).json()["predictions"][0]
        for row in frame.astype(object).to_dict(orient="records")
    ]
    assert many == ones == flights.models["1"].predict(frame).tolist()


def test_answers_say_who_gave_them(flights):
    created = flights.created
    assert created["state"] == "ready" and created["live"]["version"] == "1"
    answer = flights.invoke(
        {"dataframe_records": [{"distance": 1, "wind": 2.5, "hour": 3, "cold": True}]}
    )
    assert answer.headers["Strata-Model-Version"] == "1"
    assert answer.headers["Strata-Model-Digest"] == created["live"]["digest"]
    assert answer.headers["Strata-Model-Digest"].startswith("sha256:")
    metadata = flights.get(f"/v2/models/{flights.name}").json()
    assert metadata["parameters"]["digest"] == created["live"]["digest"]
    prediction = flights.get("/api/v1/predictions/" + answer.headers["Strata-Prediction-Id"]).json()
    assert (
        prediction["digest"] == created["live"]["digest"] and prediction["endpoint"] == flights.name
    )
    assert prediction["rows"] == [
        {
            "row": 0,
            "inputs": {"distance": 1, "wind": 2.5, "hour": 3, "cold": True},
            "outputs": {"predict": answer.json()["predictions"][0]},
        }
    ]


GOOD = {"distance": 100, "wind": 1.5, "hour": 3, "cold": False}


@pytest.mark.parametrize(
    "row, names",
    [
        ({**GOOD, "distance": 1.5}, "distance"),
        ({**GOOD, "distance": None}, "distance"),
        ({**GOOD, "distance": "100"}, "distance"),
        ({**GOOD, "hour": 2**40}, "hour"),
        ({**GOOD, "cold": 2}, "cold"),
        ({**GOOD, "wind": "windy"}, "wind"),
        ({k: v for k, v in GOOD.items() if k != "hour"}, "hour"),
    ],
)
def test_the_signature_is_enforced_and_the_error_names_the_column(flights, row, names):
    answer = flights.invoke({"dataframe_records": [row]})
    assert answer.status_code == 400
    assert names in answer.json()["message"] and answer.json()["error_code"] == "BAD_REQUEST"


def test_an_input_tensor_that_the_model_does_not_know_is_refused(flights):
    types = {"distance": "INT64", "wind": "FP64", "hour": "INT32", "cold": "BOOL"}
    known = [
        {"name": name, "datatype": types[name], "shape": [1], "data": [value]}
        for name, value in GOOD.items()
    ]
    assert flights.infer({"inputs": known}).status_code == 200
    slip = {"name": "Wind", "datatype": "FP64", "shape": [1], "data": [2.0]}
    answer = flights.infer({"inputs": [*known, slip]})
    assert answer.status_code == 400
    assert "'Wind'" in answer.json()["error"] and "wind" in answer.json()["error"]


def test_harmless_differences_are_accepted(flights, table):
    expected = flights.invoke({"dataframe_records": [GOOD]}).json()
    for row in ({**GOOD, "extra": "x"}, dict(reversed(GOOD.items())), {**GOOD, "distance": 100.0}):
        assert flights.invoke({"dataframe_records": [row]}).json() == expected
    missing = flights.invoke({"dataframe_records": [{**GOOD, "wind": None}]})
    assert missing.status_code == 200
    values = np.array([[100, np.nan, 3, 0]])
    assert missing.json()["predictions"] == flights.models["1"].predict(values).tolist()


@pytest.mark.parametrize(
    "body, content_type, status",
    [
        ("", "application/json", 400),
        ("[1]", "application/json", 400),
        ("{", "application/json", 400),
        ('{"inputs":[1],"instances":[1]}', "application/json", 400),
        ('{"data":[1]}', "application/json", 400),
        (b'{"inputs":"\xff"}', "application/json", 400),
        ("{}", "text/plain", 415),
        ("{}", "application/json; charset=latin-1", 415),
        ("a,b\n1", "text/csv", 400),
        ("", "text/csv", 400),
    ],
)
def test_malformed_payloads_get_an_error_in_mlflows_form(flights, body, content_type, status):
    answer = flights.invoke(body, content_type)
    assert answer.status_code == status
    assert set(answer.json()) == {"error_code", "message"}


def test_text_columns_are_the_categories_that_the_model_learned(make_served, table):
    from serving_models import train
    from mlflow.models import infer_signature

    frame, late = table
    booster = train(frame, late)
    served = make_served("categories")
    served.point(
        served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    )
    served.create()
    rows = frame.head(20)
    answer = served.invoke({"dataframe_records": rows.astype(object).to_dict(orient="records")})
    assert answer.json() == {"predictions": booster.predict(rows).tolist()}, answer.text


def test_several_classes_come_as_a_row_each(make_served, table):
    from serving_models import train
    from mlflow.models import infer_signature

    frame = columns_of(table)
    booster = train(frame, table[0].origin.cat.codes, 5, objective="multiclass", num_class=3)
    served = make_served("classes")
    served.point(
        served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    )
    served.create()
    rows = frame.head(3)
    answer = served.invoke({"dataframe_records": rows.astype(object).to_dict(orient="records")})
    assert answer.json() == {"predictions": booster.predict(rows).tolist()}, answer.text


def test_what_cannot_be_served_says_how_to_mend_it(make_served, table):
    import lightgbm
    from serving_models import train
    from mlflow.models import infer_signature

    frame, late = columns_of(table), table[1]
    sklearn = make_served("sklearn")
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(frame, late)
    sklearn.point(
        sklearn.log("lightgbm", model, signature=infer_signature(frame, model.predict(frame)))
    )
    unsigned = make_served("unsigned")
    unsigned.point(unsigned.log("lightgbm", train(frame, late, 2)))
    for served, hint in ((sklearn, "booster_"), (unsigned, "infer_signature")):
        done = served.server.strata(
            "endpoint",
            "create",
            served.name,
            "--model",
            f"models:/{served.registered}@live",
            "--wait",
            check=False,
        )
        assert done.returncode == 1
        assert hint in done.stderr
        assert served.show()["state"] == "failed"
        asked = served.invoke({"inputs": [1]})
        assert asked.status_code == 503
        reason = served.show()["error"]
        assert "failed" in asked.text and hint in reason and reason in asked.json()["message"]
        again = served.server.strata(
            "endpoint",
            "create",
            served.name,
            "--model",
            f"models:/{served.registered}@live",
            check=False,
        )
        assert again.returncode == 5
        assert "failed" in again.stderr and f"endpoint delete {served.name}" in again.stderr
