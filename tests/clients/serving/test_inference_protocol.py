"""The Open Inference Protocol through tritonclient, and what no client should be able to break."""

from __future__ import annotations

import json
import math
import pathlib
import struct

import numpy as np
import pytest
import requests
import tritonclient.http as triton


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.http.removeprefix("http://")) as connected:
        yield connected


def tensor(name, values, datatype, binary=True):
    sent = triton.InferInput(name, values.shape, datatype)
    sent.set_data_from_numpy(values, binary_data=binary)
    return sent


def test_tritonclient_asks_and_infers_unmodified(client, server, linear):
    headers = server.bearer()
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(linear.name, headers=headers)
    assert client.get_server_metadata()["name"] == "strata"
    metadata = client.get_model_metadata(linear.name, headers=headers)
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert metadata["platform"] == "onnxruntime_onnx" and metadata["versions"] == ["1"]
    assert (
        client.get_model_config(linear.name, headers=headers)["input"][0]["data_type"]
        == "TYPE_FP32"
    )
    index = {
        entry["name"]: entry["state"]
        for entry in client.get_model_repository_index(headers=headers)
    }
    assert index[linear.name] == "READY"
    values = np.random.default_rng(3).normal(size=(5, 4)).astype("f4")
    for binary_in in (True, False):
        for outputs in (
            None,
            [triton.InferRequestedOutput("y", binary_data=True)],
            [triton.InferRequestedOutput("y", binary_data=False)],
        ):
            result = client.infer(
                linear.name,
                [tensor("x", values, "FP32", binary_in)],
                outputs=outputs,
                headers=server.bearer(),
            )
            np.testing.assert_allclose(
                result.as_numpy("y"), values @ linear.weights + linear.bias, rtol=1e-5
            )
    assert (
        client.get_inference_statistics(linear.name, headers=headers)["model_stats"][0][
            "inference_count"
        ]
        > 0
    )
    every = client.get_inference_statistics(headers=headers)["model_stats"]
    assert linear.name in [one["name"] for one in every]


@pytest.mark.parametrize("packed", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_compresses_what_it_sends_and_reads(client, server, linear, packed, binary):
    values = np.random.default_rng(4).normal(size=(300, 4)).astype("f4")
    result = client.infer(
        linear.name,
        [tensor("x", values, "FP32", binary)],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
        headers=server.bearer(),
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
    )
    np.testing.assert_allclose(
        result.as_numpy("y"), values @ linear.weights + linear.bias, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("packed", ["gzip", "deflate", "identity"])
def test_an_answer_comes_in_the_coding_that_was_asked_for(linear, packed):
    body = json.dumps(x(shape=[5000, 4], data=[0.5] * 20000))
    plain = linear.infer(body, **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    answer = linear.infer(body, **{"Accept-Encoding": packed})
    assert answer.headers.get("Content-Encoding", "identity") == packed
    assert answer.json()["outputs"] == plain.json()["outputs"]


def test_a_header_left_over_from_an_earlier_call_does_no_harm(client, server, linear):
    headers = server.bearer()
    values = np.ones((1, 4), "f4")
    first = client.infer(linear.name, [tensor("x", values, "FP32")], headers=headers)
    outputs = [triton.InferRequestedOutput("y", binary_data=False)]
    headers["Inference-Header-Content-Length"] = "17"
    again = client.infer(
        linear.name, [tensor("x", values, "FP32", False)], outputs=outputs, headers=headers
    )
    np.testing.assert_array_equal(first.as_numpy("y"), again.as_numpy("y"))


def test_columns_go_in_by_name_or_as_one_matrix(client, server, flights, table):
    frame = table[0].drop(columns=["origin"]).head(6)
    expected = flights.models["1"].predict(frame)
    kinds = {
        "distance": ("INT64", "i8"),
        "wind": ("FP64", "f8"),
        "hour": ("INT32", "i4"),
        "cold": ("BOOL", "?"),
    }
    for shape in ((6,), (6, 1)):
        named = [
            tensor(name, frame[name].to_numpy().astype(kind).reshape(shape), datatype)
            for name, (datatype, kind) in reversed(kinds.items())
        ]
        result = client.infer(flights.name, named, headers=server.bearer())
        assert result.as_numpy("predict").tolist() == expected.tolist()
    matrix = [tensor("all", frame.astype("f8").to_numpy(), "FP64")]
    assert (
        client.infer(flights.name, matrix, headers=server.bearer()).as_numpy("predict").tolist()
        == expected.tolist()
    )


def test_versions_address_what_is_loaded(server, linear):
    body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    url = f"{server.http}/v2/models/{linear.name}/versions/"
    answer = requests.post(url + "1/infer", json=body, headers=server.bearer(), timeout=30)
    assert answer.status_code == 200 and answer.json()["model_version"] == "1"
    assert answer.headers["Strata-Model-Digest"].startswith("sha256:")
    missing = requests.post(url + "2/infer", json=body, headers=server.bearer(), timeout=30)
    assert missing.status_code == 404 and "error" in missing.json()
    assert requests.get(url + "2/ready", headers=server.bearer(), timeout=30).status_code == 404


def test_nan_and_infinity_pass_through(linear):
    data = "[NaN,0,0,0,Infinity,0,0,0]"
    body = f'{{"inputs":[{{"name":"x","shape":[2,4],"datatype":"FP32","data":{data}}}]}}'
    answer = linear.infer(body)
    values = json.loads(answer.text)["outputs"][0]["data"]
    assert math.isnan(values[0]) and math.isinf(values[2])


def x(**changes):
    return {
        "inputs": [
            {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4], **changes}
        ]
    }


@pytest.mark.parametrize(
    "body, names",
    [
        ("", "body"),
        ("{", "JSON"),
        ("[]", "object"),
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        (x(shape=[-1, 4]), "x"),
        (x(shape=[2**62, 2**62]), "x"),
        (x(shape=[1, 3]), "x"),
        (x(shape=[4]), "x"),
        (x(shape=[2, 2]), "x"),
        (x(data=[1, 2, 3]), "x"),
        (x(data=[1, 2, 3, 4, 5]), "x"),
        (x(data=[[1, 2], [3, 4]]), "x"),
        (x(data=[1, 2, 3, "a"]), "x"),
        (x(data=[1, 2, 3, None]), "x"),
        (x(data="1234"), "x"),
        (x(datatype="FP99"), "x"),
        (x(datatype="BYTES", data=["a"] * 4), "x"),
        (x(name="z"), "x"),
        (x(name=""), "name"),
        (b'{"inputs":[{"name":"\xff\xfe"}]}', "UTF-8"),
        ({**x(), "outputs": [{"name": "nope"}]}, "nope"),
        ("[" * 10000, "object"),
        ('{"a":' + "[" * 10000, "deeper"),
    ],
)
def test_a_malformed_request_is_refused_naming_the_field(linear, body, names):
    answer = linear.infer(body)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error"} and names in answer.json()["error"]


@pytest.mark.parametrize("size, sent", [(16, 12), (16, 20), (12, 12), (2**63 - 1, 16)])
def test_binary_sizes_must_add_up(linear, size, sent):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": [1, 4],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": size},
                }
            ]
        }
    ).encode()
    answer = linear.infer(head + bytes(sent), **{"Inference-Header-Content-Length": str(len(head))})
    assert answer.status_code == 400 and "error" in answer.json()


def test_more_tensors_than_anybody_has_are_refused(linear):
    one = {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}
    answer = linear.infer({"inputs": [one | {"name": f"x{i}"} for i in range(20_000)]})
    assert answer.status_code == 400
    assert "20000 tensors" in answer.json()["error"]


def test_a_good_binary_request_by_hand(linear):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": [1, 4],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": 16},
                }
            ]
        }
    ).encode()
    body = head + struct.pack("<4f", 1, 0, 0, 0)
    answer = linear.infer(body, **{"Inference-Header-Content-Length": str(len(head))})
    np.testing.assert_allclose(
        answer.json()["outputs"][0]["data"], linear.weights[0] + linear.bias, rtol=1e-6
    )


def test_tritonclient_infers_at_the_same_time_unmodified(server, linear):
    values = np.random.default_rng(5).normal(size=(7, 4)).astype("f4")
    address = server.http.removeprefix("http://")
    with triton.InferenceServerClient(address, concurrency=4) as client:
        asked = [
            client.async_infer(
                linear.name, [tensor("x", values + i, "FP32")], headers=server.bearer()
            )
            for i in range(20)
        ]
        for i, answer in enumerate(asked):
            np.testing.assert_allclose(
                answer.get_result().as_numpy("y"),
                (values + i) @ linear.weights + linear.bias,
                rtol=1e-4,
            )


def test_classification_is_refused_by_its_name(client, server, linear):
    values = np.ones((1, 4), "f4")
    outputs = [triton.InferRequestedOutput("y", class_count=2)]
    with pytest.raises(triton.InferenceServerException, match="classification"):
        client.infer(
            linear.name, [tensor("x", values, "FP32")], outputs=outputs, headers=server.bearer()
        )
    assert "classification" not in client.get_server_metadata()["extensions"]


def test_strangers_and_unknown_models_are_refused_in_the_protocols_form(server, linear):
    url = f"{server.http}/v2/models/{linear.name}/infer"
    anonymous = requests.post(url, json=x(), timeout=30)
    assert anonymous.status_code == 401 and "error" in anonymous.json()
    unknown = requests.post(
        f"{server.http}/v2/models/nobody/infer", json=x(), headers=server.bearer(), timeout=30
    )
    assert unknown.status_code == 404 and "nobody" in unknown.json()["error"]


def test_loading_by_hand_is_refused_with_the_way_to_do_it(client, server, linear):
    assert "model_repository" not in client.get_server_metadata()["extensions"]
    for ask in (client.load_model, client.unload_model):
        with pytest.raises(triton.InferenceServerException, match="alias"):
            ask(linear.name, headers=server.bearer())
    assert client.is_model_ready(linear.name, headers=server.bearer())


def test_a_request_of_many_rows_is_logged_and_read_in_little_memory(server, linear):
    def peak() -> int:
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) >> 10

    rows = 600_000
    address = server.http.removeprefix("http://")
    with triton.InferenceServerClient(address, network_timeout=60) as patient:
        values = np.ones((rows, 4), "f4")
        sent = [tensor("x", values, "FP32")]
        patient.infer(linear.name, sent, headers=server.bearer())
    before = peak()
    listed = linear.get(f"/api/v1/endpoints/{linear.name}/predictions?limit=1").json()
    newest = listed["predictions"][0]
    assert newest["row_count"] == rows and len(newest["rows"]) == 1000
    assert newest["rows"][999]["row"] == 999 and listed["unreadable_files"] == 0
    found = linear.get(f"/api/v1/predictions/{newest['id']}").json()
    assert found["rows"] == newest["rows"] and found["row_count"] == rows
    # At half a kilobyte a row it would be 300 MiB.
    assert peak() - before < 100, "MiB"
    counted = server.strata(
        "sql",
        f"SELECT count(*) AS n FROM strata.predictions WHERE prediction_id = '{newest['id']}'",
        "-o",
        "json",
    )
    assert str(rows) in counted.stdout
