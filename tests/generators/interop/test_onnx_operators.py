"""Each operator against ONNX Runtime, and its derivative against finite differences."""

import numpy as np
import pytest
import torch

import neurotex as nt
from neurotex.generators.interop import OnnxGenerator, from_onnx
from tests.generators.interop.compare import relative
from tests.generators.interop.models import Model

X = (2, 4, 3, 5)  # the latent of every case
rng = np.random.default_rng(0)


def _w(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def _f(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


POSITIVE = ("Log", "Sqrt", "Reciprocal")
PLAIN = (
    *("Abs", "Atan", "Cos", "Elu", "Erf", "Exp", "HardSigmoid", "LeakyRelu", "Neg", "Relu", "Selu", "Sigmoid"),
    *("Sin", "Softplus", "Softsign", "Tan", "Tanh", "HardSwish", "Mish", "Gelu", "Identity", "Dropout"),
    "GlobalAveragePool",
    *POSITIVE,
)
FLAT = ("Ceil", "Floor", "Round", "Sign")  # without a gradient
SMALL, LARGE = _w(6, 4, 3, 3), _w(4, 6, 3, 3)
INSTANCE = [_w(4), _w(4)]
# operator, inputs after x, attributes
CASES: list[tuple[str, list, dict]] = [
    *((name, [], {}) for name in (*PLAIN, *FLAT)),
    ("Elu", [], {"alpha": 0.3}),
    ("LeakyRelu", [], {"alpha": 0.2}),
    ("Selu", [], {"alpha": 1.5, "gamma": 2.0}),
    ("HardSigmoid", [], {"alpha": 0.3, "beta": 0.4}),
    ("Gelu", [], {"approximate": "tanh"}),
    *((name, [_w(4, 1, 1)], {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum")),
    ("PRelu", [_w(4, 1, 1)], {}),
    ("Pow", [_f(2)], {}),
    ("Pow", [_i(3)], {}),
    ("Clip", [np.float32(-0.5), np.float32(0.5)], {}),
    ("Clip", [None, np.float32(0.5)], {}),
    ("Softmax", [], {"axis": 1}),
    ("LogSoftmax", [], {}),
    *((f"Reduce{name}", [_i(2, 3)], {}) for name in ("Mean", "Sum", "Max", "Min", "L1", "L2", "Prod", "SumSquare")),
    ("ReduceMean", [_i(-1)], {"keepdims": 0}),
    ("ReduceSum", [], {"noop_with_empty_axes": 1}),
    ("ReduceSum", [], {}),
    ("Reshape", [_i(0, -1, 5)], {}),
    ("Reshape", [_i(2, 60)], {"allowzero": 1}),
    ("Flatten", [], {"axis": 2}),
    ("Flatten", [], {"axis": -1}),
    ("Transpose", [], {}),
    ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    ("Unsqueeze", [_i(1, -1)], {}),
    ("Concat", [_w(2, 1, 3, 5)], {"axis": 1}),
    ("Slice", [_i(1, -3), _i(9, -1), _i(1, 3)], {}),
    ("Slice", [_i(-1), _i(-(2**63)), _i(3), _i(-2)], {}),
    ("Gather", [np.int64(-2)], {"axis": 1}),
    ("Gather", [np.array([[0, -1], [2, 2]])], {"axis": 2}),
    ("Expand", [_i(2, 1, 3, 1)], {}),
    ("Tile", [_i(1, 2, 1, 3)], {}),
    ("Pad", [_i(0, 0, 1, 2, 0, 0, 0, 1), np.float32(0.7)], {}),
    ("Pad", [_i(0, 0, -1, 2, 0, 0, 0, -1)], {}),
    *(("Pad", [_i(0, 0, 2, 1, 0, 0, 1, 3)], {"mode": mode}) for mode in ("reflect", "edge", "wrap")),
    ("Pad", [_i(1, 2), np.float32(0), _i(-1)], {}),
    ("DepthToSpace", [], {"blocksize": 2}),
    ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
    ("Conv", [SMALL], {}),
    ("Conv", [SMALL, _w(6)], {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ("Conv", [SMALL, _w(6)], {"pads": [0, 1, 2, 3], "dilations": [1, 2]}),
    ("Conv", [_w(4, 2, 3, 3)], {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", [SMALL[:, :, :2, :2]], {"auto_pad": "SAME_LOWER"}),
    ("ConvTranspose", [LARGE, _w(6)], {}),
    ("ConvTranspose", [LARGE], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    ("ConvTranspose", [LARGE], {"strides": [2, 2], "pads": [0, 1, 1, 1]}),
    ("ConvTranspose", [LARGE], {"strides": [2, 2], "output_shape": [6, 10]}),
    ("ConvTranspose", [LARGE], {"strides": [2, 3], "auto_pad": "SAME_UPPER"}),
    ("ConvTranspose", [LARGE[:, :3]], {"group": 2, "dilations": [2, 1]}),
    ("BatchNormalization", [_w(4), _w(4), _w(4), np.abs(_w(4)) + 0.1], {"epsilon": 1e-3}),
    ("InstanceNormalization", INSTANCE, {"epsilon": 1e-3}),
    ("GroupNormalization", INSTANCE, {"num_groups": 2}),
    ("LayerNormalization", [_w(3, 5), _w(3, 5)], {"axis": 2}),
    ("LayerNormalization", [_w(5)], {}),
    ("MatMul", [_w(5, 2)], {}),
    *(
        ("Resize", [None, _f(1, 1, *scales)], {"mode": mode, "coordinate_transformation_mode": where})
        for mode in ("linear", "cubic")
        for where in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
        for scales in ((2, 2), (1.7, 0.6))
    ),
    *(
        ("Resize", [None, _f(1, 1, 2.5, 0.6)], {"nearest_mode": rounding, "coordinate_transformation_mode": where})
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        for where in ("half_pixel", "asymmetric", "align_corners")
    ),
    ("Resize", [None, None, _i(2, 4, 7, 4)], {"mode": "linear"}),
    ("Resize", [None, None, _i(7, 4)], {"mode": "linear", "axes": [2, 3]}),
    ("Resize", [None, _f(1, 1, 2, 3)], {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}),
]


def _name(case: tuple) -> str:
    operator, inputs, attributes = case
    return "-".join([operator, *(f"{key}={value}" for key, value in attributes.items()), str(len(inputs))])


def _latent(operator: str) -> torch.Tensor:
    x = torch.randn(X, dtype=torch.float64)
    return x.abs() + 0.5 if operator in POSITIVE else x


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_an_operator_does_what_onnx_runtime_does(onnx, tmp_path, case):
    operator, inputs, attributes = case
    model = Model(onnx, X, opset=20 if operator != "GroupNormalization" else 21)
    model.add(operator, [model.input, *(model.tensor(value) for value in inputs)], **attributes)
    generator = OnnxGenerator(*model.read(tmp_path)).double()
    z = _latent(operator)
    assert relative(generator.evaluate(z), model.runtime(z.float().numpy())) <= 1e-5
    if operator not in FLAT:
        weights = {name: value.detach() for name, value in generator.named_parameters()}

        def evaluate(z: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
            given = dict(zip(weights, values, strict=True))
            return torch.func.functional_call(Evaluated(generator), {f"g.{k}": v for k, v in given.items()}, (z,))

        tensors = [z.requires_grad_(), *(value.clone().requires_grad_() for value in weights.values())]
        assert torch.autograd.gradcheck(evaluate, tensors, fast_mode=True)


class Evaluated(torch.nn.Module):
    """The graph alone, whatever the shape of its result."""

    def __init__(self, generator: OnnxGenerator) -> None:
        super().__init__()
        self.g = generator

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.g.evaluate(z)


def test_operators_of_several_results_and_of_truth(onnx, tmp_path):
    model = Model(onnx, X)
    half, rest = model.add("Split", [model.input], outputs=2, axis=1, num_outputs=2)
    left, right, _ = model.add("Split", [rest, model.tensor(_i(2, 2, 1))], outputs=3, axis=3)
    low = model.add("Less", [left, right])
    mixed = model.add("Where", [low, left, right])
    kept = model.add("And", [model.add("Not", [low]), model.add("Greater", [left, model.tensor(np.float32(0))])])
    model.add("Add", [mixed, model.add("Mul", [model.add("Cast", [kept], to=1), model.add("ReduceMax", [half])])])
    generator, z = OnnxGenerator(*model.read(tmp_path)), _latent("Where").float()
    assert relative(generator(z), model.runtime(z.numpy())) <= 1e-6
    assert generator.double()(z.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("opset", "operator", "inputs", "attributes"),
    [
        (9, "Upsample", [_f(1, 1, 2, 3)], {}),
        (9, "Upsample", [_f(1, 1, 2, 3)], {"mode": "linear"}),
        (7, "Upsample", [], {"scales": [1.0, 1.0, 2.0, 2.0]}),
        (10, "Resize", [_f(1, 1, 2, 2)], {}),
        (11, "Resize", [_f(), _f(1, 1, 2, 2)], {"coordinate_transformation_mode": "tf_half_pixel_for_nn"}),
        (9, "Slice", [], {"starts": [1], "ends": [3], "axes": [1]}),
        (10, "Pad", [], {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 0.5}),
        (10, "Clip", [], {"min": -0.2, "max": 0.2}),
        (11, "ReduceSum", [], {"axes": [1], "keepdims": 0}),
        (11, "Unsqueeze", [], {"axes": [0]}),
        (11, "Softmax", [], {"axis": 2}),
        (18, "GroupNormalization", [_w(2), _w(2)], {"num_groups": 2}),
    ],
)
def test_older_operator_sets_are_known(onnx, tmp_path, opset, operator, inputs, attributes):
    model = Model(onnx, X, opset=opset)
    model.add(operator, [model.input, *map(model.tensor, inputs)], **attributes)
    z = _latent(operator).float()
    found = OnnxGenerator(*model.read(tmp_path)).evaluate(z).detach()
    assert relative(found, model.runtime(z.numpy())) <= 2e-6


def test_shapes_are_computed_as_exporters_write_them(onnx, tmp_path):
    """What x.new_zeros(len(x), 4, *(2 * side for side in x.shape[2:])) + … becomes, in whole numbers."""
    model = Model(onnx, X)
    shape = model.add("Shape", [model.input])
    batch = model.add("Gather", [shape, model.tensor(np.int64(0))], axis=0)
    rows = model.add("Slice", [shape, model.tensor(_i(2)), model.tensor(_i(4))])
    twice = model.add("Div", [model.add("Mul", [rows, model.tensor(_i(4))]), model.tensor(_i(2))])
    zero = model.tensor(_i(0))
    sides = [model.add("Unsqueeze", [batch, zero]), model.tensor(_i(4)), twice]
    wanted = model.add("Concat", sides, axis=0)
    floats = model.add("Cast", [model.add("Div", [twice, rows])], to=1)
    scales = model.add("Concat", [model.tensor(_f(1, 1)), floats], axis=0)
    large = model.add("Resize", [model.input, model.tensor(None), scales])
    blank = model.add("ConstantOfShape", [wanted], value=onnx.numpy_helper.from_array(_f(0.25)))
    plain = model.add("Where", [model.add("Equal", [wanted, wanted]), wanted, model.add("Neg", [wanted])])
    sum_ = model.add("Add", [large, model.add("Expand", [blank, plain])])
    count = model.add("ReduceProd", [shape], keepdims=0)
    steps = model.add("Range", [model.tensor(np.int64(0)), count, model.add("Mod", [count, model.tensor(np.int64(7))])])
    last = model.add("Squeeze", [model.add("Slice", [steps, model.tensor(_i(-1)), model.tensor(_i(2**62))]), zero])
    model.add("Add", [sum_, model.add("Cast", [model.add("Min", [last, count])], to=1)])
    z = _latent("Shape").float()
    generator = OnnxGenerator(*model.read(tmp_path))
    assert relative(generator(z), model.runtime(z.numpy())) <= 1e-6
    assert not list(generator.parameters())
    with torch.device("meta"):
        assert generator(z.to("meta")).shape == (2, 4, 6, 10)


def test_a_weight_stays_one_where_sizes_are_taken_from_what_it_makes(onnx, tmp_path):
    model = Model(onnx, X)
    grown = model.add("Mul", [model.input, model.tensor(_w(4, 1, 1), "gain")])
    kept, mask = model.add("Dropout", [grown], outputs=2)
    assert mask
    shape = model.add("Shape", [kept])
    even = model.add("Concat", [model.tensor(_f(1, 1)), model.tensor(_f(2, 2))], axis=0)
    wanted = model.add("Mul", [shape, model.add("Cast", [even], to=7)])
    larger = model.add("Resize", [kept, "", "", wanted], mode="linear")
    model.add("Div", [larger, model.add("Cast", [model.add("Size", [kept])], to=1)])
    generator, z = OnnxGenerator(*model.read(tmp_path)), _latent("Resize").float()
    assert [name for name, _ in generator.named_parameters()] == ["weights.gain"]
    assert relative(generator(z), model.runtime(z.numpy())) <= 1e-6


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "message"),
    [
        ("NonZero", [], {}, "needs the operator NonZero of ONNX's set 20, which is not known: export"),
        ("Resize", [None, _f(1, 1, 2, 2)], {"mode": "linear", "antialias": 1}, r"filters as it shrinks"),
        ("Resize", [None, _f(1, 1, 2, 2)], {"mode": "quintic"}, "its mode is 'quintic', but only nearest, linear"),
        ("Resize", [None, _f(1, 1, 1e5, 1e5)], {}, "asks for a tensor of shape"),
        ("Tile", [_i(1, 1, 2**20, 2**20)], {}, "asks for a tensor of shape"),
        ("Pad", [_i(0, 0, 2**40, 0, 0, 0, 0, 0)], {}, "asks for a tensor of shape"),
        ("Expand", [_i(2**40, 1, 1, 1, 1)], {}, "asks for a tensor of shape"),
        ("Cast", [], {"to": 16}, "casts to the type number 16"),
        ("Conv", [_w(4, 3, 3, 3)], {}, r"node node_0 \(Conv, set 20\).*cannot be computed for latents \(2, 4, 3, 5\)"),
        ("ConvTranspose", [LARGE], {"output_shape": [60, 10]}, "cannot give the shape"),
        ("BatchNormalization", [_w(4)] * 4, {"training_mode": 1}, "statistics of the batch: export .* in eval mode"),
        ("Range", [np.float32(1), np.float32(1)], {}, "depends on the latents' values"),
        ("Squeeze", [_i(1)], {}, "it drops the axes"),
    ],
)
def test_what_cannot_be_computed_is_one_sentence(onnx, tmp_path, operator, inputs, attributes, message):
    model = Model(onnx, X)
    model.add(operator, [model.input, *(model.tensor(value) for value in inputs)], **attributes)
    path = model.write(tmp_path)
    with pytest.raises(nt.errors.FileError, match=message) as caught:
        from_onnx(path).evaluate(torch.randn(X))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
