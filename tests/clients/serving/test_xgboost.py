"""XGBoost behind endpoints: the numbers of mlflow.pyfunc in Python, to the bit."""

from __future__ import annotations

import re

import numpy as np
import pytest


def columns_of(table):
    return table[0].drop(columns=["origin"])


def boosted(frame, label, objective: str, rounds: int = 8, group=None, **options):
    import xgboost

    data = xgboost.DMatrix(frame, label)
    if group:
        data.set_group(group)
    return xgboost.train(
        {"objective": objective, "max_depth": 4, "seed": 1, "nthread": 1, **options}, data, rounds
    )


def python_says(mlflow, served, frame):
    return mlflow.pyfunc.load_model(f"models:/{served.registered}@live").predict(frame)


def same(answered: list, expected: np.ndarray) -> bool:
    """Each value, read as what Python answers with, has the same bits."""
    return np.array_equal(np.array(answered, expected.dtype), expected)


def log(served, model, **options) -> str:
    # Named, so that mlflow does not open the model in another process to find out.
    return served.log("xgboost", model, pip_requirements=["xgboost-cpu"], **options)


def serve(served, model, frame, **options):
    from mlflow.models import infer_signature

    signature = infer_signature(frame, np.zeros(len(frame)))
    version = log(served, model, signature=signature, **options)
    served.point(version)
    return served.create()


def records(frame):
    """Rows as JSON has them: a missing value is null."""
    rows = frame.astype(object).to_dict(orient="records")
    return [{k: None if v != v else v for k, v in row.items()} for row in rows]


CASES = {
    "binary": {"objective": "binary:logistic"},
    "margin": {"objective": "binary:logitraw"},
    "squared": {"objective": "reg:squarederror"},
    "poisson": {"objective": "count:poisson"},
    "several": {"objective": "multi:softprob", "num_class": 3},
    "label": {"objective": "multi:softmax", "num_class": 3},
    "rank": {"objective": "rank:ndcg", "group": [200, 200]},
    "dart": {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.4},
    "quantiles": {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
}


@pytest.mark.parametrize("case", CASES)
def test_each_objective_gives_what_python_gives(make_served, mlflow_client, table, case):
    frame, late = columns_of(table).copy(), table[1]
    frame.loc[::5, "wind"] = np.nan
    label = table[0].origin.cat.codes if "num_class" in CASES[case] else late
    served = make_served(f"xgb-{case}")
    form = "json" if case in ("binary", "several") else "ubj"
    made = serve(served, boosted(frame, label, **CASES[case]), frame, model_format=form)
    assert made["state"] == "ready", made
    answer = served.invoke({"dataframe_records": records(frame)})
    assert answer.status_code == 200, answer.text
    assert same(answer.json()["predictions"], python_says(mlflow_client, served, frame))
    one = served.invoke({"dataframe_records": records(frame.head(1))}).json()["predictions"]
    assert one == answer.json()["predictions"][:1]


def test_the_scikit_learn_classes_answer_as_theirs(make_served, mlflow_client, table):
    import xgboost

    frame, late = columns_of(table), table[1]
    origin = table[0].origin.cat.codes
    few = {"n_estimators": 30, "max_depth": 3, "n_jobs": 1}
    early = xgboost.XGBRegressor(**few, early_stopping_rounds=2, learning_rate=1)
    early.fit(frame[:200], late[:200], eval_set=[(frame[200:], late[200:])], verbose=False)
    assert early.best_iteration < 25
    models = {
        "binary": xgboost.XGBClassifier(**few).fit(frame, late),
        "classes": xgboost.XGBClassifier(**few).fit(frame, origin),
        "regressor": xgboost.XGBRegressor(**few).fit(frame, late),
        "forest": xgboost.XGBRFRegressor(**few).fit(frame, late),
        "ranker": xgboost.XGBRanker(**few).fit(frame, late, group=[200, 200]),
        "early": early,
    }
    for name, model in models.items():
        served = make_served(f"xgb-{name}")
        serve(served, model, frame)
        answer = served.invoke({"dataframe_records": records(frame)})
        assert answer.status_code == 200, answer.text
        expected = python_says(mlflow_client, served, frame)
        assert same(answer.json()["predictions"], expected), name


def test_the_inference_protocol_takes_named_columns_and_answers_float(make_served, table):
    tritonclient = pytest.importorskip("tritonclient.http")
    frame = columns_of(table)[["wind", "hour"]].rename(columns={"wind": "wind speed"})
    served = make_served("xgb-oip")
    model = boosted(frame, table[1], "binary:logistic")
    serve(served, model, frame)
    import xgboost

    client = tritonclient.InferenceServerClient(served.server.http.removeprefix("http://"))
    inputs = []
    for name, kind in (("wind speed", "FP64"), ("hour", "INT32")):
        one = tritonclient.InferInput(name, [len(frame)], kind)
        one.set_data_from_numpy(frame[name].to_numpy())
        inputs.append(one)
    answer = client.infer(served.name, inputs, headers=served.server.bearer()).as_numpy("predict")
    assert answer.dtype == np.float32
    assert (answer == model.predict(xgboost.DMatrix(frame))).all()


def test_what_is_not_served_and_what_is_damaged_says_why(make_served, table):
    import xgboost

    frame, late = columns_of(table), table[1]
    linear = boosted(frame, late, "reg:squarederror", booster="gblinear")
    coded = frame.assign(hour=frame.hour.astype("category"))
    categories = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(coded, late)
    for model, hint in ((linear, "gblinear"), (categories, "categorical")):
        served = make_served("xgb-refused")
        from mlflow.models import infer_signature

        served.point(log(served, model, signature=infer_signature(frame, np.zeros(len(frame)))))
        done = served.server.strata(
            "endpoint",
            "create",
            served.name,
            "--model",
            f"models:/{served.registered}@live",
            "--wait",
            check=False,
        )
        assert done.returncode == 1 and hint in done.stderr


def test_a_damaged_version_leaves_the_old_one_answering(make_served, table, tmp_path, until):
    frame, late = columns_of(table), table[1]
    served = make_served("xgb-damaged")
    serve(served, boosted(frame, late, "binary:logistic"), frame, model_format="json")
    rows = {"dataframe_records": records(frame.head(5))}
    expected = served.invoke(rows).json()
    folder = served.mlflow.artifacts.download_artifacts(
        f"models:/{served.registered}@live", dst_path=str(tmp_path)
    )
    file = tmp_path / "model.json"
    assert str(tmp_path) == folder.rstrip("/") and file.exists()
    text = file.read_text()
    damages = {
        "a cycle": ('"left_children":[1,', '"left_children":[0,', "left_children"),
        "a feature": (r'"split_indices":\[\d+', '"split_indices":[99999999', "split_indices"),
        "a group": (r'"tree_info":\[0', '"tree_info":[123456', "tree_info"),
        "half": (r"(?s)(.{5000}).*", r"\1", "JSON"),
    }
    for old, new, hint in damages.values():
        pattern = re.escape(old) if old.startswith('"left') else old
        file.write_text(re.sub(pattern, new, text, count=1))
        assert file.read_text() != text
        with served.mlflow.start_run() as run:
            served.mlflow.log_artifacts(folder, "model")
            version = served.mlflow.register_model(
                f"runs:/{run.info.run_id}/model", served.registered
            ).version
        served.point(str(version))
        until(lambda hint=hint: hint in (served.show()["error"] or ""))
        assert served.show()["state"] == "degraded"
        assert served.invoke(rows).json() == expected
