import io

import numpy as np
import pytest
import torch
from PIL import Image

from neurotex.discrete import BlockCompress
from neurotex.errors import ArgumentError
from neurotex.images.dds import dds


@pytest.mark.parametrize(("format", "mode"), [("bc1", "RGBA"), ("bc3", "RGBA"), ("bc4", "L"), ("bc5", "RGB")])
def test_pillow_knows_the_format_and_the_size(format, mode):
    size = 16 if format in ("bc3", "bc5") else 8
    image = Image.open(io.BytesIO(dds(format, (7, 12), [bytes(6 * size)])))
    assert (image.size, image.mode) == ((12, 7), mode)
    image.load()


def test_levels_of_detail_follow_the_texture_and_are_counted():
    levels = [bytes([k]) * (8 * n) for k, n in enumerate((6, 2, 1, 1))]  # 8 × 12, 4 × 6, 2 × 3, 1 × 1
    data = dds("bc1", (8, 12), levels)
    assert data[128:] == b"".join(levels)
    assert int.from_bytes(data[28:32], "little") == 4
    assert len(data) == 128 + 80
    Image.open(io.BytesIO(data)).load()


def test_a_step_writes_levels_that_it_is_given():
    step, x, half = BlockCompress("bc5"), torch.rand(1, 2, 8, 8), torch.rand(1, 2, 4, 4)
    data, suffix = step.encode(x, [half])
    assert suffix == ".dds"
    assert data[128 + 64 :] == step.blocks(half).numpy().tobytes()
    read = np.asarray(Image.open(io.BytesIO(data)))[..., :2]
    assert np.array_equal(read, (step.hard(x)[0] * 255).to(torch.uint8).movedim(0, -1).numpy())


@pytest.mark.parametrize(
    ("format", "levels"), [("bc7", [bytes(16)]), ("bc1", []), ("bc1", [bytes(7)]), ("bc1", [bytes(8), bytes(9)])]
)
def test_what_is_no_texture_is_refused(format, levels):
    with pytest.raises(ArgumentError, match=r"DDS|level"):
        dds(format, (4, 4), levels)
