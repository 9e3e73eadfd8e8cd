"""Labels of predictions, and how good the answers were: every figure against scikit-learn."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import requests
import strata
from mlflow.models import infer_signature
from serving_models import train
from sklearn import metrics

TOLERANCE = 1e-9


def push(served, body, content_type: str = "application/json") -> requests.Response:
    return requests.post(
        f"{served.server.http}/api/v1/endpoints/{served.name}/labels",
        data=body if isinstance(body, (str, bytes)) else json.dumps(body),
        headers={**served.server.bearer(), "Content-Type": content_type},
        timeout=60,
    )


def performance(served, **query) -> dict:
    answer = requests.get(
        f"{served.server.http}/api/v1/monitors/{served.name}/performance",
        params=query,
        headers=served.server.bearer(),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(served, frame) -> tuple[str, np.ndarray]:
    answer = served.invoke({"dataframe_split": json.loads(frame.to_json(orient="split"))})
    assert answer.status_code == 200, answer.text
    return answer.headers["Strata-Prediction-Id"], np.array(answer.json()["predictions"])


def close(got, expected):
    assert got == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@pytest.fixture
def classifier(make_served, table):
    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = make_served("labelled")
    booster = train(frame, late, 8)
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    return served


@pytest.fixture
def client(server):
    return strata.Client(server.http, server.bearer()["Authorization"].removeprefix("Bearer "))


def test_a_classifier_is_measured_as_by_scikit_learn(classifier, client, table):
    frame, late = table[0].drop(columns=["origin"]), table[1]
    first, scores = ask(classifier, frame[:300])
    second, unlabelled = ask(classifier, frame[300:])
    truth = late[:300]
    sent = [
        {"prediction_id": first, "row": row, "value": bool(label)}
        for row, label in enumerate(truth)
    ]
    assert strata.log_labels(classifier.name, sent, client=client) == 300
    got = performance(classifier)
    assert got["kind"] == "binary" and got["version"] == "1"
    assert (got["rows"], got["labelled"]) == (400, 300) and got["share"] == 0.75
    said = scores >= 0.5
    real = got["metrics"]
    close(real["accuracy"], metrics.accuracy_score(truth, said))
    close(real["precision"], metrics.precision_score(truth, said))
    close(real["recall"], metrics.recall_score(truth, said))
    close(real["f1"], metrics.f1_score(truth, said))
    close(real["log_loss"], metrics.log_loss(truth, scores))
    close(real["brier"], metrics.brier_score_loss(truth, scores))
    close(real["roc_auc"], metrics.roc_auc_score(truth, scores))
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [abs(truth[bins == b].mean() - scores[bins == b].mean()) for b in np.unique(bins)]
    shares = [(bins == b).mean() for b in np.unique(bins)]
    close(real["calibration_error"], np.dot(gaps, shares))
    assert [one["rows"] for one in got["reliability"]] == np.bincount(bins, minlength=10).tolist()
    for at in np.unique(bins):
        close(got["reliability"][at]["observed"], truth[bins == at].mean())

    # Without labels: each row counts for both classes, by its score.
    every = np.concatenate([scores, unlabelled])
    both = np.concatenate([np.ones(400), np.zeros(400)])
    weights = np.concatenate([every, 1 - every])
    twice = np.concatenate([every, every])
    expected = got["estimated"]
    said = twice >= 0.5
    close(expected["accuracy"], metrics.accuracy_score(both, said, sample_weight=weights))
    close(expected["precision"], metrics.precision_score(both, said, sample_weight=weights))
    close(expected["recall"], metrics.recall_score(both, said, sample_weight=weights))
    close(expected["f1"], metrics.f1_score(both, said, sample_weight=weights))
    close(expected["roc_auc"], metrics.roc_auc_score(both, twice, sample_weight=weights))

    # The same at another threshold, and in steps that together are the whole.
    stricter = performance(classifier, threshold=0.7)
    close(stricter["metrics"]["accuracy"], metrics.accuracy_score(truth, scores >= 0.7))
    assert sum(step["labelled"] for step in got["steps"]) == 300
    shown = classifier.server.strata("monitor", "performance", classifier.name).stdout
    assert "roc_auc" in shown and "75 %" in shown
    assert strata.performance(classifier.name, client=client)["labelled"] == 300
    assert second != first


def test_a_regression_is_measured_as_by_scikit_learn(make_served, table):
    frame = table[0].drop(columns=["origin", "cold"])
    late = frame.wind * 3 + frame.hour
    served = make_served("delays")
    booster = train(frame, late, 10, objective="regression")
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    prediction, answers = ask(served, frame)
    lines = ["prediction_id,row,value,event_time"]
    lines += [f"{prediction},{row},{label},2026-01-02T03:04:05Z" for row, label in enumerate(late)]
    assert push(served, "\n".join(lines), "text/csv").json()["labels"] == len(frame)
    got = performance(served)
    assert got["kind"] == "regression" and got["estimated"] is None
    close(got["metrics"]["mae"], metrics.mean_absolute_error(late, answers))
    close(got["metrics"]["rmse"], metrics.root_mean_squared_error(late, answers))
    close(got["metrics"]["bias"], np.mean(answers - late))
    close(got["metrics"]["r2"], metrics.r2_score(late, answers))


def test_versions_are_measured_each_by_what_it_answers(make_served):
    import pandas as pd
    from onnx import TensorProto, helper

    def graph(*outputs: str):
        def info(name):
            return helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1])

        nodes = [helper.make_node("Abs", ["x"], [name]) for name in outputs]
        made = helper.make_graph(nodes, "graph", [info("x")], [info(name) for name in outputs])
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    served = make_served("outputs")
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    for outputs in (("y",), ("low", "high")):
        answer = pd.DataFrame(dict.fromkeys(outputs, [1.0, 2.0]))
        served.log("onnx", graph(*outputs), signature=infer_signature(frame, answer))
    served.point("1")
    served.create()
    sent = []
    for version, rows in (("1", 3), ("2", 2)):
        served.point(version)
        served.wait_for(version)
        for row in range(rows):
            body = {"dataframe_records": [{"x": float(row)}]}
            answer = served.invoke(body)
            assert answer.status_code == 200, answer.text
            prediction = answer.headers["Strata-Prediction-Id"]
            sent.append({"prediction_id": prediction, "value": row + 0.5})
    sent.append({"prediction_id": "nobody-asked-that", "value": "a word"})
    assert push(served, {"labels": sent}).status_code == 200
    got = performance(served)
    assert got["version"] == "1" and got["kind"] == "regression" and got["output"] == "outputs.y"
    close(got["metrics"]["mae"], 0.5)
    counted = {one["version"]: (one["rows"], one["labelled"]) for one in got["versions"]}
    assert counted == {"1": (3, 3), "2": (2, 2)}
    second = performance(served, version="2", output="low")
    assert second["rows"] == 2 and second["metrics"]["mae"] == pytest.approx(0.5)
    url = f"{served.server.http}/api/v1/monitors/{served.name}/performance?version=2"
    unclear = requests.get(url, headers=served.server.bearer(), timeout=60)
    assert unclear.status_code == 400 and unclear.json()["error"]["field"] == "output"
    assert performance(served, kind="regression")["rows"] == 3


def test_the_latest_event_counts_and_the_last_word_about_it(classifier, table):
    frame = table[0].drop(columns=["origin"])[:4]
    prediction, scores = ask(classifier, frame)
    said = [int(score >= 0.5) for score in scores]

    def one(row: int, value, day: int = 1) -> dict:
        when = f"2026-01-{day:02}T00:00:00Z"
        return {"prediction_id": prediction, "row": row, "value": value, "event_time": when}

    def accuracy() -> float:
        return performance(classifier)["metrics"]["accuracy"]

    right = {"labels": [one(row, value) for row, value in enumerate(said)]}
    assert push(classifier, right).status_code == 200
    assert accuracy() == 1
    assert push(classifier, right).status_code == 200, "the same again"
    assert performance(classifier)["labelled"] == 4 and accuracy() == 1
    push(classifier, {"labels": [one(0, 1 - said[0])]})
    assert accuracy() == 0.75, "a correction of the same event time"
    push(classifier, {"labels": [one(0, said[0], 5), one(1, 1 - said[1], 4)]})
    assert accuracy() == 0.75, "a later event"
    push(classifier, {"labels": [one(0, 1 - said[0], 2)]})
    assert accuracy() == 0.75, "an earlier event that comes late"
    # All that came is there to read.
    answer = classifier.server.strata(
        "sql",
        "-o",
        "json",
        "SELECT count(*) AS n, max(number) AS most, min(event_time) < max(event_time) AS times "
        f"FROM strata.labels WHERE prediction_id = '{prediction}'",
    )
    rows = json.loads(answer.stdout)
    assert "12" in json.dumps(rows), rows


def test_labels_that_come_before_their_prediction_wait_for_it(classifier, table):
    frame = table[0].drop(columns=["origin"])[:2]
    assert (
        push(classifier, {"labels": [{"prediction_id": "none-yet", "value": 1}]}).json()["labels"]
        == 1
    )
    before = performance(classifier)
    assert before["rows"] == 0 and before["metrics"] is None and before["kind"] is None
    prediction, _ = ask(classifier, frame)
    lines = [json.dumps({"prediction_id": prediction, "row": row, "value": row}) for row in (0, 1)]
    assert push(classifier, "\n".join(lines), "application/x-ndjson").status_code == 200
    assert performance(classifier)["labelled"] == 2
    other = performance(classifier, label="other")
    assert other["labelled"] == 0 and other["metrics"] is None


def test_a_file_is_pushed_and_labels_outlive_a_killed_server(
    fresh_server, other_mlflow, table, tmp_path
):
    from served import Served

    running = fresh_server
    frame, late = table[0].drop(columns=["origin"]), table[1]
    served = Served(running, other_mlflow, "kept")
    booster = train(frame, late, 3)
    served.log("lightgbm", booster, signature=infer_signature(frame, booster.predict(frame)))
    served.point("1")
    served.create()
    prediction, _ = ask(served, frame)
    file = tmp_path / "labels.csv"
    rows = [f'"{prediction}",{row},{label}' for row, label in enumerate(late)]
    # More than one request, and more than the records hold.
    rows += [f"unknown-{i},0,1" for i in range(25_000)]
    file.write_text("prediction_id,row,value\n" + "\n".join(rows) + "\n")
    shown = running.strata("label", "push", "kept", "--file", str(file)).stdout
    assert "25400" in shown
    before = performance(served)
    assert before["labelled"] == len(late)
    running.kill()
    running.start()
    after = performance(served)
    assert after["labelled"] == before["labelled"] and after["metrics"] == before["metrics"]
    counted = running.strata("sql", "-o", "json", "SELECT count(*) FROM strata.labels").stdout
    assert "25400" in counted


@pytest.mark.parametrize(
    ("label", "field"),
    [
        ({"value": 1}, "labels[0].prediction_id"),
        ({"prediction_id": "p"}, "labels[0].value"),
        ({"prediction_id": "p" * 1_000_000, "value": 1}, "labels[0].prediction_id"),
        ({"prediction_id": "p", "value": [1]}, "labels[0].value"),
        ({"prediction_id": "p", "value": 1, "row": -1}, "labels[0].row"),
        ({"prediction_id": "p", "value": 1, "event_time": "soon"}, "labels[0].event_time"),
        (
            {
                "prediction_id": "p",
                "value": 1,
                "event_time": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            },
            "labels[0].event_time",
        ),
        ({"prediction_id": "p", "value": 1, "valeu": 1}, "labels[0].valeu"),
    ],
)
def test_a_wrong_label_is_refused_with_its_field_and_none_is_kept(classifier, label, field):
    good = {"prediction_id": "good", "value": 1}
    answer = push(classifier, {"labels": [label, good]})
    assert answer.status_code == 400 and answer.json()["error"]["field"] == field, answer.text
    counted = classifier.server.strata(
        "sql", "-o", "json", f"SELECT * FROM strata.labels WHERE endpoint = '{classifier.name}'"
    )
    assert "good" not in counted.stdout


def test_what_cannot_be_measured_is_refused(classifier, table):
    ask(classifier, table[0].drop(columns=["origin"])[:2])

    def refused(**query) -> str:
        answer = classifier.get(
            f"/api/v1/monitors/{classifier.name}/performance?"
            + "&".join(f"{name}={value}" for name, value in query.items())
        )
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]["field"]

    assert refused(output="nothing") == "output"
    assert refused(kind="ranking") == "kind"
    assert refused(threshold="2") == "threshold"
    assert refused(since="2026-01-02T00:00:00Z", until="2026-01-01T00:00:00Z") == "since"
    missing = classifier.get("/api/v1/monitors/no-such-endpoint/performance")
    assert missing.status_code == 404
    assert push(classifier, "a,b\n1,2\n", "text/csv").status_code == 400
    assert push(classifier, "<x/>", "text/xml").status_code == 415
