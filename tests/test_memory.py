"""Memory that runs out in calls of the library: one sentence, and whoever catches it can go on with less."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import neurotex as nt
from neurotex.core.memory import memory_for

WORK = """
import json, resource
from pathlib import Path
import torch
import neurotex as nt

def scene(texels, views):
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces, uvs = torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    skin = nt.ImageTexture(torch.rand(3, texels, texels), trainable=True)
    return nt.Scene(nt.Mesh(corners, faces, uvs, material=nt.Material(skin)), nt.orbit(views, 3.0), nt.Flash(7.0))

small, large = scene(64, 2), scene(2500, 2)
views = nt.Views(small.cameras, torch.rand(2, 4, 32, 32))
fit = nt.Fit(large, views, torch.optim.Adam(large.parameters()), steps=2)
def soft(size, layers):
    return nt.render_phong(small, size, shading="soft_phong", faces_per_pixel=layers, blur_radius=1e-4)

def layers(size):
    return nt.rasterize(torch.rand(1, 3, 3) + 1, (size, size), faces_per_pixel=8)

# LLVM ends the process where it cannot load a kernel
nt.render(small, 8), nt.render_passes(small, 8), soft(8, 8), nt.bake(small, 8), layers(8), fit.step()
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

def limit(more):
    resource.setrlimit(resource.RLIMIT_AS, (held + more, resource.RLIM_INFINITY))

calls = {
    "render": lambda: nt.render(small, 6000),
    "passes": lambda: nt.render_passes(small, 6000),
    "phong": lambda: soft(4000, 8),
    "bake": lambda: nt.bake(small, 6000),
    "rasterize": lambda: layers(6000),
    "step": fit.step,
}
said = {}
for name, call in calls.items():
    limit(1 << 25 if name == "step" else 1 << 27)
    try:
        call()
    except nt.errors.OutOfMemoryError as error:
        said[name] = str(error)
limit(1 << 40)
said["after"] = float(nt.render(small, 8)[:, 3].sum())
print(json.dumps(said))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's memory in this way")
def test_calls_that_need_too_much_say_what_to_turn_down():
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, timeout=120)
    said = json.loads(done.stdout) if done.stdout else pytest.fail(done.stderr[-2000:])
    expected = {
        "render": ("a render of 2 views of 6000 x 6000 pixels needs", "turn down size, grid or budget, or give fewer"),
        "passes": ("drawing the passes of 2 views of 6000 x 6000 pixels needs", "turn down size, or give fewer"),
        "phong": ("a render of 2 views of 4000 x 4000 pixels, 8 faces to a pixel, needs", "size or faces_per_pixel"),
        "bake": ("a bake of 2 views of 6000 x 6000 pixels needs", "turn down size or grid, or give fewer cameras."),
        "rasterize": ("rasterising 1 x 8 layers of 6000 x 6000 pixels needs", "turn down the size or faces_per_pixel."),
        "step": ("a step of a fit to 2 views of 32 x 32 pixels needs", "give fewer or smaller views, or a smaller"),
    }
    for name, (what, remedy) in expected.items():
        assert said.get(name, "nothing").startswith(f"{what} more memory than there is"), (name, said.get(name))
        assert remedy in said[name]
    assert said["after"] > 0


@pytest.mark.parametrize(
    ("need", "piece"),
    [
        (lambda: torch.empty(1 << 50), r" \(a piece of 4\.5 PB could not be had\)"),
        (lambda: np.empty(1 << 50, np.uint8), r" \(a piece of 1\.00 PiB could not be had\)"),
        (lambda: bytearray(1 << 60), ""),
    ],
)
def test_the_outermost_speaks_and_knows_the_piece(need, piece):
    with (
        pytest.raises(nt.errors.OutOfMemoryError, match=rf"^All of it needs .* than there is{piece}: sleep\.$"),
        memory_for("All of it", "sleep"),
        memory_for("A part", "wake up"),
    ):
        need()


def test_other_errors_are_none_of_its_business():
    with pytest.raises(RuntimeError, match="Sizes of tensors"), memory_for("All of it", "sleep"):
        torch.cat([torch.rand(1, 2), torch.rand(1, 3)])
