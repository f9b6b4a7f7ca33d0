"""PyTorch3D: its fragments and shaders without it, and what goes into its pipelines.

The names are listed in `__init__.pyi`, and each is imported when it is first used: what needs no PyTorch3D does not
load it, and what does says so when it is called.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
