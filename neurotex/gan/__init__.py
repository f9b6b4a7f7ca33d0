"""Adversarial training: textures, or nothing but pictures of objects wearing them → a generator."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
