import io

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.autograd import grad, gradcheck
from torch.nn.functional import interpolate

from neurotex.discrete import Surrogate
from neurotex.discrete.jpeg import SUBSAMPLINGS, Jpeg
from neurotex.errors import ArgumentError

SIZES = [(32, 48), (33, 47), (17, 3), (3, 4), (2, 5), (9, 6), (1, 1), (1, 40), (40, 1)]
TEXTURES = hnp.arrays(
    np.float32,
    st.tuples(st.just(2), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20)),
    elements=st.floats(-1, 2, width=32),
).map(torch.from_numpy)
each_subsampling = pytest.mark.parametrize("subsampling", list(SUBSAMPLINGS))


def _texture(height: int, width: int, channels: int = 3) -> Tensor:
    """Smooth with some grain, (1, C, H, W) in float64."""
    coarse = torch.rand(1, channels, -(-height // 6) + 1, -(-width // 6) + 1, dtype=torch.float64)
    grain = torch.rand(1, channels, height, width, dtype=torch.float64)
    return (0.85 * interpolate(coarse, size=(height, width), mode="bilinear") + 0.15 * grain).clamp(0, 1)


def _read(file: bytes) -> Tensor:
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.format == "JPEG"
        pixels = np.array(picture)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).movedim(-1, 0)[None]


@given(TEXTURES, st.integers(1, 100), st.sampled_from(list(SUBSAMPLINGS)))
def test_the_output_is_what_the_file_holds(x, quality, subsampling):
    step = Jpeg(quality, subsampling=subsampling)
    out = step.hard(x)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    for image, exported in zip(x, out, strict=True):
        file, suffix = step.encode(image[None])
        assert suffix == ".jpg"
        assert torch.equal(_read(file)[0].to(x) / 255, exported)


@given(TEXTURES, st.integers(1, 100), st.sampled_from([1e-6, 0.1, 3.0, 1e6]))
def test_the_surrogate_and_its_gradient_are_finite(x, quality, temperature):
    step, leaf = Jpeg(quality, Surrogate(temperature)), x.clone().requires_grad_()
    out = step(leaf)
    assert bool(((out >= 0) & (out <= 1)).all())
    assert bool(grad(out.sum(), leaf)[0].isfinite().all())


def test_the_file_is_of_the_quality_and_subsampling_asked_for():
    x = _texture(32, 32)
    sizes = []
    for subsampling in SUBSAMPLINGS:
        step = Jpeg(30, subsampling=subsampling)
        file, _ = step.encode(x)
        reference = io.BytesIO()
        pixels = (x[0].movedim(0, -1).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(reference, "JPEG", quality=30, subsampling=subsampling)
        assert file == reference.getvalue()
        sizes.append(len(file))
        with Image.open(io.BytesIO(file)) as picture:
            assert picture.quantization[1] == step.tables[1].flatten().tolist()
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("size", SIZES)
@each_subsampling
def test_without_coarse_rounding_the_surrogate_is_the_real_one(size, subsampling):
    """At quality 100 coefficients are whole numbers: what differs is rounding, measured at most 5 and 0.8 of 255."""
    step, x = Jpeg(100, subsampling=subsampling).double(), _texture(*size)
    difference = (step.soft(x, 1e-6) - step.hard(x)).abs() * 255
    assert float(difference.max()) < 6
    assert float(difference.mean()) < 1.5


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize("quality", [10, 50, 75, 95])
@pytest.mark.parametrize(("channels", "subsampling"), [(1, "4:2:0"), (3, "4:4:4")])
def test_away_from_ties_the_surrogate_is_the_real_one(size, quality, channels, subsampling):
    """What was a JPEG already has coefficients near whole numbers of steps; few are still next to a tie."""
    step = Jpeg(quality, subsampling=subsampling).double()
    x = 0.25 + _texture(*size, channels) / 2
    for _ in range(3):
        x = step.hard(x)
    difference = (step.soft(x, 1e-6) - step.hard(x)).abs() * 255
    assert float(difference.mean()) < 0.7
    assert float((difference > 2.5).double().mean()) < 0.02


@pytest.mark.parametrize("quality", [10, 50, 75, 95])
@each_subsampling
def test_ties_go_either_way_but_in_the_mean_it_is_close(quality, subsampling):
    """Measured at 256²: means of 1 to 2 of 255, while the step itself changes it by 3 to 18."""
    step, x = Jpeg(quality, subsampling=subsampling).double(), _texture(96, 80)
    hard = step.hard(x)
    error = (step.soft(x, 1e-6) - hard).abs().mean() * 255
    assert float(error) < 2.5
    assert float(error) < 0.8 * float((hard - x).abs().mean() * 255)


def test_the_surrogate_gets_nearer_as_it_cools():
    step, x = Jpeg(50).double(), _texture(48, 48)
    distance = [float((step.soft(x, t) - step.hard(x)).abs().mean()) for t in (10.0, 0.3, 0.1, 0.01)]
    assert distance == sorted(distance, reverse=True)


def test_hot_it_is_only_the_blur_of_chroma():
    x = _texture(19, 30)
    full, half = (Jpeg(5, subsampling=s).double().soft(x, 1e4) for s in ("4:4:4", "4:2:0"))
    torch.testing.assert_close(full, x, atol=1e-5, rtol=0)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=x.dtype)
    inside = ((half > 0) & (half < 1)).all(1)
    kept = torch.einsum("c,nchw->nhw", luma, half - x)[inside]
    torch.testing.assert_close(kept, torch.zeros_like(kept), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("channels", "subsampling"), [(1, "4:2:0"), (3, "4:2:0"), (3, "4:2:2"), (3, "4:4:4")])
def test_the_surrogates_gradient_is_its_own(channels, subsampling):
    step = Jpeg(60, Surrogate(0.4), subsampling).double()
    x = (0.35 + 0.3 * torch.rand(1, channels, 9, 7, dtype=torch.float64)).requires_grad_()
    assert gradcheck(step, (x,), fast_mode=True)


def test_a_white_texture_can_become_darker():
    step, x = Jpeg(50, Surrogate(0.5)), torch.ones(1, 3, 16, 16, requires_grad=True)
    assert float(grad(step(x).sum(), x)[0].sum()) > 0


@pytest.mark.parametrize(("subsampling", "reach"), [("4:4:4", 7), ("4:2:0", 16)])
def test_a_texel_reaches_as_far_as_is_said(subsampling, reach):
    step, furthest = Jpeg(80, subsampling=subsampling), 0
    x = _texture(64, 64).float()
    before = step.hard(x)
    for place in range(16, 48):
        changed = x.clone()
        changed[..., place, place] = 1 - changed[..., place, place].round()
        rows, columns = (step.hard(changed) != before).any(1)[0].nonzero(as_tuple=True)
        furthest = max(furthest, int((rows - place).abs().max()), int((columns - place).abs().max()))
    assert furthest == reach


@each_subsampling
@pytest.mark.parametrize("quality", [15, 50, 80])
def test_codes_stand_for_what_the_file_shows(quality, subsampling):
    """But for ties and the whole numbers that libjpeg computes with: measured means of 0.15 to 0.67 of 255."""
    step, x = Jpeg(quality, subsampling=subsampling), 0.2 + 0.6 * _texture(128, 192).float()
    y, b, r = step.planes(*step.codes(x)).round().clamp(-128, 127)
    rgb = torch.stack([y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b]) + 128
    difference = (rgb.round().clamp(0, 255) - 255 * step.hard(x)[0]).abs()
    assert float(difference.mean()) < 1


@each_subsampling
def test_a_texture_is_found_that_becomes_the_codes_next_to_its_own(subsampling):
    step, x = Jpeg(20, subsampling=subsampling), 0.35 + 0.3 * _texture(32, 48).float()
    luma, chroma = step.codes(x)
    luma[0, 1, 2, 0, 1] += 1
    luma[0, 3, 0, 2, 3] -= 1
    chroma[1, 0, 1, 0, 0] += 1
    found = step.becoming(luma, chroma, x)
    assert bool(((found >= 0) & (found <= 1)).all())
    for codes, expected in zip(step.codes(found), (luma, chroma), strict=True):
        assert torch.equal(codes, expected)
    change = step.hard(found) - step.hard(x)  # the codec agrees: what changes are these blocks
    changed = change.abs().amax(1)[0] > 2 / 255
    assert bool(changed[8:16, 16:24].any())
    assert bool(changed[24:, :8].any())
    assert not bool(changed[18:, 10:].any())


@each_subsampling
def test_patches_are_what_codes_add_to_the_planes(subsampling):
    step = Jpeg(40, subsampling=subsampling)
    empty = [torch.zeros_like(codes) for codes in step.codes(torch.rand(1, 3, 48, 48))]
    for plane, (codes, patch) in enumerate(zip(empty, step.patches(), strict=True)):
        codes[0, 1, 1, 2, 1] = 1
        rows, columns = (48 // n for n in codes.shape[1:3])
        top, left = rows - (patch.shape[0] - rows) // 2, columns - (patch.shape[1] - columns) // 2
        found = step.planes(*empty)[plane]
        expected = torch.zeros_like(found)
        expected[top : top + patch.shape[0], left : left + patch.shape[1]] = patch[..., 17]
        torch.testing.assert_close(found, expected, atol=0.51, rtol=0)  # stored chroma is whole bytes
        codes.zero_()


def test_codes_are_of_whole_tiles():
    with pytest.raises(ArgumentError, match="blocks of 16 texels do not fill"):
        Jpeg(20).codes(torch.zeros(1, 3, 16, 24))


def test_straight_through_and_eval():
    x = _texture(10, 12).float().requires_grad_()
    step = Jpeg()
    out = step(x)
    assert torch.equal(out, step.hard(x))
    assert torch.equal(grad(out.sum(), x)[0], torch.ones_like(x))
    assert torch.equal(step.eval()(x), out)


def test_vmap_and_compile_see_the_same():
    x = torch.rand(3, 3, 10, 12)
    step = Jpeg(40)
    expected = step.hard(x)
    assert torch.equal(torch.func.vmap(lambda image: step(image[None])[0])(x), expected)
    assert torch.equal(torch.func.vmap(lambda image: step(image[None])[0], in_dims=1)(x.transpose(0, 1)), expected)
    assert torch.equal(torch.compile(step, backend="aot_eager", fullgraph=True)(x), expected)
    soft = Jpeg(40, Surrogate(0.2))
    torch.testing.assert_close(torch.func.vmap(lambda image: soft(image[None])[0])(x), soft(x))


def test_the_operator_is_well_formed():
    x = torch.rand(2, 3, 9, 8)
    torch.library.opcheck(torch.ops.neurotex.jpeg.default, (x, 50, "4:2:0"))


@pytest.mark.parametrize("quality", [0, 101, -5, 75.5])
def test_a_quality_is_from_1_to_100(quality):
    with pytest.raises(Exception, match=r"1 to 100|violates type hint"):
        Jpeg(quality)


def test_what_a_jpeg_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="4:4:4, 4:2:2, 4:2:0"):
        Jpeg(subsampling="4:1:1")
    for shape in ((1, 4, 8, 8), (1, 2, 8, 8), (1, 3, 0, 8), (1, 1, 1, 70000)):
        for use in (Jpeg().hard, Jpeg().encode, lambda x: Jpeg().soft(x, 0.1)):
            with pytest.raises(ArgumentError, match="1 or 3 channels and sides from 1 to 65500"):
                use(torch.zeros(shape))
