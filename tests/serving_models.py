"""Models that several tests train."""

from __future__ import annotations


def train(frame, late, rounds: int = 20, **options):
    import lightgbm

    return lightgbm.train(
        {"objective": "binary", "verbose": -1, "seed": 1, **options},
        lightgbm.Dataset(frame, late),
        rounds,
    )


def loop_graph(count, outputs=()):
    """y = x after as many rounds as `count`, a node or a number, says."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    def info(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["ci"], ["co"]),
            helper.make_node("Identity", ["vi"], ["vo"]),
        ],
        "body",
        [
            info("i", TensorProto.INT64, []),
            info("ci", TensorProto.BOOL, []),
            info("vi", TensorProto.INT64, [None, 1]),
        ],
        [info("co", TensorProto.BOOL, []), info("vo", TensorProto.INT64, [None, 1])],
    )
    fixed = [numpy_helper.from_array(np.array(True), "c")]
    nodes = []
    if isinstance(count, int):
        fixed.append(numpy_helper.from_array(np.array(count, "i8"), "n"))
    else:
        nodes.append(count)
    graph = helper.make_graph(
        [*nodes, helper.make_node("Loop", ["n", "c", "x"], ["y"], body=body)],
        "loop",
        [info("x", TensorProto.INT64, [None, 1])],
        [info("y", TensorProto.INT64, [None, 1])],
        fixed,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
