"""What holds for every step that picks from a few values: levels, palettes, thresholds, dithers, materials, places."""

import io
from collections.abc import Callable

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.autograd import grad, gradcheck

from neurotex.discrete import BlockCompress
from neurotex.discrete.dither import Dither
from neurotex.discrete.estimators import (
    ESTIMATORS,
    Gumbel,
    Perturbation,
    ReinMax,
    ScoreFunction,
    Surrogate,
    SurrogateGradient,
    log_probabilities,
)
from neurotex.discrete.jpeg import Jpeg
from neurotex.discrete.levels import Levels
from neurotex.discrete.nearest import MipLevel, Nearest
from neurotex.discrete.palette import Palette
from neurotex.discrete.select import Select
from neurotex.discrete.step import Step
from neurotex.discrete.threshold import Threshold
from neurotex.errors import ArgumentError

COLORS = torch.tensor([[0, 0, 0], [255, 255, 255], [200, 30, 20], [20, 190, 60], [40, 30, 200], [210, 200, 40]]) / 255
MANY = torch.rand(40, 3, generator=torch.Generator().manual_seed(1))
STEPS: dict[str, Callable[..., Step]] = {
    "levels": lambda e: Levels(5, e),
    "levels of light": lambda e: Levels(6, e, linear=True),
    "300 levels": lambda e: Levels(300, e),
    "threshold": lambda e: Threshold(0.4, e),
    "threshold of alpha": lambda e: Threshold(0.5, e, channel=2),
    "palette": lambda e: Palette(COLORS, e),
    "large palette": lambda e: Palette(MANY, e),
    "learned palette": lambda e: Palette(7, e),
    "bayer": lambda e: Dither(3, "bayer", estimator=e),
    "blue noise of light": lambda e: Dither(4, "blue_noise", linear=True, estimator=e),
    "select": Select,
    "floyd-steinberg": lambda e: Dither(3, estimator=e),
    "floyd-steinberg of light": lambda e: Dither(4, linear=True, estimator=e),
    "floyd-steinberg, colours": lambda e: Dither(palette=COLORS, estimator=e),
    "nearest": lambda e: Nearest(e),
    "mip level": lambda e: MipLevel(3, e),
}
CATEGORICAL = list(STEPS)[:11]
SMOOTH = [*CATEGORICAL, "nearest", "mip level"]
PICTURES = [*CATEGORICAL[:10], "floyd-steinberg", "floyd-steinberg of light", "floyd-steinberg, colours"]
COMPILED = ["learned palette", "blue noise of light", "floyd-steinberg, colours"]
NOT_IN_ONE_FILE = {"300 levels", "threshold of alpha"}  # these have tests of their own

each_step = pytest.mark.parametrize("make", STEPS.values(), ids=STEPS)
each_smooth = pytest.mark.parametrize("make", [STEPS[name] for name in SMOOTH], ids=SMOOTH)
each_categorical = pytest.mark.parametrize("make", [STEPS[name] for name in CATEGORICAL], ids=CATEGORICAL)


def _texture(n: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return (1.6 * torch.rand(n, 3, 6, 5, dtype=torch.float64) - 0.3).to(dtype)  # a third of it outside [0, 1]


@each_step
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_straight_through_is_exact_forward_and_the_identity_backward(make, dtype):
    step, x, seed = make("straight_through"), _texture(2, dtype).requires_grad_(), _texture(2, dtype)
    out = step(x)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    assert torch.equal(out, step.hard(x))
    assert torch.equal(step.eval()(x), out)
    assert torch.equal(*grad(out, x, seed), seed)


@each_step
def test_a_batch_is_its_images_also_under_vmap(make):
    step, x = make("straight_through"), _texture(3)
    each = torch.cat([step(image[None]) for image in x])
    assert torch.equal(step(x), each)
    assert torch.equal(torch.func.vmap(lambda image: step(image[None])[0])(x), each)


@each_smooth
def test_the_smooth_relative_tends_to_the_exact_step(make):
    step, x = make("surrogate"), _texture()
    hard = step.hard(x)
    distance = [(step.soft(x, temperature) - hard).abs().mean().item() for temperature in (1.0, 0.1, 1e-9)]
    assert distance[0] > distance[2]
    assert distance[1] > distance[2]
    assert distance[2] < 1e-6


@each_categorical
def test_the_likeliest_code_is_the_exact_one(make):
    step, x = make("straight_through"), _texture()
    scores, mix = step.options(x)
    one_hot = torch.zeros_like(scores).scatter(1, scores.argmax(1, keepdim=True), 1.0)
    assert torch.equal(mix(one_hot), step.hard(x))
    parts = torch.rand(2, *scores.shape, dtype=scores.dtype)  # affine: passing channels are not weighted
    torch.testing.assert_close(mix(parts.mean(0)), (mix(parts[0]) + mix(parts[1])) / 2)


@each_smooth
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_surrogates_gradient_is_its_own(make, temperature):
    step = make(Surrogate(temperature))
    x = (0.02 + 0.96 * torch.rand(1, 3, 3, 2, dtype=torch.float64)).requires_grad_()
    assert gradcheck(step, (x,))


@each_categorical
@pytest.mark.parametrize("temperature", [0.2, 3.0])
def test_gradients_of_weighted_codes_are_those_of_differences(make, temperature):
    step, probe = make("straight_through"), torch.rand(1, 3, 3, 2, dtype=torch.float64)

    def mean(x: Tensor) -> Tensor:
        scores, mix = step.options(x)
        return (mix((scores / temperature).softmax(1)) * probe).sum()

    assert gradcheck(mean, ((0.02 + 0.96 * torch.rand(1, 3, 3, 2, dtype=torch.float64)).requires_grad_(),))


@each_categorical
@pytest.mark.parametrize("estimator", [Gumbel, ReinMax, ScoreFunction])
def test_draws_at_low_temperature_are_the_exact_step(make, estimator):
    step, x = make(estimator(1e-7)), _texture()
    assert torch.equal(step(x), step.hard(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_it_is_the_same(name):
    step, x = STEPS[name]("straight_through"), _texture(1, torch.float32).requires_grad_()
    # learned colours are clamped by a function that torch does not trace, and calls
    compiled = torch.compile(step, backend="aot_eager", fullgraph=not list(step.parameters()))
    torch.testing.assert_close(compiled(x), step(x))
    leaves = [x, *step.parameters()]
    torch.testing.assert_close(grad(compiled(x).square().sum(), leaves), grad(step(x).square().sum(), leaves))


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=15)
@given(hnp.arrays(np.float32, (1, 3, 2, 2), elements=st.floats(-(2.0**99), 2.0**99, width=32)).map(torch.from_numpy))
def test_finite_values_never_give_nan(name, x):
    step = STEPS[name]("straight_through")
    outputs = [step.hard(x)]
    if name in SMOOTH:
        outputs += [step.soft(x, temperature) for temperature in (1e-3, 1e3)]
    if name in CATEGORICAL:
        scores, mix = step.options(x)
        outputs.append(mix((scores / 0.1).softmax(1)))
    assert all(bool(out.isfinite().all()) for out in outputs)


@pytest.mark.parametrize("name", [name for name in PICTURES if name not in NOT_IN_ONE_FILE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_file_holds_what_eval_shows(name, dtype):
    step, x = STEPS[name]("straight_through"), _texture(1, dtype)
    data, suffix = step.encode(x)
    assert suffix == ".png"
    assert _read(data, "RGB", dtype).sub(step.eval()(x)).abs().max() == 0


@pytest.mark.parametrize("name", PICTURES)
def test_a_file_holds_one_texture(name):
    with pytest.raises(ArgumentError, match=r"one texture.*\(2, 3, 6, 5\)|1 channel, not 3"):
        STEPS[name]("straight_through").encode(_texture(2))


@pytest.mark.parametrize("name", [name for name in STEPS if name.startswith("floyd")])
@pytest.mark.parametrize("estimator", ["surrogate", "surrogate_gradient", "gumbel", "reinmax", "score_function"])
def test_error_diffusion_refuses_what_needs_odds(name, estimator):
    with pytest.raises(ArgumentError, match="ErrorDiffusion"):
        STEPS[name](estimator)


@pytest.mark.parametrize("name", [name for name in STEPS if name.startswith("floyd")])
@pytest.mark.parametrize("estimator", ["clipped", Perturbation(0.2, 8, reach=2)])
def test_error_diffusion_takes_clipped_and_perturbed_gradients(name, estimator):
    step, x = STEPS[name](estimator), torch.rand(1, 3, 6, 5, requires_grad=True)
    out = step(x)
    assert torch.equal(out, step.hard(x))
    slope = grad(out.sum(), x)[0]
    assert float(slope.mean()) > 0


# --- every step with every estimator ----------------------------------------------------------------------------------

ALL = {**STEPS, "jpeg": lambda e: Jpeg(30, e), "blocks": lambda e: BlockCompress("bc1", e)}
DRAWN = ("gumbel", "reinmax", "score_function")


def _takes(step: str, estimator: str) -> bool:
    if estimator == "rotation":
        return step in ("palette", "large palette", "learned palette", "floyd-steinberg, colours", "blocks")
    if estimator == "clipped":
        return step not in ("select", "nearest", "mip level")  # of scores and places, any number means something
    if estimator in DRAWN:
        return step in CATEGORICAL
    return estimator not in ("surrogate", "surrogate_gradient") or step in (*SMOOTH, "jpeg", "blocks")


PAIRS = [(step, estimator) for step in ALL for estimator in ESTIMATORS]


@pytest.mark.parametrize(("name", "estimator"), PAIRS)
def test_every_pair_is_refused_or_keeps_type_and_shape_and_ships_the_exact_step(name, estimator):
    make = ALL[name]
    if not _takes(name, estimator):
        with pytest.raises(ArgumentError, match="use 'straight_through'"):
            make(estimator)
        return
    for batch, dtype in ((1, torch.float64), (4, torch.float32)):
        step, x = make(estimator), _texture(batch, dtype).requires_grad_()
        with log_probabilities() as drawn:
            out = step(x)
        loss = out.square().sum() + sum(each.sum() for each in drawn)
        (slope,) = grad(loss, x)
        for found in (out, slope):
            assert (found.shape, found.dtype) == (x.shape, dtype)
            assert bool(found.isfinite().all())
        assert float(slope.abs().sum()) > 0
        if estimator not in (*DRAWN, "surrogate"):
            assert torch.equal(out, step.hard(x))
        assert torch.equal(step.eval()(x), step.hard(x))


@each_smooth
def test_the_surrogate_gradient_is_the_surrogates(make):
    x, seed = _texture(2).requires_grad_(), _texture(2)
    exact, smooth = make(SurrogateGradient(0.3)), make(Surrogate(0.3))
    out = exact(x)
    assert torch.equal(out, exact.hard(x))
    for a, b in zip(
        grad(out, [x, *exact.parameters()], seed), grad(smooth(x), [x, *smooth.parameters()], seed), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["levels", "learned palette", "nearest"])
def test_the_surrogate_gradient_is_the_same_compiled(name):
    step, x = ALL[name]("surrogate_gradient"), torch.rand(2, 3, 6, 5, requires_grad=True)
    compiled, leaves = torch.compile(step, backend="aot_eager"), [x, *step.parameters()]
    torch.testing.assert_close(compiled(x), step(x))
    for a, b in zip(grad(compiled(x).square().sum(), leaves), grad(step(x).square().sum(), leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def _read(data: bytes, mode: str, dtype: torch.dtype) -> Tensor:
    array = np.array(Image.open(io.BytesIO(data)).convert(mode))
    return torch.from_numpy(array).movedim(-1, 0)[None].to(dtype) / 255
