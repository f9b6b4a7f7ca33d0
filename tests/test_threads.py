"""How loops are shared among cores, and how torch's idle threads wait meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from neurotex.core import threads

# the processor time that 10 of torch's loops leave behind, before and after the first loop of a kernel
MEASURE = """
import sys, time, torch
from neurotex.core.threads import parallel_for

torch.set_num_threads(2)
numbers = torch.ones(1 << 20)

def burnt():
    began = time.process_time()
    for _ in range(10):
        numbers + numbers
        time.sleep(0.02)
    return time.process_time() - began

burnt()
before = burnt()
parallel_for(lambda start, stop: None, 2)
print(before, burnt())
"""


def test_pieces_come_back_in_order():
    torch.set_num_threads(2)
    assert threads.parallel_for(lambda start, stop: (start, stop), 10, pieces=2) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert threads.parallel_for(lambda start, stop: (start, stop), 10, grain=10) == [(0, 10)]


def test_torch_s_idle_threads_sleep_once_kernels_run():
    if "libgomp" not in str(sorted(Path(torch.__file__).parent.glob("lib/*gomp*"))):
        pytest.skip("this torch brings no GNU OpenMP, whose threads spin")
    environment = {name: value for name, value in os.environ.items() if name not in threads.DECIDED}
    environment["PYTHONPATH"] = str(Path(threads.__file__).parents[1])
    run = subprocess.run([sys.executable, "-c", MEASURE], env=environment, capture_output=True, text=True, check=True)
    before, after = map(float, run.stdout.split())
    if before < 0.05:
        pytest.skip("torch's threads do not spin on this machine")
    assert after < before / 2
