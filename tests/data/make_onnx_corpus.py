#!/usr/bin/env python3
"""Small ONNX files, an operator or two each: where the fuzzer of ONNX files starts.

usage: make_onnx_corpus.py FOLDER        (onnx, numpy)
"""
import pathlib
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F, I = np.float32, np.int64
SERIES = ["b", 4, 2]
rng = np.random.default_rng(1)


def small(*shape):
    return rng.normal(size=shape).astype(F)


def ints(*values):
    return np.array(values, dtype=I)


# name: (nodes as (op, inputs, outputs, attributes), constants, dims of x)
CASES = {
    "activations": ([(op, [a], [b], {}) for op, a, b in zip(
        ["Relu", "Elu", "Selu", "Celu", "LeakyRelu", "Softplus", "Softsign", "HardSigmoid",
         "HardSwish", "Gelu", "Erf", "Mish", "Tanh", "Sigmoid"],
        ["x"] + [f"a{k}" for k in range(13)], [f"a{k}" for k in range(13)] + ["y"])], {}, SERIES),
    "arithmetic": ([("Add", ["x", "c"], ["a"], {}), ("Mul", ["a", "x"], ["m"], {}),
                    ("Div", ["m", "c"], ["d"], {}), ("Pow", ["d", "two"], ["p"], {}),
                    ("Max", ["p", "x", "c"], ["q"], {}), ("Clip", ["q", "", "two"], ["y"], {})],
                   {"c": small(2) + 3, "two": np.array(2, F)}, SERIES),
    "shapes": ([("Shape", ["x"], ["s"], {}), ("Gather", ["s", "zero"], ["n"], {}),
                ("Concat", ["n", "rest"], ["to"], {"axis": 0}), ("Reshape", ["x", "to"], ["r"], {}),
                ("Unsqueeze", ["r", "zero"], ["u"], {}), ("Squeeze", ["u", "zero"], ["q"], {}),
                ("Slice", ["q", "zero", "end", "one", "two"], ["y"], {})],
               {"zero": ints(0), "rest": ints(-1), "end": ints(7), "one": ints(1),
                "two": ints(2)}, SERIES),
    "structure": ([("Transpose", ["x"], ["t"], {"perm": [0, 2, 1]}),
                   ("Split", ["t", "sizes"], ["l", "r"], {"axis": 2}),
                   ("Pad", ["l", "pads"], ["p"], {}), ("Tile", ["p", "times"], ["i"], {}),
                   ("Expand", ["i", "wide"], ["e"], {}), ("Flatten", ["e"], ["y"], {})],
                  {"sizes": ints(1, 3), "pads": ints(0, 0, 1, 0, 0, 2), "times": ints(1, 2, 1),
                   "wide": ints(1, 1, 1)}, SERIES),
    "rows": ([("LayerNormalization", ["x", "g", "h"], ["l"], {}), ("Softmax", ["l"], ["s"], {}),
              ("ReduceMean", ["s"], ["m"], {"axes": [1], "keepdims": 0}),
              ("LogSoftmax", ["m"], ["y"], {"axis": -1})], {"g": small(2), "h": small(2)}, SERIES),
    "gemm": ([("Flatten", ["x"], ["f"], {}),
              ("Gemm", ["f", "w", "b"], ["y"], {"transB": 1, "alpha": 0.5})],
             {"w": small(3, 8), "b": small(3)}, SERIES),
    "matmul": ([("MatMul", ["x", "w"], ["m"], {}), ("ReduceMax", ["m"], ["y"], {"axes": [1]})],
               {"w": small(2, 3)}, SERIES),
    "einsum": ([("Einsum", ["x", "w"], ["y"], {"equation": "btd,dk->bk"})], {"w": small(2, 3)},
               SERIES),
    "conv": ([("Conv", ["x", "w", "b"], ["c"], {"pads": [1, 1], "strides": [2]}),
              ("BatchNormalization", ["c", "b", "b", "b", "v"], ["n"], {}),
              ("MaxPool", ["n"], ["p"], {"kernel_shape": [2], "ceil_mode": 1}),
              ("GlobalAveragePool", ["p"], ["y"], {})],
             {"w": small(3, 2, 3), "b": small(3), "v": np.ones(3, F)}, ["b", 2, 8]),
    "pool": ([("AveragePool", ["x"], ["y"], {"kernel_shape": [3], "pads": [1, 1]})], {},
             ["b", 2, 8]),
    "attention": ([("Attention", ["x", "x", "x"], ["y"],
                    {"q_num_heads": 2, "kv_num_heads": 2, "is_causal": 1})], {}, ["b", 4, 2]),
    "rotary": ([("RotaryEmbedding", ["x", "c", "s"], ["y"], {"num_heads": 1})],
               {"c": small(1, 4, 1), "s": small(1, 4, 1)}, SERIES),
    "rnn": ([("RNN", ["x", "w", "r", "b"], ["", "y"],
              {"hidden_size": 3, "layout": 1, "activations": ["Relu"]})],
            {"w": small(1, 3, 2), "r": small(1, 3, 3), "b": small(1, 6)}, SERIES),
    "lstm": ([("LSTM", ["x", "w", "r", "b", "n", "", "", "p"], ["a", "h", "c"],
               {"hidden_size": 2, "direction": "bidirectional"}),
              ("ReduceSum", ["a", "zero"], ["y"], {"keepdims": 0})],
             {"w": small(2, 8, 2), "r": small(2, 8, 2), "b": small(2, 16), "p": small(2, 6),
              "n": np.array([3], np.int32), "zero": ints(0, 1)}, [4, 1, 2]),
    "gru": ([("GRU", ["x", "w", "r", "b"], ["", "y"],
              {"hidden_size": 2, "layout": 1, "linear_before_reset": 1})],
            {"w": small(1, 6, 2), "r": small(1, 6, 2), "b": small(1, 12)}, SERIES),
    "constants": ([("ConstantOfShape", ["n"], ["z"], {}), ("Range", ["i", "j", "k"], ["r"], {}),
                   ("Cast", ["r"], ["f"], {"to": 1}), ("Add", ["z", "f"], ["a"], {}),
                   ("Trilu", ["a"], ["t"], {"upper": 0}), ("MatMul", ["t", "x"], ["y"], {})],
                  {"n": ints(4, 4), "i": np.array(0, I), "j": np.array(4, I),
                   "k": np.array(1, I)}, SERIES),
    "truth": ([("Greater", ["x", "c"], ["g"], {}), ("Not", ["g"], ["n"], {}),
               ("Where", ["n", "x", "c"], ["y"], {})], {"c": np.array(0.5, F)}, SERIES),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, (nodes, constants, dims) in CASES.items():
        made = [helper.make_node(op, i, o, name=op.lower(), **a) for op, i, o, a in nodes]
        opset = 13 if any("axes" in a for *_, a in nodes) else 24
        opset = 17 if name == "rows" else opset
        graph = helper.make_graph(
            made, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(v, k) for k, v in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                                  ir_version=8)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
