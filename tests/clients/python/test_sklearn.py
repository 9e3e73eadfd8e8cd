"""Models of mlflow's flavors in processes of their own: mlflow.pyfunc's numbers, to the bit."""

from __future__ import annotations

import json

import boto3
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature


def columns_of(table):
    return table[0].drop(columns=["origin"])


def python_says(served, frame):
    loaded = served.mlflow.pyfunc.load_model(f"models:/{served.registered}@live")
    return np.asarray(loaded.predict(frame))


def serve(served, model, frame, flavor="sklearn", **options):
    signature = infer_signature(frame, model.predict(frame))
    options.setdefault("pip_requirements", ["scikit-learn"])
    served.point(
        served.log(flavor, model, signature=signature, input_example=frame.head(2), **options)
    )
    made = served.create()
    assert made["state"] == "ready", made
    return made


@pytest.fixture(scope="module")
def forest(make_served, table):
    from sklearn.ensemble import RandomForestRegressor

    frame, late = columns_of(table), table[1]
    served = make_served("forest")
    model = RandomForestRegressor(20, random_state=1).fit(frame, late + frame.wind)
    served.made = serve(served, model, frame, serialization_format="cloudpickle")
    served.frame = frame
    return served


def test_a_model_that_no_engine_runs_is_served_in_python_and_says_why(forest):
    live = forest.show()["live"]
    assert live["flavor"] == "python_function"
    assert "sklearn" in live["why"] and "lightgbm" in live["why"]
    assert live["processes"]["idle"] >= 1
    assert live["processes"]["memory_limit_bytes"] == 2 << 30


def test_gates_ask_a_python_model_in_processes_that_do_not_serve(make_served, table):
    from sklearn.linear_model import LinearRegression

    served = make_served("linear")
    frame = columns_of(table).drop(columns=["cold"]).astype("float64")

    class Fussy(LinearRegression):
        """Answers what it has seen, and dies of what lies far from that."""

        def predict(self, data):
            import os

            if float(np.abs(np.asarray(data)).max()) > 1e8:
                os._exit(3)
            return super().predict(data)

    linear = LinearRegression().fit(frame, table[1])
    fussy = Fussy().fit(frame, table[1])
    signature = infer_signature(frame, linear.predict(frame))
    options = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    for model in (linear, fussy):
        served.log("sklearn", model, signature=signature, **options)
    served.point("1")
    served.create()
    ended = served.show()["live"]["processes"]["ended"]
    model = f"models:/{served.registered}/2"
    done = served.server.strata("release", "plan", served.name, "--model", model, "-o", "json")
    gates = {gate["gate"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert gates["inputs"]["verdict"] == "fail", gates["inputs"]
    assert "exited with code 3" in gates["inputs"]["reason"]
    assert served.show()["live"]["processes"]["ended"] == ended


def test_scoring_gives_what_mlflow_gives_in_every_form(forest):
    frame = forest.frame.head(50)
    expected = python_says(forest, frame)
    split = forest.invoke({"dataframe_split": json.loads(frame.to_json(orient="split"))})
    assert split.status_code == 200, split.text
    assert np.array_equal(np.array(split.json()["predictions"]), expected)
    records = forest.invoke({"dataframe_records": frame.astype(object).to_dict("records")})
    assert records.json() == split.json()
    text = forest.invoke(frame.to_csv(index=False), "text/csv")
    assert text.json() == split.json(), text.text


def test_the_inference_protocol_gives_the_same_bits(forest):
    tritonclient = pytest.importorskip("tritonclient.http")
    client = tritonclient.InferenceServerClient(forest.server.http.removeprefix("http://"))
    frame = forest.frame.head(64)
    kinds = {"int64": "INT64", "float64": "FP64", "int32": "INT32", "bool": "BOOL"}
    inputs = []
    for name in frame.columns:
        values = frame[name].to_numpy()
        one = tritonclient.InferInput(name, [len(frame)], kinds[str(values.dtype)])
        one.set_data_from_numpy(values)
        inputs.append(one)
    answer = client.infer(forest.name, inputs, headers=forest.server.bearer())
    assert np.array_equal(answer.as_numpy("predict"), python_says(forest, frame))
    described = client.get_model_metadata(forest.name, headers=forest.server.bearer())
    assert described["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1]}]


def test_sagemakers_client_asks_it_as_any_other(forest, monkeypatch):
    for name, value in forest.server.env.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("sagemaker-runtime", endpoint_url=forest.server.http)
    frame = forest.frame.head(3)
    answer = client.invoke_endpoint(
        EndpointName=forest.name, ContentType="text/csv", Body=frame.to_csv(index=False)
    )
    assert json.loads(answer["Body"].read())["predictions"] == python_says(forest, frame).tolist()


def test_a_request_that_does_not_fit_never_reaches_the_model(forest):
    wrong = forest.invoke({"dataframe_records": [{"distance": 1.5, "wind": 1, "hour": 1}]})
    assert wrong.status_code == 400
    assert "distance" in wrong.text


def test_what_the_model_itself_refuses_is_the_requests_fault(make_served, table):
    from sklearn.linear_model import LinearRegression

    frame = columns_of(table)[["wind"]]
    served = make_served("linear")
    serve(served, LinearRegression().fit(frame, table[1]), frame)
    refused = served.invoke({"dataframe_records": [{"wind": None}]})
    assert refused.status_code == 400
    assert "NaN" in refused.text
    assert served.invoke({"dataframe_records": [{"wind": 2.0}]}).status_code == 200


def test_texts_classes_and_probabilities_pass_as_they_are(make_served, table):
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = table[0].assign(origin=table[0].origin.astype(str), wind=table[0].wind)
    label = np.where(table[1] == 1, "late – spät", "on time")
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["origin"]), remainder="passthrough"
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=50)).fit(frame, label)
    served = make_served("classes")
    serve(served, model, frame)
    rows = frame.head(40)
    answer = served.invoke({"dataframe_records": rows.astype(object).to_dict("records")})
    assert answer.json()["predictions"] == python_says(served, rows).tolist(), answer.text
    served = make_served("chances")
    signature = infer_signature(frame, model.predict_proba(frame))
    served.point(
        served.log(
            "sklearn",
            model,
            signature=signature,
            pyfunc_predict_fn="predict_proba",
            input_example=frame.head(3),
            pip_requirements=["scikit-learn"],
        )
    )
    served.create()
    answer = served.invoke({"dataframe_records": rows.astype(object).to_dict("records")})
    assert np.array_equal(np.array(answer.json()["predictions"]), model.predict_proba(rows))


def test_a_model_of_tensors_takes_tensors(make_served):
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 4))
    model = LinearRegression().fit(x, x @ rng.normal(size=(4, 2)))
    served = make_served("tensor")
    served.point(
        served.log(
            "sklearn",
            model,
            signature=infer_signature(x, model.predict(x)),
            pip_requirements=["scikit-learn"],
        )
    )
    served.create()
    answer = served.invoke({"inputs": x[:5].tolist()})
    assert np.array_equal(np.array(answer.json()["predictions"]), model.predict(x[:5]))


def test_a_scikit_learn_class_of_lightgbm_is_served_in_python(make_served, table):
    import lightgbm

    frame, late = columns_of(table), table[1]
    served = make_served("lgbm-class")
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(frame, late)
    serve(served, model, frame, flavor="lightgbm", pip_requirements=["lightgbm"])
    live = served.show()["live"]
    assert live["flavor"] == "python_function" and "booster_" in live["why"]
    answer = served.invoke({"dataframe_records": frame.head(9).astype(object).to_dict("records")})
    assert answer.json()["predictions"] == python_says(served, frame.head(9)).tolist()


def test_a_model_without_a_signature_is_refused_with_the_way_to_log_it(make_served):
    from sklearn.linear_model import LinearRegression

    served = make_served("unsigned")
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    served.point(served.log("sklearn", model, pip_requirements=["scikit-learn"]))
    command = ("endpoint", "create", served.name, "--wait", "--model")
    refused = served.server.strata(*command, f"models:/{served.registered}@live", check=False)
    assert refused.returncode == 1
    assert "infer_signature" in refused.stderr and "input_example" in refused.stderr


def test_every_prediction_is_in_the_log(forest):
    answer = forest.invoke(
        {"dataframe_records": forest.frame.head(1).astype(object).to_dict("records")}
    )
    prediction = forest.get(f"/api/v1/predictions/{answer.headers['Strata-Prediction-Id']}").json()
    assert prediction["rows"][0]["outputs"]["predict"] == answer.json()["predictions"][0]
    assert prediction["digest"] == forest.show()["live"]["digest"]


def test_missing_texts_and_numbers_reach_the_model_as_missing(make_served):
    served = make_served("missing")
    frame = pd.DataFrame({"name": ["a", None], "count": pd.Series([1.5, None]), "there": ["x", ""]})

    def predict(model_input):
        return [
            f"{row.name_!s}|{row.count_!s}|{row.there!s}"
            for row in model_input.rename(columns={"name": "name_", "count": "count_"}).itertuples()
        ]

    served.mlflow.set_experiment("serving")
    with served.mlflow.start_run():
        info = served.mlflow.pyfunc.log_model(
            name="model",
            python_model=predict,
            signature=infer_signature(frame, ["a"]),
            registered_model_name=served.registered,
            pip_requirements=["mlflow"],
        )
    served.point(str(info.registered_model_version))
    served.create()
    rows = [{"name": "a", "count": 1.5, "there": "x"}, {"name": None, "count": None, "there": ""}]
    answer = served.invoke({"dataframe_records": rows})
    assert answer.status_code == 200, answer.text
    loaded = served.mlflow.pyfunc.load_model(f"models:/{served.registered}@live")
    assert answer.json()["predictions"] == loaded.predict(frame)
    log = served.get(f"/api/v1/predictions/{answer.headers['Strata-Prediction-Id']}").json()
    by_row = {row["row"]: row["inputs"] for row in log["rows"]}
    assert by_row[0]["name"] == "a" and by_row[1]["name"] is None and by_row[1]["there"] == ""
