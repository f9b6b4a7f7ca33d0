"""The InceptionV3 network that FID, KID and the Inception score are defined by, in plain torch.

This is the network of the TensorFlow release of 2015-12-05 (Szegedy et al. 2015, arXiv:1512.00567), which differs from
what was published: averages at the border leave the padding out, the last block pools by maximum, and there are 1,008
classes. Parameters are named as in pytorch-fid and torch-fidelity, whose weight files are read. torch-fidelity itself
needs torchvision and fetches weights at the first call; its figures hold this module in a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError, FileError
from ...generators.torch_files import read_state_dict

SIZE = 299
Kernel: TypeAlias = "int | tuple[int, int]"
Layer: TypeAlias = tuple[str, int, Kernel]  # name, outputs, kernel
Steps: TypeAlias = "Sequence[Layer | tuple[Layer, Layer]]"  # one after the other; two layers in brackets side by side


class Inception(nn.Module):
    """Images (n, 3, h, w) in [0, 1], sRGB-encoded → pool3 features (n, 2048), by weights from a file.

    `path` is pt_inception-2015-12-05-6726825d.pth from the releases of pytorch-fid, or the same file as torch-fidelity
    publishes it (weights-inception-2015-12-05-6726825d.pth). Images are resized to 299² and scaled to
    (255 x − 128) / 128 as in TensorFlow 1. They are not rounded: where 8 bits matter, round them before. The network
    stays in eval mode, its weights are frozen; gradients reach the images.
    """

    num_features = 2048

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        with torch.device("meta"):  # the file brings the numbers
            for name, block in _blocks().items():
                self.add_module(name, block)
            self.fc = nn.Linear(2048, 1008)
        self._load(path)
        self.requires_grad_(False).eval()

    def forward(self, images: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n 2048"]:
        return self.maps(images)[-1].mean((2, 3))

    def logits(self, images: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n 1008"]:
        """Class logits without their bias, as the Inception score of the literature takes them."""
        return self(images) @ self.fc.weight.mT

    def maps(self, images: Float[Tensor, "n channels h w"]) -> list[Float[Tensor, "n k rows columns"]]:
        """What the network has at 73², 35² (twice), 17² and 8² places: 64, 192, 288, 768 and 2,048 channels."""
        if images.shape[1] != 3:
            raise ArgumentError(f"Inception sees three channels, not {images.shape[1]}: pass the base colour alone.")
        x = (resize_as_tensorflow(images, SIZE) * 255 - 128) / 128
        maps = []
        for name, block in self._blocks():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = F.max_pool2d(x, 3, 2)
                maps.append(x)
            x = block(x)
            if name in ("Mixed_5d", "Mixed_6e", "Mixed_7c"):
                maps.append(x)
        return maps

    def train(self, mode: bool = True) -> Inception:
        """Does nothing: the statistics that it normalises by belong to the weights."""
        return super().train(False)

    def _blocks(self) -> list[tuple[str, nn.Module]]:
        return [(name, block) for name, block in self.named_children() if name != "fc"]

    def _load(self, path: str | Path) -> None:
        tensors = read_state_dict(path)
        wanted = {name: value for name, value in self.state_dict().items() if "num_batches" not in name}
        wrong = [name for name in wanted if name not in tensors or tensors[name].shape != wanted[name].shape]
        if wrong:
            raise FileError(
                f"{path} is not the Inception network of FID ({len(wrong)} of {len(wanted)} tensors are missing or of "
                f"another shape, such as {wrong[0]}): get pt_inception-2015-12-05-6726825d.pth, which pytorch-fid uses."
            )
        state = {name: tensors[name].float().clone() for name in wanted}
        counters = {name: torch.zeros((), dtype=torch.long) for name in self.state_dict() if name not in wanted}
        self.load_state_dict(state | counters, assign=True)


def resize_as_tensorflow(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c size size"]:
    """Bilinear, as TensorFlow 1 did it: output i reads position i · (input size / size), without half-pixel centres."""
    for dim in (3, 2):
        last = images.shape[dim] - 1
        at = torch.arange(size, device=images.device) * (images.shape[dim] / size)
        low = at.long().clamp_max(last)
        share = (at - low).to(images.dtype).view(-1, *[1] * (3 - dim))
        images = images.index_select(dim, low).lerp(images.index_select(dim, (low + 1).clamp_max(last)), share)
    return images


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU. Kernels keep the size, unless they have a stride or are `valid`."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        padding = 0 if valid or stride > 1 else "same"
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Paths side by side, their outputs joined: convolutions, and last a pooling.

    `pooled` channels come from a 3×3 average (or maximum, with `pool_by_maximum`) and a 1×1 convolution. Without
    `pooled` the block halves the resolution: every path's last convolution and the maximum have a stride of two.
    """

    def __init__(self, inputs: int, paths: Sequence[Steps], pooled: int = 0, pool_by_maximum: bool = False) -> None:
        super().__init__()
        self.pool_by_maximum = pool_by_maximum
        self.paths = [[[name for name, *_ in _side_by_side(step)] for step in path] for path in paths]
        for path in paths:
            width = inputs
            for step in path:
                stride = 2 if not pooled and step is path[-1] else 1
                for name, outputs, kernel in _side_by_side(step):
                    self.add_module(name, Convolution(width, outputs, kernel, stride))
                width = outputs
        if pooled:
            self.branch_pool = Convolution(inputs, pooled, 1)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        joined = []
        for path in self.paths:
            y = x
            for step in path:
                y = torch.cat([self.get_submodule(name)(y) for name in step], 1)
            joined.append(y)
        return torch.cat([*joined, self._pool(x)], 1)

    def _pool(self, x: Tensor) -> Tensor:
        if not hasattr(self, "branch_pool"):
            return F.max_pool2d(x, 3, 2)
        if self.pool_by_maximum:
            return self.branch_pool(F.max_pool2d(x, 3, 1, 1))
        return self.branch_pool(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def _side_by_side(step: Layer | tuple[Layer, Layer]) -> tuple[Layer, ...]:
    return (step,) if len(step) == 3 else step


def _blocks() -> dict[str, nn.Module]:
    """All blocks in order, by their names in the weight file."""

    def a(inputs: int, pooled: int) -> Mixed:
        single, double = [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)], "branch3x3dbl"
        triple = [(f"{double}_1", 64, 1), (f"{double}_2", 96, 3), (f"{double}_3", 96, 3)]
        return Mixed(inputs, [[("branch1x1", 64, 1)], single, triple], pooled)

    def c(width: int) -> Mixed:
        wide, high, name = (1, 7), (7, 1), "branch7x7dbl"
        single = [("branch7x7_1", width, 1), ("branch7x7_2", width, wide), ("branch7x7_3", 192, high)]
        double = [(f"{name}_1", width, 1), *((f"{name}_{i}", width, (wide, high)[i % 2 == 0]) for i in (2, 3, 4))]
        return Mixed(768, [[("branch1x1", 192, 1)], single, [*double, (f"{name}_5", 192, wide)]], 192)

    def e(inputs: int, pool_by_maximum: bool) -> Mixed:
        def fork(name: str) -> tuple[Layer, Layer]:
            return (f"{name}a", 384, (1, 3)), (f"{name}b", 384, (3, 1))

        single = [("branch3x3_1", 384, 1), fork("branch3x3_2")]
        double = [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3), fork("branch3x3dbl_3")]
        return Mixed(inputs, [[("branch1x1", 320, 1)], single, double], 192, pool_by_maximum)

    b = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    names = [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]
    d = [(name, 192, kernel) for name, kernel in zip(names, (1, (1, 7), (7, 1), 3), strict=True)]
    return {
        "Conv2d_1a_3x3": Convolution(3, 32, 3, stride=2),
        "Conv2d_2a_3x3": Convolution(32, 32, 3, valid=True),
        "Conv2d_2b_3x3": Convolution(32, 64, 3),
        "Conv2d_3b_1x1": Convolution(64, 80, 1),
        "Conv2d_4a_3x3": Convolution(80, 192, 3, valid=True),
        "Mixed_5b": a(192, 32),
        "Mixed_5c": a(256, 64),
        "Mixed_5d": a(288, 64),
        "Mixed_6a": Mixed(288, [[("branch3x3", 384, 3)], b]),
        "Mixed_6b": c(128),
        "Mixed_6c": c(160),
        "Mixed_6d": c(160),
        "Mixed_6e": c(192),
        "Mixed_7a": Mixed(768, [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)], d]),
        "Mixed_7b": e(1280, False),
        "Mixed_7c": e(2048, True),
    }
