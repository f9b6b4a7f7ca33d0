"""What a pickle says, without doing what it says.

A pickle is a program for a stack machine, and Python's own machine imports and calls whatever the program names. This
one builds numbers, text, lists, tuples and dicts. For a name that the program carries it asks its caller, who knows a
few by heart: nothing is imported, no attribute is read or set, no object's own method runs. It knows the opcodes that
Python 3 writes for data (protocols 2 to 5: PEP 307, PEP 3154, the module pickletools); sets come out as lists, bytes as
views of the file. A short program cannot keep it busy or fill the memory: what it may spend is counted.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BUDGET = 300_000  # StyleGAN2 at 1024², with its discriminator, a second copy and augmentations, takes 88,000
TEXT_PER_OP = 32  # characters that cost as much as one opcode


class Refused(ValueError):
    """Why a file is not read: the rest of a sentence that begins with its path."""


class Budget:
    """What one file may spend, in opcodes, over all the pickles in it."""

    def __init__(self) -> None:
        self.left = BUDGET

    def spend(self, opcodes: int) -> None:
        self.left -= opcodes
        if self.left < 0:
            raise Refused("takes too many steps to read for a file of weights: save the generator alone.")


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle names, and what to do here where the pickle would call it."""

    name: str
    make: Callable[[tuple], object]


@dataclass(frozen=True)
class Inert:
    """A value of a kind that nothing here needs: known by its kind alone."""

    kind: str


@dataclass(eq=False)
class Record:
    """An object as it was pickled: its class and its attributes."""

    class_name: str
    state: object = None


class PickleReader:
    """Reads pickles that follow one another in `data`, as plain values.

    `find(module, name)` says what stands for a name, or raises Refused; `stored(id)` what stands for an object kept
    outside of the pickle (a persistent id).
    """

    def __init__(
        self,
        data: memoryview,
        find: Callable[[str, str], Name],
        budget: Budget,
        stored: Callable[[object], object] | None = None,
    ) -> None:
        self.data, self.at, self.budget = data, 0, budget
        self.find, self.stored = find, stored

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise Refused("ends too early: it was cut off, get it again.")
        self.at += size
        return piece

    def byte(self) -> int:
        """The next byte."""
        at = self.at
        if at == len(self.data):
            raise Refused("ends too early: it was cut off, get it again.")
        self.at = at + 1
        return self.data[at]

    def number(self, layout: str) -> Any:
        """The next number, laid out as in `struct`: a float for "d", else a whole one."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, size: int) -> str:
        letters = self.take(size)
        self.budget.spend(size // TEXT_PER_OP)
        return str(letters, "utf-8", "surrogatepass")

    def line(self) -> str:
        """Up to the next line feed: how protocols before 4 write names."""
        letters = bytearray()
        while (letter := self.byte()) != ord("\n"):
            letters.append(letter)
            if len(letters) > 1000:
                raise Refused("is not a pickle: a name in it does not end.")
        return letters.decode()

    def read(self) -> object:
        """The value of the next pickle."""
        stack: list = []
        marks: list[int] = []
        memo: dict[int, object] = {}

        while True:
            self.budget.spend(1)
            match bytes((self.byte(),)):
                # the frequent ones first: they are tried in turn
                case pickle.BINGET:
                    stack.append(memo[self.byte()])
                case pickle.MEMOIZE:
                    memo[len(memo)] = stack[-1]
                case pickle.BINPUT:
                    memo[self.byte()] = stack[-1]
                case pickle.LONG_BINPUT:
                    memo[self.number("<I")] = stack[-1]
                case pickle.LONG_BINGET:
                    stack.append(memo[self.number("<I")])
                case pickle.REDUCE | pickle.NEWOBJ:
                    arguments = stack.pop()
                    stack.append(_call(stack.pop(), arguments))
                case pickle.BININT1:
                    stack.append(self.byte())
                case pickle.EMPTY_TUPLE:
                    stack.append(())
                case pickle.TUPLE1:
                    stack[-1:] = [(stack[-1],)]
                case pickle.TUPLE2:
                    stack[-2:] = [(stack[-2], stack[-1])]
                case pickle.TUPLE3:
                    stack[-3:] = [(stack[-3], stack[-2], stack[-1])]
                case pickle.TUPLE:
                    stack.append(tuple(_since_mark(stack, marks)))
                case pickle.MARK:
                    marks.append(len(stack))
                case pickle.NEWFALSE:
                    stack.append(False)
                case pickle.NEWTRUE:
                    stack.append(True)
                case pickle.NONE:
                    stack.append(None)
                case pickle.SHORT_BINUNICODE:
                    stack.append(self.text(self.byte()))
                case pickle.BINUNICODE:
                    stack.append(self.text(self.number("<I")))
                case pickle.BINUNICODE8:
                    stack.append(self.text(self.number("<Q")))
                case pickle.SHORT_BINBYTES:
                    stack.append(self.take(self.byte()))
                case pickle.BINBYTES:
                    stack.append(self.take(self.number("<I")))
                case pickle.BINBYTES8 | pickle.BYTEARRAY8:
                    stack.append(self.take(self.number("<Q")))
                case pickle.EMPTY_DICT:
                    stack.append({})
                case pickle.SETITEM:
                    pair = [stack.pop(), stack.pop()]
                    _set_items(stack[-1], pair[::-1])
                case pickle.SETITEMS:
                    items = _since_mark(stack, marks)
                    _set_items(stack[-1], items)
                case pickle.EMPTY_LIST | pickle.EMPTY_SET:
                    stack.append([])
                case pickle.APPEND:
                    item = stack.pop()
                    _append(stack[-1], [item])
                case pickle.APPENDS | pickle.ADDITEMS:
                    items = _since_mark(stack, marks)
                    _append(stack[-1], items)
                case pickle.FROZENSET:
                    stack.append(_since_mark(stack, marks))
                case pickle.BININT:
                    stack.append(self.number("<i"))
                case pickle.BININT2:
                    stack.append(self.number("<H"))
                case pickle.LONG1:
                    stack.append(int.from_bytes(self.take(self.byte()), "little", signed=True))
                case pickle.BINFLOAT:
                    stack.append(self.number(">d"))
                case pickle.GLOBAL:
                    module = self.line()
                    stack.append(self.find(module, self.line()))
                case pickle.STACK_GLOBAL:
                    name = stack.pop()
                    module = stack.pop()
                    if type(module) is not str or type(name) is not str:
                        raise Refused("is not a pickle that Python writes: a name in it is not text.")
                    stack.append(self.find(module, name))
                case pickle.BUILD:
                    state = stack.pop()
                    _set_state(stack[-1], state)
                case pickle.BINPERSID if self.stored is not None:
                    stack.append(self.stored(stack.pop()))
                case pickle.FRAME:
                    self.take(8)
                case pickle.PROTO:
                    self.take(1)
                case pickle.STOP:
                    return stack.pop()
                case code:
                    raise Refused(f"is not a pickle of weights: it holds the opcode {code!r} at byte {self.at - 1}.")


def _since_mark(stack: list, marks: list[int]) -> list:
    """What was put on the stack since the last mark, off it."""
    start = marks.pop()
    items = stack[start:]
    del stack[start:]
    return items


def _call(function: object, arguments: object) -> object:
    if type(function) is not Name or type(arguments) is not tuple:
        raise Refused("is not a pickle that Python writes: it calls what is not a function.")
    return function.make(arguments)


def _set_items(target: object, items: list) -> None:
    if type(target) is not dict or len(items) % 2:
        raise Refused("is not a pickle that Python writes: it sets items where there is no dict.")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # other keys could be made to collide, which makes a dict slow
        if type(key) is not str and not (type(key) is int and abs(key) < 2**31):
            raise Refused("is not a pickle of weights: a dict in it has keys other than text and small numbers.")
        target[key] = value


def _append(target: object, items: list) -> None:
    if type(target) is not list:
        raise Refused("is not a pickle that Python writes: it appends where there is no list.")
    target.extend(items)


def _set_state(target: object, state: object) -> None:
    """Attributes of a record. What a dict has beside its items (as PyTorch's state dicts have) is left out."""
    if type(target) is Record and target.state is None:
        target.state = state
    elif type(target) not in (Inert, dict):
        raise Refused("is not a pickle that Python writes: it gives attributes to what has none.")
