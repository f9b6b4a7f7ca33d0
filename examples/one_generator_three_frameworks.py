"""One generator written in torch, JAX and TensorFlow: the same picture of the scene, the same gradient to the latent.

pip install "neurotex[jax,tensorflow]"; python examples/one_generator_three_frameworks.py [OUT.png]
"""

import sys

import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

import neurotex as nt
from neurotex.generators.interop import from_jax, from_tensorflow

rng, ticks = np.random.default_rng(0), np.arange(64) / 64
cycles = rng.integers(-6, 7, (2, 24, 3, 1, 1))
WAVES = np.cos(2 * np.pi * (cycles[0] * ticks + cycles[1] * ticks[:, None] + rng.random((24, 3, 1, 1))))
WEIGHTS = {"mix": rng.normal(size=(4, 24)).astype("f"), "waves": 0.6 * WAVES.reshape(24, -1).astype("f")}


class InTorch(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.waves = (torch.nn.Parameter(torch.from_numpy(w)) for w in WEIGHTS.values())

    def forward(self, z):
        return torch.tanh(torch.tanh(z @ self.mix) @ self.waves).view(-1, 3, 64, 64)


def in_jax(params, z):
    return jnp.tanh(jnp.tanh(z @ params["mix"]) @ params["waves"]).reshape(-1, 3, 64, 64)


class InTensorFlow(tf.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.waves = (tf.Variable(value, name=name) for name, value in WEIGHTS.items())

    def __call__(self, z):
        return tf.reshape(tf.tanh(tf.tanh(z @ self.mix) @ self.waves), (-1, 3, 64, 64))


def main(out: str = "three_frameworks.png") -> None:
    modules = [InTorch(), from_jax(in_jax, WEIGHTS), from_tensorflow(InTensorFlow(), channels_last=False)]
    assets = nt.assets.folder() / "demo"
    views, rows = nt.Views.load(assets / "views"), []
    for name, module in zip(("torch", "jax", "tensorflow"), modules, strict=True):
        latent = nt.Latent((4,)).bind(torch.tensor([0.5, -1.0, 1.5, 0.2]))
        skin = nt.Material(nt.GeneratedTexture(module, latent))
        scene = nt.Scene.load(assets / "mesh.obj", skin, views.cameras[:2], views.lights)
        image = nt.render(scene, size=256)
        nt.losses.photometric(image, views.images[:2]).backward()
        print(name, *latent.value.grad[0].tolist(), *(float(weight.grad.norm()) for weight in module.parameters()))
        rows.append(image[0].detach())
    nt.on_background(torch.cat(rows, dim=-1)).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
