"""What the tests of gRPC say to a server."""

from __future__ import annotations

import urllib.parse

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException


def address(server) -> str:
    return urllib.parse.urlsplit(server.http).netloc


def token(server) -> dict[str, str]:
    """Metadata keys are lower-case in gRPC."""
    return {"authorization": server.bearer()["Authorization"]}


def tensor(name: str, values: np.ndarray, datatype: str) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def x(values) -> list[triton.InferInput]:
    return [tensor("x", np.asarray(values, "f4"), "FP32")]


def status_of(call) -> tuple[str, str]:
    """How a call failed: its status and what it says."""
    with pytest.raises((InferenceServerException, grpc.RpcError)) as failed:
        call()
    fault = failed.value
    if isinstance(fault, InferenceServerException):
        return fault.status().removeprefix("StatusCode."), fault.message()
    return fault.code().name, fault.details()


def infer_request(name: str, **changed) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=name, id="i")
    shape = changed.get("shape", [1, 4])
    request.inputs.add(
        name=changed.get("input", "x"), datatype=changed.get("datatype", "FP32"), shape=shape
    )
    request.raw_input_contents.extend(changed.get("raw", [np.ones(4, "f4").tobytes()]))
    for output in changed.get("outputs", []):
        request.outputs.add(name=output)
    return request
