"""Write ONNX graphs node by node, without a tracer. What the export tools share; knows no network."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8
# old enough for every engine in use, and fixed, so that a newer onnx writes the same bytes


class Graph:
    """An ONNX graph under construction; each method appends nodes and returns the name of its result."""

    def __init__(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """One node, its result called `output` or else by its kind and number."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: object) -> str:
        """A float32 constant."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value, np.float32), name)
        return name

    def numbers(self, name: str, value: Sequence[int]) -> str:
        """A constant of whole numbers."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value, np.int64), name)
        return name

    def half(self, name: str, value: NDArray[np.float64]) -> str:
        """A constant stored as float16 and cast to float32 where it is used."""
        self.constants[name] = numpy_helper.from_array(value.astype(np.float16), name)
        return self.add("Cast", name, to=TensorProto.FLOAT)

    def model(
        self, name: str, inputs: Mapping[str, Sequence[str | int]], outputs: Mapping[str, Sequence[str | int]]
    ) -> onnx.ModelProto:
        """The checked model. inputs: shapes of uint8 by name; outputs: shapes of float32 by name."""
        taken = [helper.make_tensor_value_info(each, TensorProto.UINT8, shape) for each, shape in inputs.items()]
        given = [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, name, taken, given, list(self.constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="patchseek",
        )
        onnx.checker.check_model(model, full_check=True)
        return model
