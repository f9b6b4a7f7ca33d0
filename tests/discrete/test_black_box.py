import copy
import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import grad

from neurotex.discrete import ESTIMATORS, Perturbation
from neurotex.discrete.black_box import BlackBox
from neurotex.errors import ArgumentError

# three levels, and a line in a log for each call
PROGRAM = """
import sys
from PIL import Image
with Image.open(sys.argv[1]) as picture:
    picture.point(lambda v: round(v / 127.5) * 127.5).save(sys.argv[2])
with open(sys.argv[3], "a") as log:
    log.write("called\\n")
"""


def thirds(x: np.ndarray) -> np.ndarray:
    return np.round(x * 2) / 2


def _program(*lines: str) -> list[str]:
    """A command that runs these lines of Python. -S and -I: nothing is imported that it does not ask for."""
    return [sys.executable, "-I", "-c", "\n".join(lines), "{input}", "{output}"]


def test_the_function_is_given_a_copy_in_the_textures_precision_between_0_and_1():
    seen = []

    def fn(x: np.ndarray) -> np.ndarray:
        seen.append(x.copy())
        x[:] = 0.25
        return x

    for dtype, kind in ((torch.float32, np.float32), (torch.float64, np.float64)):
        x = torch.tensor([-1.0, 0.5, 9.0], dtype=dtype).view(1, 1, 1, 3)
        out = BlackBox(fn).hard(x)
        assert seen[-1].dtype == kind
        assert seen[-1].flatten().tolist() == [0, 0.5, 1]
        assert x.flatten().tolist() == [-1, 0.5, 9]
        assert out.dtype == dtype
        assert out.flatten().tolist() == [0.25] * 3


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (lambda x: x / np.where(x > 0.5, 0.0, 1.0), "NaN or infinity"),
        (lambda x: x * np.nan, "NaN or infinity"),
        (lambda x: x[:, :1], r"given \(2, 3, 4, 4\) and returned \(2, 1, 4, 4\).*reshapes=True"),
        (lambda x: None, "object instead of an array of numbers"),
        (lambda x: "a picture", "instead of an array of numbers"),
        (lambda x: x + 1j, "complex128 instead of an array of numbers|complex64 instead"),
    ],
)
def test_what_comes_back_is_checked_and_the_function_named(fn, said):
    fn.__qualname__ = "my_printer"
    with np.errstate(all="ignore"), pytest.raises(ArgumentError, match=f"black box my_printer .*{said}"):
        BlackBox(fn).hard(torch.full((2, 3, 4, 4), 0.75))


@pytest.mark.parametrize("fn", [lambda x: x[:1], lambda x: x.sum(), lambda x: x[0]])
def test_a_box_that_reshapes_still_gives_a_texture_for_a_texture(fn):
    with pytest.raises(ArgumentError, match="the same N"):
        BlackBox(fn, reshapes=True).hard(torch.rand(2, 3, 4, 4))


def test_an_error_of_the_function_stays_as_it_is():
    def fn(x: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        BlackBox(fn).hard(torch.rand(1, 1, 2, 2))


def test_whole_numbers_come_back_as_floats():
    out = BlackBox(lambda x: x > 0.5).hard(torch.tensor([0.2, 0.8]).view(1, 1, 1, 2))
    assert out.dtype == torch.get_default_dtype()
    assert out.flatten().tolist() == [0, 1]


def test_what_is_not_a_function_is_refused():
    with pytest.raises(Exception, match=r"a function of numpy arrays|violates type hint"):
        BlackBox(3)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_estimators_that_need_to_know_more_refuse_it(name):
    if name in ("straight_through", "clipped", "perturbation"):
        BlackBox(thirds, name)
    else:
        with pytest.raises(ArgumentError, match="BlackBox"):
            BlackBox(thirds, name)
    if name != "perturbation":
        with pytest.raises(ArgumentError, match="BlackBox"):
            BlackBox(thirds, name, reshapes=True)


def test_vmap_and_compile_and_fake_tensors_see_the_same():
    x = torch.rand(3, 3, 6, 4)
    box, small = BlackBox(thirds, "straight_through"), BlackBox(lambda x: x[:, :1, ::2], reshapes=True)
    for step in (box, small):
        expected = step.hard(x)
        assert torch.equal(torch.func.vmap(lambda image, step=step: step(image[None])[0])(x), expected)
        assert torch.equal(torch.compile(step, backend="aot_eager")(x), expected)
        with FakeTensorMode() as mode:
            fake = step(mode.from_tensor(x))
        assert fake.shape == expected.shape
        assert fake.dtype == expected.dtype
    torch.compile(box, backend="aot_eager", fullgraph=True)(x)


def test_copies_are_boxes_of_their_own():
    box = BlackBox(thirds)
    copies = [copy.deepcopy(box), pickle.loads(pickle.dumps(box))]
    assert len({each.number for each in (box, *copies)}) == 3
    x = torch.rand(1, 3, 4, 4)
    expected = box.hard(x)
    del box
    assert all(torch.equal(each.hard(x), expected) for each in copies)


def test_a_box_that_reshapes_has_a_gradient():
    box = BlackBox(lambda x: x[:, :1, ::2] + x[:, 1:2, 1::2], Perturbation(pairs=200), reshapes=True)
    x = torch.rand(1, 2, 4, 3, dtype=torch.float64).clamp(0.2, 0.8).requires_grad_()
    (found,) = grad(box(x).sum(), x)
    expected = torch.zeros_like(x)
    expected[:, 0, ::2] = expected[:, 1, 1::2] = 1
    assert float((found - expected).abs().mean()) < 0.4
    assert float((found * expected).sum() / (found.norm() * expected.norm())) > 0.9


def _fit(log: Path) -> tuple[list[float], Tensor]:
    """A texture of one grey value fitted through a real process, 4 steps; the losses, and what is exported."""
    argv = [sys.executable, "-I", "-c", PROGRAM, "{input}", "{output}", str(log)]
    step = BlackBox.command(argv, estimator=Perturbation(0.25, pairs=1))
    value = torch.full((1, 1, 1, 1), 0.1, requires_grad=True)
    optimiser, losses = torch.optim.SGD([value], 0.25), []
    for _ in range(4):
        optimiser.zero_grad()
        loss = (step(value.expand(1, 1, 4, 4)) - 1).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, step.eval()(value.detach().expand(1, 1, 4, 4))


def test_a_real_process_in_a_fit(tmp_path):
    losses, exported = _fit(tmp_path / "first.log")
    assert losses[0] == 1
    assert losses[-1] < 0.01
    assert bool((exported == 1).all())
    assert (tmp_path / "first.log").read_text().count("called") == 4 * (1 + 2) + 1
    torch.rand(7)  # whatever the global generator does
    assert _fit(tmp_path / "second.log")[0] == losses


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_texture_crosses_to_a_program_and_back(channels):
    step = BlackBox.command(_program("import shutil, sys", "shutil.copy(sys.argv[1], sys.argv[2])"))
    x = torch.rand(2, channels, 5, 4)
    out = step.hard(x)
    torch.testing.assert_close(out, (x * 255).round() / 255)
    file, suffix = step.encode(x[1:])
    assert suffix == ".png"
    with Image.open(io.BytesIO(file)) as picture:
        pixels = np.array(picture).reshape(5, 4, channels)
    torch.testing.assert_close(torch.from_numpy(pixels).movedim(-1, 0)[None] / 255, out[1:])


def test_a_program_may_write_another_format_and_16_bits():
    lines = ["import sys", "from PIL import Image", "Image.open(sys.argv[1]).quantize(4).save(sys.argv[2])"]
    step, x = BlackBox.command(_program(*lines), suffix=".gif"), torch.rand(1, 3, 8, 8)
    file, suffix = step.encode(x)
    with Image.open(io.BytesIO(file)) as picture:
        assert (picture.format, suffix) == ("GIF", ".gif")
        expected = torch.from_numpy(np.array(picture.convert("RGB"))).movedim(-1, 0)[None] / 255
    torch.testing.assert_close(step.hard(x), expected)
    deep = "Image.new('I;16', Image.open(sys.argv[1]).size, 32896).save(sys.argv[2])"
    out = BlackBox.command(_program("import sys", "from PIL import Image", deep)).hard(torch.rand(1, 1, 2, 2))
    torch.testing.assert_close(out, torch.full_like(out, 128 / 255))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["import sys", "print('note\\nno ink left', file=sys.stderr)", "sys.exit(3)"], "exit code 3: no ink left$"),
        (["import sys", "sys.exit(4)"], "exit code 4: it said nothing"),
        (["pass"], "wrote no file at {output}"),
        (["import sys", "open(sys.argv[2], 'w').write('hello')"], "wrote a file that is not a picture"),
        (["import time", "time.sleep(20)"], "more than 0.3 s"),
    ],
)
def test_a_program_that_fails_is_one_sentence(lines, said):
    step = BlackBox.command(_program(*lines), timeout=0.3 if "time" in lines[0] else 60)
    with pytest.raises(ArgumentError, match=f"^the program .*{said}"):
        step.hard(torch.rand(1, 3, 2, 2))


def test_a_program_that_is_missing_or_badly_asked_for():
    with pytest.raises(ArgumentError, match=r"'no-such-printer \{input\} \{output\}' cannot be run: No such file"):
        BlackBox.command(["no-such-printer", "{input}", "{output}"]).hard(torch.rand(1, 3, 2, 2))
    with pytest.raises(ArgumentError, match=r"has no \{output\}"):
        BlackBox.command(["convert", "{input}"])
    with pytest.raises(ArgumentError, match="above 0 seconds"):
        BlackBox.command(["convert", "{input}", "{output}"], timeout=0.0)
    with pytest.raises(ArgumentError, match="1 to 4 channels"):
        BlackBox.command(["convert", "{input}", "{output}"]).hard(torch.rand(1, 5, 2, 2))
