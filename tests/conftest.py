"""Every annotation of the package is a check while the tests run; and what several test files share."""

import contextlib
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping

from tests import checks

# before torch is loaded: threads of two test processes that wait by spinning take the cores from each other
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# compiled kernels of Warp are kept as long as what pytest keeps
os.environ.setdefault("WARP_CACHE_PATH", str(Path(__file__).parents[1] / ".pytest_cache" / "warp"))

# shells start what runs in the background without it, and tests of Ctrl-C send it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parents[1]
# numba compiles what *kernels.py define, Warp what *_warp.py do: neither can compile what a hook has wrapped
MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted((REPOSITORY / "neurotex").rglob("*.py"))
    if path.stem != "__init__" and not path.stem.endswith(("kernels", "_warp"))
]
jaxtyping.jaxtyped = checks.jaxtyped  # what the hook puts before every function
jaxtyping.install_import_hook(MODULES, f"{checks.__name__}.check")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

import neurotex as nt  # noqa: E402
from tests import pretend  # noqa: E402

# data that is not part of the repository; tests that need it are skipped where it is absent
SHARED = REPOSITORY.parent / "shared"

# test processes share the cores; where kernels are tested, there is another thread
KERNELS = ("compat", "discrete", "geometry", "images", "kernels", "raster", "shading")
torch.set_num_threads(1)
settings.register_profile(
    "neurotex",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("neurotex")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="where kernels and devices compute: cpu, cuda, ..., pretend")
    parser.addoption(
        "--dtype",
        default="float32",
        choices=["float32", "float64"],
        help="torch's default type, in which raster, shading, renderers, discrete, kernels and devices compute",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--device") == "pretend":
        pretend.name_device()  # before autograd first looks which devices there are
    torch.set_default_dtype(getattr(torch, config.getoption("--dtype")))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where tests compute; while one does, the device of `tests.pretend` is there."""
    name = request.config.getoption("--device")
    with pretend.Pretended() if name == "pretend" else contextlib.nullcontext():
        yield torch.device(pretend.DEVICE if name == "pretend" else name)


@pytest.fixture
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return getattr(torch, request.config.getoption("--dtype"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _kernels_on_two_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Loops of kernels are shared out, and what they add up is added up in parts."""
    if request.path.relative_to(REPOSITORY / "tests").parts[0] in KERNELS:
        torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go through as they do for users, whose annotations are not checked."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def torus() -> nt.Mesh:
    """A UV-mapped torus, its seams doubled, with analytic normals."""
    around, tube = 24, 12
    u, v = (t.flatten() for t in torch.meshgrid(*(torch.linspace(0, 1, n + 1) for n in (around, tube)), indexing="ij"))
    a, b = 2 * math.pi * u, 2 * math.pi * v
    normals = torch.stack([b.cos() * a.cos(), b.sin(), b.cos() * a.sin()], 1)
    vertices = 0.7 * torch.stack([a.cos(), 0 * a, a.sin()], 1) + 0.3 * normals
    corner = torch.arange(around * (tube + 1)).view(around, -1)[:, :-1].flatten()
    quad = [corner, corner + 1, corner + tube + 2, corner + tube + 1]
    faces = torch.cat([torch.stack([quad[i] for i in pick], 1) for pick in ((0, 1, 2), (0, 2, 3))])
    return nt.Mesh(vertices, faces, torch.stack([3 * u, v], 1), normals, name="torus")


@pytest.fixture
def plate() -> nt.Mesh:
    """The square |x|, |y| ≤ 1 at z = 0, facing +Z, UVs from 0 to 1."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), (corners[:, :2] + 1) / 2, name="plate")


@pytest.fixture
def scene(torus: nt.Mesh) -> nt.Scene:
    """The torus with random pixels, seen by two cameras with a flash."""
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 16, 24)), "noise")
    return nt.Scene(torus, nt.orbit(2, 3.0, elevation=35.0), [nt.Flash(7.0)])


class TinyGenerator(torch.nn.Module):
    """(N, 4) → (N, 3, 8, 8) in [-1, 1]; counts how often it is called."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(4, 6)
        self.out = torch.nn.Linear(6, 3 * 8 * 8)
        self.calls = 0

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.tanh(self.out(torch.tanh(self.hidden(z)))).view(-1, 3, 8, 8)


@pytest.fixture
def tiny_generator() -> TinyGenerator:
    return TinyGenerator()


@pytest.fixture(scope="session")
def spot() -> Path:
    """The folder of Spot: cow.obj, its texture, and photographs of it."""
    folder = SHARED / "data" / "spot"
    if not folder.is_dir():
        pytest.skip("shared/data/spot is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict]:
    """What PyTorch3D 0.7.9 computed, by the name of the scene; `meta` says how."""

    def load(name: str) -> dict:
        places = [folder / f"{name}.npz" for folder in (REPOSITORY / "tests" / "golden", SHARED / "golden")]
        found = [path for path in places if path.is_file()]
        if not found:
            pytest.skip(f"{name}.npz is neither in tests/golden nor in shared/golden beside the repository")
        with np.load(found[0]) as file:
            data = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
            return {**data, "meta": json.loads(str(file["meta"]))}

    return load
