"""Adversarial training of texture generators, and the procedural textures it learns from."""
