"""Latents → texture maps: networks as modules, and their files.

The names are listed in `__init__.pyi`, and each is imported when it is first used: most programs need one network or
reader of files, or none. What is in `interop` imports the other framework when it is called.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
