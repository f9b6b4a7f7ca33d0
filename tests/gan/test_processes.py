"""Two processes train as one."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neurotex.errors import ArgumentError, MissingError
from neurotex.gan.processes import Alone, launch

SCRIPT = """
import json, sys
if {here!r} not in sys.path:
    sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from neurotex.gan import R1, AdaptiveAugment, ProceduralMaterials, StyleGAN2Discriminator, Trainer, launch
from neurotex.generators import StyleGAN2

fabric = launch()
torch.manual_seed(fabric.global_rank)  # other weights in each: the first process's count
widths = dict(channel_base=64, channel_max=8)
generator = StyleGAN2(32, 3, 4, w_dim=4, mapping_kwargs=dict(num_layers=2), use_noise=False, **widths)
trainer = Trainer(
    generator,
    StyleGAN2Discriminator(32, 3, **widths),
    ProceduralMaterials(32, bank=8, maps=("base_color",)),
    penalties=[R1(1.0, every=4)],
    augment=AdaptiveAugment(-0.9, images=400),
    batch=16,
    fabric=fabric,
)
steps = []
trainer.train(20, lambda trainer, measured: steps.append(measured))
weight = float(sum(p.abs().sum() for p in generator.parameters()))
score = trainer.evaluate(64, ("fid",))["fid"]
if fabric.is_global_zero:
    print(json.dumps([fabric.world_size, steps, weight, score]))
"""


def told(out: str) -> list:
    """World size, what each step measured, and in the end the sum of the weights' sizes and a score."""
    return json.loads(out.strip().splitlines()[-1])


def test_two_processes_train_as_one(tmp_path, capsys):
    """The same global batch: losses to 1e-4 for 20 steps, with R1, augmentation and the deviations of groups."""
    pytest.importorskip("lightning_fabric")
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parents[2])))
    call = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    two, shared, shared_weight, shared_score = told(done.stdout)
    runpy.run_path(str(script))
    one, alone, weight, score = told(capsys.readouterr().out)
    assert (one, two) == (1, 2)
    assert len(alone) == len(shared) == 20
    for a, b in zip(alone, shared, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    assert weight == pytest.approx(shared_weight, rel=1e-4)
    assert score == pytest.approx(shared_score, rel=1e-3)  # of all samples, half of them in each
    assert alone[-1]["augment/strength"] > 0


def test_one_process_needs_no_fabric(monkeypatch):
    for name in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    alone = launch("cpu")
    assert isinstance(alone, Alone)
    assert alone.device == torch.device("cpu")
    assert torch.equal(alone.all_reduce(torch.ones(2)), torch.ones(2))


def test_what_cannot_be_launched_is_refused(monkeypatch):
    with pytest.raises(ArgumentError, match="no precision '8'"):
        launch("cpu", precision="8")
    with pytest.raises(ArgumentError, match="1 process or more"):
        launch("cpu", processes=0)
    if not torch.cuda.is_available():
        with pytest.raises(ArgumentError, match="no CUDA device"):
            launch("cuda")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingError, match=r"neurotex\[train\]"):
        launch("cpu", processes=2)


def test_a_cpu_without_bfloat16_says_so(monkeypatch):
    pytest.importorskip("lightning_fabric")
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    with pytest.warns(UserWarning, match="nothing in bfloat16: --precision 32 is faster"):
        launch("cpu", 1, "bf16")
