"""ONNX graphs behind MLflow's scoring protocol, and boto3's sagemaker-runtime."""

from __future__ import annotations

import datetime
import json

import boto3
import botocore.exceptions
import numpy as np
import pytest
from programs import ROOT


def test_tensor_payloads_give_what_mlflows_own_server_gives(linear):
    values = np.random.default_rng(4).normal(size=(3, 4)).astype("f4")
    expected = values @ linear.weights + linear.bias
    for body in (
        {"inputs": values.tolist()},
        {"instances": values.tolist()},
        {"inputs": {"x": values.tolist()}},
        {"instances": [{"x": row} for row in values.tolist()]},
    ):
        answer = linear.invoke(body)
        assert answer.status_code == 200, answer.text
        np.testing.assert_allclose(answer.json()["predictions"]["y"], expected, rtol=1e-5)


def test_a_graph_that_takes_columns_answers_in_records(make_served):
    from mlflow.models import infer_signature
    from onnx import TensorProto, helper
    import pandas as pd

    names = ["a", "b"]
    graph = helper.make_graph(
        [helper.make_node("Add", names, ["sum"])],
        "columns",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in names],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [10.0, 20.0]})
    served = make_served("columns")
    served.point(
        served.log(
            "onnx", model, signature=infer_signature(frame, pd.DataFrame({"sum": [11.0, 22.0]}))
        )
    )
    served.create()
    answer = served.invoke({"dataframe_split": {"columns": ["a", "b"], "data": [[10, 1], [20, 2]]}})
    assert answer.json() == {"predictions": [{"sum": 11.0}, {"sum": 22.0}]}, answer.text


def test_params_fit_the_signature_as_mlflow_wants_it(make_served):
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature
    from mlflow.models.utils import _enforce_params_schema
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data = np.ones((1, 1), "f4")
    defaults = {"k": 5, "rate": 0.5, "name": "a", "deep": False, "steps": [1, 2]}
    signature = infer_signature(data, data, params=defaults)
    served = make_served("params")
    served.point(served.log("onnx", model, signature=signature))
    served.create()
    values = [7, 7.5, "z", True, None, [1], [], ["a"], [[1]], {"a": 1}]
    for params in [{key: value} for key in (*defaults, "other") for value in values]:
        try:
            _enforce_params_schema(dict(params), signature.params)
            expected = 200
        except MlflowException:
            expected = 400
        answer = served.invoke({"inputs": data.tolist(), "params": params})
        assert answer.status_code == expected, (params, answer.text)


@pytest.fixture
def sagemaker(server):
    env = server.env
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=server.http,
        region_name="us-east-1",
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def test_boto3_invokes_an_endpoint_with_signed_requests(sagemaker, linear):
    answer = sagemaker.invoke_endpoint(
        EndpointName=linear.name,
        ContentType="application/json",
        Body=json.dumps({"inputs": [[1, 0, 0, 0]]}),
    )
    predictions = json.loads(answer["Body"].read())["predictions"]
    np.testing.assert_allclose(predictions["y"][0], linear.weights[0] + linear.bias, rtol=1e-6)
    assert answer["InvokedProductionVariant"] == "1"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["strata-prediction-id"]


def test_boto3_gets_the_form_that_it_accepts(sagemaker, linear):
    def invoke(accept):
        answer = sagemaker.invoke_endpoint(
            EndpointName=linear.name,
            ContentType="application/json",
            Accept=accept,
            Body='{"inputs": [[1, 0, 0, 0], [0, 1, 0, 0]]}',
        )
        return answer["ContentType"], answer["Body"].read().decode()

    expected = linear.weights[:2] + linear.bias
    for accept in ("text/csv", "application/json;q=0.5, text/csv"):
        kind, text = invoke(accept)
        assert kind == "text/csv"
        rows = [[float(value) for value in line.split(",")] for line in text.splitlines()]
        np.testing.assert_allclose(rows, expected, rtol=1e-6)
    for accept in ("application/json", "*/*", "application/json, text/csv;q=0.5"):
        kind, text = invoke(accept)
        assert kind == "application/json"
        np.testing.assert_allclose(json.loads(text)["predictions"]["y"], expected, rtol=1e-6)
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        invoke("application/x-npy")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 406


@pytest.mark.parametrize(
    "target",
    [
        {"TargetVariant": "9"},
        {"TargetModel": "other.tar.gz"},
        {"TargetContainerHostname": "other"},
        {"InferenceComponentName": "other"},
        {"EnableExplanations": "`true`"},
    ],
)
def test_boto3_is_told_when_what_it_chooses_is_not_there(sagemaker, linear, target):
    call = {
        "EndpointName": linear.name,
        "ContentType": "application/json",
        "Body": '{"inputs": [[1, 0, 0, 0]]}',
    }
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        sagemaker.invoke_endpoint(**call, **target)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert next(iter(target)).removeprefix("Target").lower() in str(refused.value).lower()
    assert sagemaker.invoke_endpoint(**call, TargetVariant="1")["InvokedProductionVariant"] == "1"


def test_boto3_sees_errors_in_its_own_form(server, sagemaker, linear):
    with pytest.raises(botocore.exceptions.ClientError) as bad:
        sagemaker.invoke_endpoint(
            EndpointName=linear.name, ContentType="application/json", Body="{}"
        )
    assert bad.value.response["Error"]["Code"] == "ValidationError"
    assert bad.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    forger = boto3.client(
        "sagemaker-runtime",
        endpoint_url=server.http,
        region_name="us-east-1",
        aws_access_key_id=server.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="guess",
    )
    with pytest.raises(botocore.exceptions.ClientError) as denied:
        forger.invoke_endpoint(
            EndpointName=linear.name,
            ContentType="application/json",
            Body='{"inputs": [[1, 0, 0, 0]]}',
        )
    assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_skewed_clock_is_told_to_boto3(sagemaker, linear, monkeypatch):
    import botocore.auth

    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: long_ago)
    with pytest.raises(botocore.exceptions.ClientError) as denied:
        sagemaker.invoke_endpoint(
            EndpointName=linear.name,
            ContentType="application/json",
            Body='{"inputs": [[1, 0, 0, 0]]}',
        )
    assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert "clock" in denied.value.response["Error"]["Message"]


def test_ping_answers_when_the_endpoint_does(linear):
    assert linear.get(f"/endpoints/{linear.name}/ping").status_code == 200
    assert linear.get("/endpoints/nobody/ping").status_code == 404


def test_where_no_python_is_known_a_scikit_learn_model_is_refused_with_the_ways_out(make_served):
    from sklearn.linear_model import LinearRegression

    served = make_served("sklearn")
    served.point(
        served.log(
            "sklearn",
            LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]),
            input_example=np.array([[0.0]]),
        )
    )
    command = ("endpoint", "create", "sklearn", "--wait", "--model")
    refused = served.server.strata(*command, f"models:/{served.registered}@live", check=False)
    assert refused.returncode != 0
    assert "python.environment" in refused.stderr and "onnx" in refused.stderr
    guide = (ROOT / "docs/how-to/deploy-a-model.md").read_text()
    shown = guide.partition("## A scikit-learn model")[2].split("```python\n")[1].split("```")[0]
    exec(compile(shown, "the guide", "exec"), {})
    command = ("endpoint", "create", "rents", "--wait", "--model", "models:/rents/1")
    assert "ready" in served.server.strata(*command).stdout
