"""Records what NVIDIA's discriminators compute, for tests/gan/test_discriminators.py to hold ours to.

Run on a CPU with stylegan2-ada-pytorch at hand: PYTHONPATH=stylegan2-ada-pytorch python record_discriminators.py. Each
of CASES, with random weights and biases, judges random images. Its file discriminator_<name>.npz has

- kwargs: the arguments that it was made with, as ours take them (JSON),
- state/<name>: its state_dict, but for the filters,
- images (8, channels, size, size), in steps of 1/16; c (8, c_dim), one-hot, where there are classes,
- logits (8, 1), and slope, the gradient of their sum to the images.
"""

import json
from pathlib import Path

import numpy as np
import torch
from training.networks import Discriminator

TINY = {"img_resolution": 16, "channel_base": 64, "channel_max": 6}
CASES = {
    "resnet": {"img_channels": 3, **TINY},
    "skip": {"img_channels": 4, "architecture": "skip", "mbstd_group_size": 2, "mbstd_num_channels": 2, **TINY},
    "orig": {"img_channels": 3, "architecture": "orig", "c_dim": 3, "conv_clamp": 0.7, **TINY},
}


def main() -> None:
    for seed, (name, kwargs) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        deviation = {key: value for key, value in kwargs.items() if key.startswith("mbstd")}
        others = {"c_dim": 0} | {key: value for key, value in kwargs.items() if not key.startswith("mbstd")}
        discriminator = Discriminator(**others, epilogue_kwargs=deviation)
        for key, parameter in discriminator.named_parameters():
            if key.endswith("bias"):  # zero at first, where mistakes would not show
                scale = 30.0 if key.startswith("mapping.fc") else 0.3
                torch.nn.init.normal_(parameter, std=scale)
        images = torch.linspace(0.3, 1, 8)[:, None, None, None] * torch.randn(8, kwargs["img_channels"], 16, 16)
        images = ((16 * images).round() / 16).requires_grad_()
        data = {"c": torch.eye(3)[torch.arange(8) % 3]} if others["c_dim"] else {}
        logits = discriminator(images, data.get("c"))
        (slope,) = torch.autograd.grad(logits.sum(), images)
        data |= {"images": images.detach(), "logits": logits.detach(), "slope": slope}
        state = discriminator.state_dict().items()
        data |= {f"state/{key}": value for key, value in state if not key.endswith("resample_filter")}
        arrays = {key: value.numpy() for key, value in data.items()}
        np.savez_compressed(Path(__file__).parent / f"discriminator_{name}.npz", kwargs=json.dumps(kwargs), **arrays)


if __name__ == "__main__":
    main()
