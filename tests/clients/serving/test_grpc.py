"""The Open Inference Protocol over gRPC, by the stock tritonclient."""

from __future__ import annotations

import asyncio
import json
import queue
import subprocess

import grpc
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from http2_peer import DATA, END_HEADERS, END_STREAM, HEADERS, Peer, frame
from serving_models import loop_graph
from triton_calls import address, infer_request, status_of, token, x
from tritonclient.grpc import aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(address(server)) as made:
        yield made


@pytest.fixture
def channel(server):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address(server), options=options) as made:
        yield made


@pytest.fixture
def stub(channel):
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_the_server_and_its_models_tell_of_themselves(server, client, linear):
    head = token(server)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(linear.name, headers=head)
    assert client.get_server_metadata().name == "strata"
    metadata = client.get_model_metadata(linear.name, headers=head, as_json=True)
    rest = triton_http.InferenceServerClient(address(server))
    told = rest.get_model_metadata(linear.name, headers=server.bearer())
    assert metadata["versions"] == told["versions"] and metadata["platform"] == told["platform"]
    for kind in ("inputs", "outputs"):
        mine = [{**port, "shape": [int(n) for n in port["shape"]]} for port in metadata[kind]]
        assert mine == told[kind]
    config = client.get_model_config(linear.name, headers=head, as_json=True)["config"]
    as_rest = rest.get_model_config(linear.name, headers=server.bearer())
    assert config["backend"] == as_rest["backend"] == "onnx"
    for kind in ("input", "output"):
        mine = [{**port, "dims": [int(n) for n in port["dims"]]} for port in config[kind]]
        assert mine == as_rest[kind]
    index = client.get_model_repository_index(headers=head).models
    assert any(one.name == linear.name and one.state == "READY" for one in index)


def test_answers_are_those_of_http_to_the_bit(server, client, linear):
    values = np.random.default_rng(3).normal(size=(100, 4)).astype("f4")
    result = client.infer(linear.name, x(values), headers=token(server), request_id="r-1")
    got = result.as_numpy("y")
    told = result.get_response()
    assert (told.id, told.model_name, told.model_version) == ("r-1", linear.name, "1")
    as_http = triton_http.InferInput("x", list(values.shape), "FP32")
    as_http.set_data_from_numpy(values)
    with triton_http.InferenceServerClient(address(server)) as rest:
        other = rest.infer(linear.name, [as_http], headers=server.bearer()).as_numpy("y")
    assert got.tobytes() == other.tobytes() and got.shape == (100, 2)
    parameters = {name: value.string_param for name, value in told.parameters.items()}
    assert parameters["strata_model_digest"].startswith("sha256:")
    kept = requests.get(
        f"{server.http}/api/v1/endpoints/{linear.name}", headers=server.bearer(), timeout=30
    ).json()
    assert parameters["strata_model_digest"] == kept["live"]["digest"]
    assert len(parameters["strata_prediction_id"]) == 36


def test_statistics_count_what_was_answered_and_refused(server, client, linear):
    def counts():
        told = client.get_inference_statistics(linear.name, headers=token(server))
        stats = told.model_stats[0].inference_stats
        return stats.success.count, stats.fail.count

    before = counts()
    client.infer(linear.name, x([[1, 2, 3, 4]]), headers=token(server))
    assert status_of(lambda: client.infer(linear.name, x([1, 2]), headers=token(server)))
    assert counts() == (before[0] + 1, before[1] + 1)


def test_columns_go_in_typed_or_raw(server, stub, flights, table):
    frame = table[0].drop(columns=["origin"]).head(5)
    expected = flights.models["1"].predict(frame)
    request = service_pb2.ModelInferRequest(model_name=flights.name)
    kinds = {
        "distance": ("INT64", "int64_contents", int),
        "wind": ("FP64", "fp64_contents", float),
        "hour": ("INT32", "int_contents", int),
        "cold": ("BOOL", "bool_contents", bool),
    }
    for name, (datatype, field, kind) in kinds.items():
        one = request.inputs.add(name=name, datatype=datatype, shape=[5, 1])
        getattr(one.contents, field).extend(kind(value) for value in frame[name])
    metadata = list(token(server).items())
    answer = stub.ModelInfer(request, metadata=metadata)
    assert answer.outputs[0].datatype == "FP64"
    assert np.frombuffer(answer.raw_output_contents[0]).tolist() == expected.tolist()
    request.raw_input_contents.append(b"")
    status, text = status_of(lambda: stub.ModelInfer(request, metadata=metadata))
    assert status == "INVALID_ARGUMENT" and "raw_input_contents" in text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"input": "z"}, "z"),
        ({"datatype": "BF16"}, "BF16"),
        ({"shape": [-1, 4]}, "negative"),
        ({"shape": [2**62, 4]}, "too many"),
        ({"shape": [1, 5]}, "[1,5]"),
        ({"shape": [1, 3], "raw": [b"x" * 12]}, "x"),
        ({"raw": []}, "x"),
        ({"raw": [b"1", b"2"]}, "raw_input_contents"),
        ({"outputs": ["z"]}, "z"),
    ],
)
def test_wrong_inputs_are_refused_by_name(server, stub, linear, changed, field):
    request = infer_request(linear.name, **changed)
    metadata = list(token(server).items())
    status, text = status_of(lambda: stub.ModelInfer(request, metadata=metadata))
    assert status == "INVALID_ARGUMENT" and field in text
    assert stub.ServerLive(service_pb2.ServerLiveRequest()).live


def test_no_rows_and_chosen_outputs(server, client, linear):
    empty = client.infer(linear.name, x(np.zeros((0, 4))), headers=token(server))
    assert empty.as_numpy("y").shape == (0, 2)
    outputs = [triton.InferRequestedOutput("y")]
    one = client.infer(linear.name, x([[0, 0, 0, 0]]), outputs=outputs, headers=token(server))
    np.testing.assert_array_equal(one.as_numpy("y")[0], linear.bias)


def test_unknown_models_methods_and_services(server, client, channel, stub, linear):
    head = token(server)
    metadata = list(head.items())
    status, text = status_of(lambda: client.infer("nobody", x([[1, 2, 3, 4]]), headers=head))
    assert status == "NOT_FOUND" and "nobody" in text
    status, text = status_of(
        lambda: client.infer(linear.name, x([[1, 2, 3, 4]]), model_version="7", headers=head)
    )
    assert status == "NOT_FOUND" and "7" in text
    assert status_of(lambda: client.get_model_config("nobody", headers=head))[0] == "NOT_FOUND"
    status, text = status_of(lambda: client.load_model(linear.name, headers=head))
    assert status == "UNIMPLEMENTED" and linear.name in text
    assert status_of(lambda: client.get_trace_settings(headers=head))[0] == "UNIMPLEMENTED"
    request = service_pb2.SystemSharedMemoryStatusRequest()
    status, text = status_of(lambda: stub.SystemSharedMemoryStatus(request, metadata=metadata))
    assert status == "UNIMPLEMENTED" and "SystemSharedMemoryStatus" in text
    for method in ("/inference.GRPCInferenceService/Nothing", "/no.Such/Thing"):
        call = channel.unary_unary(method)
        assert status_of(lambda call=call: call(b""))[0] == "UNIMPLEMENTED", method


def test_strangers_and_small_scopes_are_refused(server, client, linear):
    ask = x([[1, 2, 3, 4]])
    assert status_of(lambda: client.infer(linear.name, ask))[0] == "UNAUTHENTICATED"
    wrong = {"authorization": "Bearer nobody"}
    assert status_of(lambda: client.infer(linear.name, ask, headers=wrong))[0] == "UNAUTHENTICATED"
    made = server.strata("token", "create", "--scope", "endpoint:read", "-o", "json").stdout
    small = {"authorization": f"Bearer {json.loads(made)['token']}"}
    assert client.is_model_ready(linear.name, headers=small)
    status, text = status_of(lambda: client.infer(linear.name, ask, headers=small))
    assert status == "PERMISSION_DENIED" and "predict" in text


def counted(server, status: str) -> float:
    """Calls of ModelInfer that count as that status of HTTP."""
    text = requests.get(server.http + "/metrics", headers=server.bearer(), timeout=30).text
    for line in text.splitlines():
        if "GRPCInferenceService/ModelInfer" in line and f'status="{status}"' in line:
            return float(line.rsplit(" ", 1)[1])
    return 0


def test_calls_are_counted_by_what_became_of_them(server, client, linear):
    before = counted(server, "200"), counted(server, "404")
    client.infer(linear.name, x([[1, 2, 3, 4]]), headers=token(server))
    status_of(lambda: client.infer("nobody", x([[1, 2, 3, 4]]), headers=token(server)))
    after = counted(server, "200"), counted(server, "404")
    assert after == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_packed_messages_go_both_ways(server, client, linear, packing):
    values = np.random.default_rng(4).integers(0, 3, size=(2000, 4)).astype("f4")
    head = token(server)
    plain = client.infer(linear.name, x(values), headers=head).as_numpy("y")
    packed = client.infer(
        linear.name, x(values), headers=head, compression_algorithm=packing
    ).as_numpy("y")
    assert packed.tobytes() == plain.tobytes()


def test_big_tensors_pass_and_their_limit_holds(server, linear):
    values = np.random.default_rng(5).normal(size=(1_000_000, 4)).astype("f4")
    with triton.InferenceServerClient(address(server)) as client:
        got = client.infer(linear.name, x(values), headers=token(server)).as_numpy("y")
        np.testing.assert_allclose(got, values @ linear.weights + linear.bias, rtol=1e-3, atol=1e-4)
        large = np.zeros((5_000_000, 4), "f4")
        status, text = status_of(lambda: client.infer(linear.name, x(large), headers=token(server)))
        assert status == "RESOURCE_EXHAUSTED" and "67108864" in text
        assert client.is_server_live()


def test_what_unpacks_beyond_the_limit_is_refused(server, stub, linear):
    request = infer_request(linear.name, shape=[5_000_000, 4], raw=[bytes(80_000_000)])
    status, _ = status_of(
        lambda: stub.ModelInfer(
            request, metadata=list(token(server).items()), compression=grpc.Compression.Gzip
        )
    )
    assert status == "RESOURCE_EXHAUSTED"


def test_asynchronous_calls_of_both_kinds(server, client, linear):
    values = np.random.default_rng(6).normal(size=(50, 4)).astype("f4")
    expected = client.infer(linear.name, x(values), headers=token(server)).as_numpy("y")
    answers: queue.Queue = queue.Queue()
    for row in range(50):
        client.async_infer(
            linear.name,
            x(values[row : row + 1]),
            lambda result, error, row=row: answers.put((row, result, error)),
            headers=token(server),
        )
    for _ in range(50):
        row, result, error = answers.get(timeout=30)
        assert error is None
        assert result.as_numpy("y").tobytes() == expected[row : row + 1].tobytes()

    async def many() -> list[np.ndarray]:
        async with triton_aio.InferenceServerClient(address(server)) as made:
            calls = [
                made.infer(linear.name, x(values[row : row + 1]), headers=token(server))
                for row in range(50)
            ]
            return [result.as_numpy("y") for result in await asyncio.gather(*calls)]

    together = np.concatenate(asyncio.run(many()))
    assert together.tobytes() == expected.tobytes()


def test_many_streams_at_a_time_on_one_connection(server, stub, linear):
    """More than the server has at a time on one connection: the rest waits at the client."""
    metadata = list(token(server).items())
    calls = [
        stub.ModelInfer.future(
            infer_request(linear.name, raw=[np.full(4, n, "f4").tobytes()]), metadata=metadata
        )
        for n in range(500)
    ]
    for n, call in enumerate(calls):
        got = np.frombuffer(call.result(timeout=60).raw_output_contents[0], "f4")
        np.testing.assert_allclose(
            got, np.full(4, n, "f4") @ linear.weights + linear.bias, rtol=1e-4, atol=1e-3
        )


def test_deadlines_that_passed_are_told_and_counted(server, stub, linear):
    """The caller's own library sees its deadline first, so the server's answer is taken by hand."""
    metadata = list(token(server).items())
    late = status_of(
        lambda: stub.ModelInfer(infer_request(linear.name), metadata=metadata, timeout=0)
    )
    assert late[0] == "DEADLINE_EXCEEDED"
    before = counted(server, "504")
    message = in_frame(infer_request(linear.name))
    for timeout in ("0n", "10S"):
        peer = Peer(server)
        begin(server, peer, 1, ("grpc-timeout", timeout))
        peer.send(frame(DATA, END_STREAM, 1, message))
        ended(peer, 1)
        peer.socket.close()
    assert counted(server, "504") == before + 1


def in_frame(message) -> bytes:
    body = message.SerializeToString()
    return b"\0" + len(body).to_bytes(4, "big") + body


def begin(server, peer: Peer, stream: int, *fields: tuple[str, str]) -> None:
    """The head of a call of ModelInfer."""
    head = peer.head(
        "/inference.GRPCInferenceService/ModelInfer",
        "POST",
        ("content-type", "application/grpc"),
        ("authorization", server.bearer()["Authorization"]),
        *fields,
    )
    peer.send(frame(HEADERS, END_HEADERS, stream, head))


def ended(peer: Peer, stream: int) -> None:
    """Reads an answer's head and its trailers, which end it."""
    assert not peer.until(HEADERS, stream)[1] & END_STREAM
    assert peer.until(HEADERS, stream)[1] & END_STREAM


@pytest.mark.parametrize(
    ("field", "status"), [(("grpc-encoding", "snappy"), "501"), (("grpc-timeout", "soon"), "400")]
)
def test_a_wrong_head_is_answered_before_the_message(server, linear, field, status):
    before = counted(server, status)
    peer = Peer(server)
    begin(server, peer, 1, field)
    ended(peer, 1)
    assert counted(server, status) == before + 1
    message = in_frame(infer_request(linear.name))
    peer.send(frame(DATA, END_STREAM, 1, message))
    begin(server, peer, 3)
    peer.send(frame(DATA, END_STREAM, 3, message))
    ended(peer, 3)
    peer.socket.close()


@pytest.fixture(scope="module")
def rounds(make_served):
    """An endpoint that runs as many rounds as the largest value of its input."""
    from mlflow.models import infer_signature
    from onnx import helper

    one = np.array([[2]], "i8")
    count = helper.make_node("ReduceMax", ["x"], ["n"], keepdims=0)
    served = make_served("rounds")
    options = {"signature": infer_signature(one, one), "input_example": one}
    served.point(served.log("onnx", loop_graph(count), **options))
    served.create()
    return served


def test_a_run_ends_when_nobody_waits_for_it_any_more(server, stub, rounds, until):
    """Long before `endpoints.timeout`, by the caller's deadline and by its cancelling."""
    metadata = list(token(server).items())
    endless = infer_request(
        rounds.name, datatype="INT64", shape=[1, 1], raw=[np.array([10**15]).tobytes()]
    )

    def failed() -> int:
        return rounds.show()["requests"]["failed"]

    late = status_of(lambda: stub.ModelInfer(endless, metadata=metadata, timeout=1))
    assert late[0] == "DEADLINE_EXCEEDED"
    until(lambda: failed() == 1, timeout=30)
    call = stub.ModelInfer.future(endless, metadata=metadata)
    # On the same connection, so the server has begun with the call before by its answer.
    assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
    assert call.cancel()
    until(lambda: failed() == 2, timeout=30)
    assert rounds.show()["state"] == "ready"


def curl(server, path: str, body: bytes, *options: str) -> bytes:
    """What came of a call made by curl: heads, trailers and body."""
    done = subprocess.run(
        ["curl", "-sSi", "--http2-prior-knowledge", "-H", "Content-Type: application/grpc"]
        + ["-H", "TE: trailers", "--data-binary", "@-", *options, server.http + path],
        input=body,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (b"", (), b"3"),
        (b"\0\0\0\0\5ab", (), b"3"),
        (b"\7\0\0\0\0", (), b"3"),
        (b"\0\0\0\0\2\x0a\xff", (), b"3"),
        (b"\0\0\0\0\0\0\0\0\0\0", (), b"3"),
        (b"\1\0\0\0\2ab", ("-H", "grpc-encoding: gzip"), b"3"),
        (b"\1\0\0\0\2ab", (), b"3"),
        (b"\0\xff\xff\xff\xff", (), b"8"),
    ],
)
def test_broken_calls_get_a_status_and_a_reason(server, body, options, status):
    told = curl(
        server,
        "/inference.GRPCInferenceService/ModelMetadata",
        body,
        "-H",
        f"Authorization: {server.bearer()['Authorization']}",
        *options,
    )
    assert b"grpc-status: " + status + b"\r\n" in told
    assert b"grpc-message: " in told


def test_who_does_not_speak_grpc_gets_http(server):
    url = f"{server.http}/inference.GRPCInferenceService/ServerLive"
    over_http1 = requests.post(url, data=b"\0\0\0\0\0", timeout=30)
    assert over_http1.status_code == 415 and "HTTP/2" in over_http1.json()["error"]


def test_the_same_over_tls(tmp_path, fresh_server):
    """TLS agrees on HTTP/2 by ALPN."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
        + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True,
        capture_output=True,
    )
    fresh_server.options = ("--tls-certificate", str(certificate), "--tls-private-key", str(key))
    own = fresh_server.start()
    with triton.InferenceServerClient(
        address(own), ssl=True, root_certificates=str(certificate)
    ) as client:
        assert client.is_server_live()
        status, text = status_of(lambda: client.get_model_metadata("none", headers=token(own)))
        assert status == "NOT_FOUND" and "none" in text
        status, _ = status_of(lambda: client.infer("none", x([[1, 2, 3, 4]]), headers=token(own)))
        assert status == "NOT_FOUND"
