"""Train a generator of materials, with a loss of your own and everything else from the shelf.

python examples/train_by_parts.py [OUT.png] [STEPS]
"""

import sys

import torch

import neurotex as nt
from neurotex import gan


class Relativistic:
    """How much more real than a fake a real image looks, and the reverse (Jolicoeur-Martineau 2018)."""

    def discriminator(self, real, fake):
        return torch.nn.functional.softplus(fake - real).mean()

    def generator(self, fake):
        return -fake.mean()


def main(out: str = "train_by_parts.png", steps: str = "2000") -> None:
    torch.manual_seed(0)
    size = 32
    generator = nt.generators.MaterialGenerator(size, out_channels=7, widths=(64, 32, 16))
    trainer = gan.Trainer(
        generator,
        gan.StyleGAN2Discriminator(size, img_channels=7, channel_base=512, channel_max=64, tileable=True),
        gan.ProceduralMaterials(size, bank=256),  # or gan.ImageFolder("photos", size): any callable of seeds
        loss=Relativistic(),
        penalties=[gan.R1(weight=0.5, every=4), gan.Smoothness(weight=0.05)],
        augment=gan.AdaptiveAugment(channels="material", tileable=True, operations=("flip", "turn", "shift")),
        schedule=gan.HoldThenLinear(int(steps)),
    )
    measured = trainer.train(int(steps))
    print(f"{measured['images_per_second']:.0f} images/s, discriminator's loss {measured['loss/discriminator']:.2f}")

    materials = trainer.sample(generator.sample_latents(32, torch.Generator().manual_seed(1)))
    gan.sheet(gan.picture(materials), columns=8).save(out)
    nt.generators.save(trainer.average.centre(), "generator.safetensors")
    print("wrote", out, "and generator.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
