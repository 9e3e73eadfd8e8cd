"""Runs one model of MLflow's python_function flavor for the server: its parent process.

Started as `python -I worker.py DIRECTORY`, with the socket to the server as descriptor 3. What is
written to standard output and error goes to the model's log. The frames are those of
src/wire/worker/worker_frames.hpp. Needs nothing but the standard library and what the model
itself needs: mlflow, numpy, pandas.
"""

import math
import numbers
import os
import socket
import struct
import sys
import traceback

VERSION = 1
MOST = 64 << 20  # bytes of a frame
MISSING = 0xFFFFFFFF
TEXT = 12
NUMPY = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
MODEL, REQUEST, MEMORY, TOO_LARGE, UNSUPPORTED = range(5)


class Failure(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Connection:
    def __init__(self):
        self.socket = socket.socket(fileno=3)
        self.socket.set_inheritable(False)

    def read(self, size):
        """Exactly so many bytes; None when the server is gone."""
        data = bytearray(size)
        view, have = memoryview(data), 0
        while have < size:
            got = self.socket.recv_into(view[have:])
            if got == 0:
                return None
            have += got
        return data

    def receive(self):
        head = self.read(5)
        if head is None:
            return None
        return self.read(struct.unpack("<IB", head)[0])

    def send(self, kind, payload):
        self.socket.sendall(struct.pack("<I", len(payload)) + kind + payload)

    def fail(self, call, kind, message):
        text = str(message).encode("utf-8", "replace")[:2000].decode("utf-8", "ignore")
        self.send(b"f", struct.pack("<QB", call, kind) + text.encode("utf-8", "replace"))


def read_texts(data, count):
    texts, at = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length == MISSING:
            texts.append(None)
            continue
        texts.append(bytes(data[at : at + length]).decode("utf-8"))
        at += length
    return texts


def read_tensor(data, at):
    """Name, values as a numpy array or a list of texts, shape; and where the next one begins."""
    import numpy

    kind, rank, length = struct.unpack_from("<BBH", data, at)
    at += 4
    name = bytes(data[at : at + length]).decode("utf-8")
    at += length
    shape = struct.unpack_from(f"<{rank}q", data, at)
    at += 8 * rank
    (size,) = struct.unpack_from("<Q", data, at)
    at += 8
    part = data[at : at + size]
    count = 1
    for dimension in shape:
        count *= dimension
    if kind == TEXT:
        values = read_texts(part, count)
    else:
        values = numpy.frombuffer(part, dtype="<" + NUMPY[kind]).reshape(shape)
        if not values.flags.aligned:
            values = values.copy()
    return name, values, shape, at + size


def write_tensor(name, values):
    """A numpy array as a tensor; `values` of dtype object are texts and None."""
    import numpy

    name = str(name).encode("utf-8", "replace")[:65535]
    shape = values.shape
    if values.dtype == object:
        parts = []
        for value in values.ravel():
            if value is None:
                parts.append(struct.pack("<I", MISSING))
            else:
                text = value.encode("utf-8", "replace")
                parts.append(struct.pack("<I", len(text)) + text)
        kind, data = TEXT, b"".join(parts)
    else:
        code = values.dtype.newbyteorder("<").str.lstrip("<>|=").replace("b1", "?")
        kind = NUMPY.index(code)
        data = numpy.ascontiguousarray(values).astype("<" + code, copy=False).tobytes()
    head = struct.pack("<BBH", kind, len(shape), len(name)) + name
    return head + struct.pack(f"<{len(shape)}q", *shape) + struct.pack("<Q", len(data)) + data


def is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and math.isnan(value)


def plain_array(name, values):
    """What a model gave, as a numpy array of a type that can be sent. Errors name the output."""
    import numpy

    if hasattr(values, "toarray"):  # scipy's sparse matrices
        values = values.toarray()
    if hasattr(values, "to_numpy"):  # a Series
        if hasattr(values, "isna") and values.dtype.kind not in "biuf":
            values = values.astype(object)
        values = values.to_numpy()
    try:
        array = numpy.asarray(values)
    except ValueError as error:
        raise Failure(MODEL, f"output '{name}' is no array: {error}") from None
    if array.dtype.kind in "SU":
        array = array.astype(object)
    if array.dtype.kind == "M":
        array = numpy.datetime_as_string(array).astype(object)
    if array.dtype == object:
        return plain_objects(name, array)
    code = array.dtype.newbyteorder("<").str.lstrip("<>|=").replace("b1", "?")
    if code not in NUMPY:
        raise Failure(MODEL, f"output '{name}' has type {array.dtype}, which has no tensor form")
    return array


def plain_objects(name, array):
    import numpy

    flat = array.ravel()
    gone = [is_missing(value) if not hasattr(value, "__len__") else False for value in flat]
    there = [value for value, missing in zip(flat, gone) if not missing]
    if all(isinstance(value, (str, bytes)) or hasattr(value, "isoformat") for value in there):
        texts = numpy.empty(len(flat), dtype=object)
        for i, value in enumerate(flat):
            if gone[i]:
                texts[i] = None
            elif isinstance(value, bytes):
                texts[i] = value.decode("utf-8", "replace")
            else:
                texts[i] = value if isinstance(value, str) else value.isoformat()
        return texts.reshape(array.shape)
    if any(gone):
        numbers = [float("nan") if missing else value for value, missing in zip(flat, gone)]
    else:
        numbers = list(flat)
    try:
        found = numpy.array(numbers)
    except ValueError:
        found = None
    if found is None or found.dtype.kind not in "biuf" or found.shape != flat.shape:
        kinds = ", ".join(sorted({type(value).__name__ for value in there})[:5])
        raise Failure(
            MODEL,
            f"output '{name}' holds values of type {kinds}, which are neither numbers nor texts "
            "of one kind",
        )
    return found.reshape(array.shape)


def outputs_of(given):
    """What predict() gave: whether it has no names of its own, and its arrays by name."""
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        return False, [
            (name, plain_array(name, given.iloc[:, i])) for i, name in enumerate(given.columns)
        ]
    if isinstance(given, dict):
        return False, [(name, plain_array(name, values)) for name, values in given.items()]
    if isinstance(given, (list, tuple)) and given and all(isinstance(row, dict) for row in given):
        names = list(given[0])
        if any(list(row) != names for row in given):
            raise Failure(MODEL, "the model gave rows whose names differ")
        return False, [(name, plain_array(name, [row[name] for row in given])) for name in names]
    if given is None:
        raise Failure(MODEL, "the model gave None for an answer")
    array = plain_array("predict", given)
    return True, [("predict", array.reshape(1) if array.ndim == 0 else array)]


class Model:
    def __init__(self, directory):
        import mlflow.pyfunc

        self.model = mlflow.pyfunc.load_model(directory)
        schema = self.model.metadata.get_input_schema()
        self.columns = schema is not None and not schema.is_tensor_spec()
        self.specs = list(schema.inputs) if schema is not None else []

    def frame(self, tensors):
        import pandas

        series = {}
        for i, (name, values, _) in enumerate(tensors):
            kind = str(self.specs[i].type) if i < len(self.specs) else ""
            series[i] = self.column(values, kind)
        frame = pandas.DataFrame(series)
        if all(spec.name for spec in self.specs):
            frame.columns = [name for name, _, _ in tensors]
        return frame

    @staticmethod
    def column(values, kind):
        """An optional whole number or boolean came as floating point, to be able to be missing."""
        import numpy
        import pandas

        if isinstance(values, list):
            return pd_texts(values)
        kind = kind.rsplit(".", 1)[-1]
        if values.dtype.kind != "f" or kind not in ("long", "integer", "boolean"):
            return pandas.Series(values)
        gone = numpy.isnan(values)
        if kind == "boolean":
            if not gone.any():
                return pandas.Series(values.astype(bool))
            cells = [None if g else bool(v) for v, g in zip(values, gone)]
            return pandas.Series(cells, dtype=object)
        if gone.any():
            return pandas.Series(values)
        return pandas.Series(values.astype("int64" if kind == "long" else "int32"))

    def arrays(self, tensors):
        import numpy

        given = {}
        for i, (name, values, shape) in enumerate(tensors):
            if isinstance(values, list):
                spec = self.specs[i].type if i < len(self.specs) else numpy.dtype(object)
                values = numpy.array(values, dtype=object if spec.kind == "O" else None).reshape(
                    shape
                )
            given[name] = values
        if len(self.specs) == 1 and not self.specs[0].name:
            return next(iter(given.values()))
        return given

    def predict(self, inputs, params):
        data = self.frame(inputs) if self.columns else self.arrays(inputs)
        return outputs_of(self.model.predict(data, params=params or None))


def pd_texts(values):
    import pandas

    if all(value is None for value in values):
        return pandas.Series(values, dtype=object)
    return pandas.Series(values)


def parameter(values, shape):
    if isinstance(values, list):
        return values if shape else values[0]
    return values.tolist()


def is_refusal(error):
    """Whether a model says of a request that it is wrong, rather than failing itself."""
    if isinstance(error, (ValueError, TypeError, KeyError)):
        return True
    code = getattr(error, "error_code", "")
    return code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def answer(connection, model, payload):
    (call, inputs, parameters) = struct.unpack_from("<QII", payload)
    try:
        tensors, at = [], 16
        for _ in range(inputs + parameters):
            name, values, shape, at = read_tensor(payload, at)
            tensors.append((name, values, shape))
        params = {name: parameter(values, shape) for name, values, shape in tensors[inputs:]}
        bare, outputs = model.predict(tensors[:inputs], params)
        parts = [struct.pack("<QBI", call, 1 if bare else 0, len(outputs))]
        parts += [write_tensor(name, values) for name, values in outputs]
        size = sum(len(part) for part in parts)
        if size > MOST:
            raise Failure(TOO_LARGE, f"the answer has {size} bytes; an answer may have {MOST}")
        connection.send(b"a", b"".join(parts))
    except Failure as failure:
        connection.fail(call, failure.kind, failure)
    except MemoryError:
        connection.fail(call, MEMORY, "the model needs more memory than a process of it may have")
    except Exception as error:  # noqa: BLE001 - whatever a model raises is its answer
        traceback.print_exc()
        kind = REQUEST if is_refusal(error) else MODEL
        connection.fail(call, kind, f"{type(error).__name__}: {error}")


def main():
    connection = Connection()
    try:
        model = Model(sys.argv[1])
    except MemoryError:
        connection.fail(0, MEMORY, "the model needs more memory than a process of it may have")
        os._exit(1)
    except BaseException as error:  # noqa: BLE001 - a model may also exit as it is loaded
        traceback.print_exc()
        kind = UNSUPPORTED if isinstance(error, ImportError) else MODEL
        connection.fail(0, kind, f"{type(error).__name__}: {error}")
        os._exit(1)
    connection.send(b"r", struct.pack("<I", VERSION))
    while True:
        payload = connection.receive()
        if payload is None:
            os._exit(0)
        answer(connection, model, payload)
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main()
