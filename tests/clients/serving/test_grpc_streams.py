"""Calls with many messages: ModelStreamInfer, health that is watched, reflection."""

from __future__ import annotations

import json
import queue
import threading

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from triton_calls import address, infer_request, status_of, token, x
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

SERVICE = "inference.GRPCInferenceService"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(address(server)) as made:
        yield made


class Asked:
    """The messages of a stream, sent when the test says so."""

    def __init__(self) -> None:
        self.queue: queue.Queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, None)

    def send(self, message) -> None:
        self.queue.put(message)

    def end(self) -> None:
        self.queue.put(None)


def test_a_stream_answers_in_order_and_an_error_leaves_it_open(server, linear):
    answers: queue.Queue = queue.Queue()
    values = np.random.default_rng(8).normal(size=(20, 4)).astype("f4")
    with triton.InferenceServerClient(address(server)) as client:
        expected = client.infer(linear.name, x(values), headers=token(server)).as_numpy("y")
        client.start_stream(
            lambda result, error: answers.put((result, error)), headers=token(server)
        )
        for row in range(20):
            name = "nobody" if row == 7 else linear.name
            wrong = row == 11
            given = x(values[row : row + 1, :3] if wrong else values[row : row + 1])
            client.async_stream_infer(name, given, request_id=str(row))
        for row in range(20):
            result, error = answers.get(timeout=30)
            if row in (7, 11):
                assert error is not None and ("nobody" if row == 7 else "x") in error.message()
                continue
            assert error is None
            assert result.get_response().id == str(row)
            assert result.as_numpy("y").tobytes() == expected[row : row + 1].tobytes()
        client.stop_stream()


def test_an_error_in_a_stream_names_its_request(server, channel):
    asked = Asked()
    call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
        iter(asked), metadata=list(token(server).items())
    )
    for name in ("first", "second"):
        asked.send(service_pb2.ModelInferRequest(model_name="nobody", id=name))
        answer = next(call)
        assert answer.infer_response.id == name and answer.error_message
    asked.end()
    assert list(call) == []
    assert call.code() == grpc.StatusCode.OK


def test_a_stream_ends_when_its_caller_may_no_longer(server, channel, linear):
    made = server.strata("token", "create", "--scope", "endpoint:predict", "-o", "json").stdout
    told = json.loads(made)
    asked = Asked()
    call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
        iter(asked), metadata=[("authorization", f"Bearer {told['token']}")]
    )
    asked.send(infer_request(linear.name))
    assert not next(call).error_message
    server.strata("token", "revoke", told["id"])
    asked.send(infer_request(linear.name))
    assert status_of(lambda: next(call))[0] == "UNAUTHENTICATED"
    asked.end()


def test_who_cancels_a_stream_harms_nobody_else(server, channel, linear):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    metadata = list(token(server).items())
    for _ in range(50):
        asked = Asked()
        call = stub.ModelStreamInfer(iter(asked), metadata=metadata)
        asked.send(infer_request(linear.name))
        assert not next(call).error_message
        call.cancel()
        asked.end()
    assert stub.ModelInfer(infer_request(linear.name), metadata=metadata).id == "i"


def test_health_is_told_to_anybody(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        asked = health_pb2.HealthCheckRequest(service=service)
        assert stub.Check(asked).status == SERVING
        assert next(stub.Watch(asked)).status == SERVING
    nobody = health_pb2.HealthCheckRequest(service="nobody")
    assert status_of(lambda: stub.Check(nobody))[0] == "NOT_FOUND"
    assert next(stub.Watch(nobody)).status == SERVICE_UNKNOWN


def test_a_stopping_server_tells_those_who_watch_and_ends_streams(fresh_server):
    own = fresh_server.start()
    with grpc.insecure_channel(address(own)) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        asked = Asked()
        stream = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            iter(asked), metadata=list(token(own).items())
        )
        asked.send(service_pb2.ModelInferRequest(model_name="nobody"))
        assert next(stream).error_message
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(own.stop()))
        stopping.start()
        assert next(watch).status == NOT_SERVING
        assert status_of(lambda: next(watch))[0] == "UNAVAILABLE"
        assert status_of(lambda: next(stream))[0] == "UNAVAILABLE"
        stopping.join(timeout=30)
        assert stopped == [0]
        asked.end()


def test_reflection_lists_and_describes_what_is_offered(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for known in (service_pb2, model_config_pb2, health_pb2, reflection_pb2):
        told = database.FindFileByName(known.DESCRIPTOR.name)
        assert told.SerializeToString() == known.DESCRIPTOR.serialized_pb
    with pytest.raises(KeyError):
        database.FindFileContainingSymbol("inference.Nobody")
    # A client that knows nothing beforehand calls by what it is told.
    pool = DescriptorPool(database)
    method = pool.FindServiceByName(SERVICE).FindMethodByName("ServerMetadata")
    call = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    assert call(GetMessageClass(method.input_type)()).name == "strata"


def test_both_versions_of_reflection_answer(channel):
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{SERVICE}.ModelInfer")
    for version in ("v1", "v1alpha"):
        call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = call(iter([asked]))
        assert len(answer.file_descriptor_response.file_descriptor_proto) == 2, version
    odd = reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="x")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([odd]))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
