"""A device that is not there: its tensors say they are on it, and hold their numbers on the CPU.

Within `Pretended()` what runs on them is what a GPU would run: kernels for CUDA on Warp's CPU device, plain torch
elsewhere. What CUDA would refuse is refused: tensors or generators of two devices in one operation, a view of memory
by numpy. And what would make the CPU wait for the GPU is counted, with the line that asked for it: reading a number,
sizes that depend on values, copies to and fro.
"""

from __future__ import annotations

import traceback
from collections import Counter
from contextlib import ExitStack
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from neurotex.core import warp
from neurotex.core.op import OPS

NAME = "pretended"
DEVICE = f"{NAME}:0"
HERE = torch.device("cpu")
# operations whose results have sizes or values that the CPU waits for
WAITING = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique_consecutive",
    "unique_dim",
    "_unique2",
    "repeat_interleave",
    "bincount",
    "histc",
}
BY_INDEX = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
# of a tensor of no dimension on the CPU, CUDA takes the number, but not in these
NO_NUMBERS = {"stack", "cat", "mm", "bmm", "dot", "gather", "scatter", "index_select", "index_add", "searchsorted"}


class _Backend:
    """What torch asks of the module of a device."""

    is_initialized = is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: 0)
    device_count = staticmethod(lambda: 1)
    _is_in_bad_fork = is_autocast_enabled = staticmethod(lambda: False)
    get_amp_supported_dtype = staticmethod(lambda: [torch.float16, torch.bfloat16])
    manual_seed_all = set_rng_state = staticmethod(lambda *ignored: None)
    get_rng_state = staticmethod(lambda device=0: torch.get_rng_state())
    _lazy_init = staticmethod(lambda: None)
    default_generators = ()
    device = staticmethod(lambda *ignored: ExitStack())


def name_device() -> None:
    """Make it known to torch, before its autograd first looks which devices there are."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend)


def _is_there(device: object) -> bool:
    return device is not None and torch.device(device).type == NAME


class Refused(RuntimeError):
    """What CUDA would not do either."""


class There(Tensor):
    """A tensor on the device; `numbers` are its own, on the CPU."""

    @staticmethod
    def __new__(cls, numbers: Tensor, requires_grad: bool = False):
        made = Tensor._make_wrapper_subclass(
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            layout=numbers.layout,
            device=torch.device(DEVICE),
            requires_grad=requires_grad,
        )
        made.numbers = numbers
        return made

    def __repr__(self, **kwargs: object) -> str:
        return f"There({self.numbers})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})

    def __deepcopy__(self, memo: dict) -> Tensor:
        copy = There(self.numbers.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            return torch.nn.Parameter(copy, self.requires_grad)
        return copy.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: int) -> tuple:
        return There, (self.numbers.detach(),)


_counted: list[Counter] = []
_generators: set[int] = set()


def _wait(what: str) -> None:
    """Count it, by the line of the package that asked for it."""
    if _counted:
        lines = [frame for frame in traceback.extract_stack() if "/neurotex/" in frame.filename]
        place = f"{lines[-1].filename.rsplit('/neurotex/', 1)[1]}:{lines[-1].lineno}" if lines else "a test"
        _counted[-1][f"{what} at {place}"] += 1


def _run(function: object, args: tuple, kwargs: dict) -> object:
    """An operation that the device takes part in, or is made on."""
    space, name = function._schema.name.split("::")
    if space == "neurotex":
        op = OPS[name]
        kernel = op.kernels["CUDA"] or op.reference
        with _as_seen_by_a_kernel(), Dispatched(), Called(), torch.no_grad():
            return kernel(*args, **kwargs)
    flat, _ = tree_flatten((args, kwargs))
    there = [x for x in flat if isinstance(x, There)]
    here = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, There)]
    target = kwargs.get("device")
    result_there = _is_there(target) if target is not None else bool(there)
    _refuse_generators(name, flat, result_there)
    if there and here:
        _refuse_mixtures(name, args, here)
    masks = name in BY_INDEX and any(x.dtype in (torch.bool, torch.uint8) for x in _indices(args))
    if there and (name in WAITING or masks):
        _wait("a mask" if masks else name)
    if (there and target is not None and not result_there) or (here and result_there and not there):
        _wait("a copy")
    plain = lambda x: x.numbers if isinstance(x, There) else HERE if isinstance(x, torch.device) else x  # noqa: E731
    values, options = tree_map(plain, args), tree_map(plain, kwargs)
    if "pin_memory" in options:
        options["pin_memory"] = False
    found = function(*values, **options)
    if any(result.alias_info is not None and result.alias_info.is_write for result in function._schema.returns):
        return args[0] if not isinstance(found, tuple | list) else found
    wrapped = lambda x: There(x) if isinstance(x, Tensor) and not isinstance(x, There) else x  # noqa: E731
    return tree_map(wrapped, found) if result_there else found


def _indices(args: tuple) -> list[Tensor]:
    return [x for x in args[1] if isinstance(x, Tensor)]


def _refuse_generators(name: str, flat: list, result_there: bool) -> None:
    for generator in (x for x in flat if isinstance(x, torch.Generator)):
        if (id(generator) in _generators) != result_there:
            raise Refused(f"{name}: a generator of one device, a tensor of another")


def _refuse_mixtures(name: str, args: tuple, here: list[Tensor]) -> None:
    if name in ("copy_", "_to_copy", "set_data"):
        _wait("a copy")
    elif name in BY_INDEX and isinstance(args[0], There) and all(any(x is y for y in _indices(args)) for x in here):
        _wait("an index")  # which is copied
    elif any(x.ndim > 0 for x in here) or name in NO_NUMBERS:
        raise Refused(f"{name}: {[tuple(x.shape) for x in here]} on the CPU beside tensors on a device")


def _as_seen_by_a_kernel() -> ExitStack:
    """Warp's CPU device gets the numbers."""
    stack, described = ExitStack(), warp._described
    stack.enter_context(mock.patch.object(warp, "_place", return_value=("cpu", None)))
    unwrapped = lambda x, dtype: described(x.numbers if isinstance(x, There) else x, dtype)  # noqa: E731
    stack.enter_context(mock.patch.object(warp, "_described", unwrapped))
    # kernels stand below autograd: torch has taken these keys off a tensor's list, and a tensor made here has them
    included, excluded = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    for key in ("AutogradPrivateUse1", "AutogradOther", "AutogradCPU", "ADInplaceOrView", "Python"):
        excluded = excluded.remove(getattr(torch._C.DispatchKey, key))
    excluded = excluded.remove(torch._C.DispatchKey.PythonTLSSnapshot)
    stack.enter_context(torch._C._ForceDispatchKeyGuard(included, excluded))
    return stack


class Dispatched(TorchDispatchMode):
    """Sees what makes new tensors, too."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _uploaded(index: object) -> object:
    """An index by lists, which are copied to the device."""
    if isinstance(index, tuple):
        return tuple(map(_uploaded, index))
    if isinstance(index, list | range):
        _wait("an index")
        return There(torch.tensor(list(index)))
    return index


class Called(TorchFunctionMode):
    """Sees what torch does not dispatch: tensors from data, and what Python reads of them."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in ("tensor", "as_tensor", "new_tensor"):
            return self._from_data(function, name, args, dict(kwargs))
        if name in ("numpy", "__array__") and isinstance(args[0], There):
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy")
        if name == "tolist" and isinstance(args[0], There):
            _wait("tolist")
            return args[0].numbers.detach().tolist()
        if name in ("__getitem__", "__setitem__") and isinstance(args[0], There):
            args = (args[0], _uploaded(args[1]), *args[2:])
            if len(args) > 2 and not isinstance(args[2], Tensor):
                args = (*args[:2], There(torch.tensor(args[2], dtype=args[0].dtype)))  # written by the device itself
        return function(*args, **kwargs)

    @staticmethod
    def _from_data(function, name: str, args: tuple, kwargs: dict) -> Tensor:
        device = kwargs.pop("device", None)
        if name == "new_tensor":
            like, *args = args
            kwargs.setdefault("dtype", like.dtype)
            device = like.device if device is None else device
            function = torch.tensor
        if name == "as_tensor" and isinstance(args[0], Tensor):
            return args[0].to(device=device or args[0].device, dtype=kwargs.get("dtype") or args[0].dtype)
        if not _is_there(device):
            return function(*args, device=device, **kwargs)
        _wait("a copy")
        follows = kwargs.pop("requires_grad", False)
        data = args[0].numbers if isinstance(args[0], There) else args[0]
        return There(function(data, *args[1:], **kwargs)).requires_grad_(follows)


class _Generator(torch.Generator):
    """A generator that knows its device."""

    def __new__(cls, device: object = "cpu"):
        made = super().__new__(cls)
        if _is_there(device):
            _generators.add(id(made))
            made.kept = made
        return made

    def __init__(self, device: object = "cpu"):
        pass


class Pretended:
    """Within it, the device is there; `waits` counts what the CPU would have waited for since it was entered."""

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> Pretended:
        enter = self._stack.enter_context
        enter(mock.patch.object(torch, "Generator", _Generator))
        enter(mock.patch.object(torch.__future__, "_swap_module_params_on_conversion", True))
        enter(Dispatched())
        enter(Called())
        _counted.append(self.waits)
        return self

    def __exit__(self, *error: object) -> None:
        _counted.remove(self.waits)
        self._stack.close()
