"""ONNX's layers: products with weights, convolutions, normalisations, resizing. As torch functions.

Semantics: https://onnx.ai/onnx/operators. Each function takes the step and the node's inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .onnx_resize import resize, upsample
from .onnx_step import Refused, Step

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}
AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def _gemm(step: Step, a: Tensor, b: Tensor, *c: Tensor | None) -> Tensor:
    """α·A·B + β·C, either matrix transposed if the node says so."""
    a = a.T if step.get("transA", 0) else a
    b = b.T if step.get("transB", 0) else b
    product = step.get("alpha", 1.0) * (a @ b)
    return product if not c or c[0] is None else product + step.get("beta", 1.0) * step.tensor(c[0])


def _conv(step: Step, x: Tensor, weight: Tensor, *bias: Tensor | None) -> Tensor:
    sides = x.ndim - 2
    strides, dilations = step.get("strides", [1] * sides), step.get("dilations", [1] * sides)
    auto = step.word("auto_pad", "NOTSET", AUTO_PADS)
    before, after = _explicit_pads(step, sides)
    if auto.startswith("SAME"):
        # as many outputs as inputs per stride; what is odd goes to the end, or to the beginning for SAME_LOWER
        reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
        totals = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(x.shape[2:], strides, reach, strict=True)]
        before, after = _shared_out(totals, upper=auto == "SAME_UPPER")
    if before != after:
        x = F.pad(x, [p for pair in list(zip(before, after, strict=True))[::-1] for p in pair])
        before = [0] * sides
    convolve = CONVOLUTIONS[x.ndim]
    return convolve(
        x, weight, *(bias or (None,)), tuple(strides), tuple(before), tuple(dilations), step.get("group", 1)
    )


def _conv_transpose(step: Step, x: Tensor, weight: Tensor, *bias: Tensor | None) -> Tensor:
    """The gradient of a convolution; `pads` say what is cut off the full result."""
    sides = x.ndim - 2
    strides, dilations = step.get("strides", [1] * sides), step.get("dilations", [1] * sides)
    extra = step.get("output_padding", [0] * sides)
    auto, wanted = step.word("auto_pad", "NOTSET", AUTO_PADS), step.get("output_shape")
    before, after = _explicit_pads(step, sides)
    if auto.startswith("SAME") or wanted:
        wanted = wanted or [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        full = [
            (n - 1) * s + e + (k - 1) * d + 1
            for n, s, e, k, d in zip(x.shape[2:], strides, extra, weight.shape[2:], dilations, strict=True)
        ]
        totals = [f - w for f, w in zip(full, wanted, strict=True)]
        if min(totals) < 0:
            raise Refused(f"it cannot give the shape {list(wanted)}, only up to {full}")
        before, after = _shared_out(totals, upper=auto == "SAME_UPPER")
    same = before == after
    group, bias = step.get("group", 1), bias or (None,)
    padding = tuple(before) if same else (0,) * sides
    y = TRANSPOSED[x.ndim](x, weight, *bias, tuple(strides), padding, tuple(extra), group, tuple(dilations))
    return y if same else F.pad(y, [-p for pair in list(zip(before, after, strict=True))[::-1] for p in pair])


def _explicit_pads(step: Step, sides: int) -> tuple[list[int], list[int]]:
    pads = step.get("pads") or [0] * 2 * sides
    return list(pads[:sides]), list(pads[sides:])


def _shared_out(totals: list[int], upper: bool) -> tuple[list[int], list[int]]:
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (less, more) if upper else (more, less)


def _batch_norm(step: Step, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """By stored statistics."""
    if step.get("training_mode", 0):
        raise Refused("it uses the statistics of the batch: export the generator in eval mode")
    # not torch's own function: exporters let a statistic be a weight of the same numbers, and it would need a gradient
    scale = step.tensor(scale) * torch.rsqrt(step.tensor(variance) + step.get("epsilon", 1e-5))
    return x * _per_channel(scale, x) + _per_channel(step.tensor(bias) - step.tensor(mean) * scale, x)


def _instance_norm(step: Step, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    axes = tuple(range(2, x.ndim))
    variance, mean = torch.var_mean(x, axes, unbiased=False, keepdim=True)
    x = (x - mean) * torch.rsqrt(variance + step.get("epsilon", 1e-5))
    return x * _per_channel(step.tensor(scale), x) + _per_channel(step.tensor(bias), x)


def _group_norm(step: Step, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = step.get("num_groups")
    if step.opset < 21:  # scales were per group, not per channel
        scale, bias = (step.tensor(t).repeat_interleave(x.shape[1] // groups) for t in (scale, bias))
    return F.group_norm(x, groups, scale, bias, step.get("epsilon", 1e-5))


def _layer_norm(step: Step, x: Tensor, scale: Tensor, *bias: Tensor | None) -> Tensor:
    axes = tuple(range(step.get("axis", -1) % x.ndim, x.ndim))
    variance, mean = torch.var_mean(x, axes, unbiased=False, keepdim=True)
    x = (x - mean) * torch.rsqrt(variance + step.get("epsilon", 1e-5)) * step.tensor(scale)
    return x if not bias or bias[0] is None else x + step.tensor(bias[0])


def _per_channel(t: Tensor, x: Tensor) -> Tensor:
    return t.reshape(-1, *[1] * (x.ndim - 2))


LAYERS: dict[str, Callable] = {
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda step, x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": lambda step, a, b: step.tensor(a) @ step.tensor(b),
    "Resize": resize,
    "Upsample": upsample,
}
