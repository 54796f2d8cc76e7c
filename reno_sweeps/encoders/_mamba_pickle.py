"""The list of tensors in a torch file, read without torch and without trust: nothing that it names is ever run.

torch writes that list as a pickle, which is a program. Here its opcodes are read one by one and only those that build
plain data do anything; of the names in it only torch's own words for a tensor mean something, and every other thing
(a training run's settings, say) becomes `INERT`.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, Final

MOST = 400_000  # opcodes; the largest official file, with its optimizer's settings, has some 30,000
AXES = 8  # of a tensor
LARGEST = 1 << 40  # no size, stride or offset comes near it
STORAGES = {"FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16"}
INERT: Final = object()  # whatever is neither plain data nor a tensor
LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES",
    "SHORT_BINSTRING", "BINSTRING",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "EMPTY_SET": INERT}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Refused(Exception):  # noqa: N818  # a reason, told to the user as one
    """Why a file is not read, in a few words."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers in the file."""

    key: str
    dtype: str  # float32, float16, bfloat16; torch's own name for anything else
    numel: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor: where its numbers lie in their storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """A word that stands for something in a module; it is never looked up."""

    module: str
    name: str


class _Machine:
    """A pickle's stack, marks and memory; `result` is what it built."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}
        self.result: Any = INERT

    def step(self, opcode: str, argument: Any) -> None:
        """Do what one opcode says."""
        if opcode in LITERALS:
            self.stack.append(argument)
        elif opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in TUPLES:
            self.stack.append(tuple(self._take(TUPLES[opcode])))
        else:
            act = getattr(self, f"_{opcode.lower()}", None)
            if act is None:
                raise Refused(f"its list of tensors is none of torch's ({opcode})")
            act(argument)

    def _take(self, number: int) -> list[Any]:
        taken = [self.stack.pop() for _ in range(number)]
        return taken[::-1]

    def _marked(self) -> list[Any]:
        start = self.marks.pop()
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def _proto(self, _: Any) -> None:
        pass

    _frame = _proto

    def _stop(self, _: Any) -> None:
        self.result = self.stack.pop()

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _binput(self, place: int) -> None:
        self.memory[place] = self.stack[-1]

    _long_binput = _binput

    def _memoize(self, _: Any) -> None:
        self.memory[len(self.memory)] = self.stack[-1]

    def _binget(self, place: int) -> None:
        self.stack.append(self.memory[place])

    _long_binget = _binget

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _append(self, _: Any) -> None:
        self._fill_list([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self._fill_list(self._marked())

    def _additems(self, _: Any) -> None:
        self._marked()

    def _setitem(self, _: Any) -> None:
        self._fill_dict(self._take(2))

    def _setitems(self, _: Any) -> None:
        self._fill_dict(self._marked())

    def _fill_list(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def _fill_dict(self, items: list[Any]) -> None:
        """Keys are words and whole numbers; a tuple's hash could be made to take for ever."""
        if isinstance(self.stack[-1], dict):
            pairs = zip(items[::2], items[1::2], strict=True)
            self.stack[-1].update((key, value) for key, value in pairs if isinstance(key, str | int))

    def _global(self, words: str) -> None:
        self.stack.append(_Name(*words.split(" ", 1)))

    def _stack_global(self, _: Any) -> None:
        self.stack.append(_Name(*map(str, self._take(2))))

    def _reduce(self, _: Any) -> None:
        called, given = self._take(2)
        self.stack.append(_meaning(called, given))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self._take(3)
        self.stack.append(INERT)

    def _build(self, _: Any) -> None:
        self.stack.pop()  # an object's attributes, such as the _metadata of torch's state dicts

    def _binpersid(self, _: Any) -> None:
        self.stack.append(_storage(self.stack.pop()))


def tables(content: bytes) -> Any:
    """What a pickle describes: dicts, lists, numbers, words, `Placed` tensors, and INERT for all else.

    Refused says why it is damaged, or none that torch would write.
    """
    machine = _Machine()
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if number > MOST:
                raise Refused(f"its list of tensors has more than {MOST} steps")
            machine.step(opcode.name, argument)
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as fault:
        raise Refused(f"its list of tensors is damaged ({type(fault).__name__})") from fault
    return machine.result


def _meaning(called: Any, given: Any) -> Any:
    """What calling a name gives: tensors and tables; for all other names INERT."""
    match called:
        case _Name("collections", "OrderedDict"):
            return {}  # filled by the opcodes that follow
        case _Name("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor"):
            return _placed(*given[:4])
        case _Name("torch._utils", "_rebuild_parameter"):
            return given[0]
    return INERT


def _storage(pid: Any) -> Storage:
    kind, word, key, _, numel = pid
    if kind != "storage" or not isinstance(word, _Name) or not isinstance(key, str) or not _whole(numel):
        raise Refused("its list of tensors names a storage that is none of torch's")
    return Storage(key, STORAGES.get(word.name, word.name), numel)


def _placed(storage: Any, offset: Any, shape: Any, strides: Any) -> Placed:
    few = len(shape) == len(strides) <= AXES
    if not isinstance(storage, Storage) or not few or not all(map(_whole, (offset, *shape, *strides))):
        raise Refused("its list of tensors names a tensor that is none of torch's")
    return Placed(storage, offset, tuple(shape), tuple(strides))


def _whole(number: Any) -> bool:
    return isinstance(number, int) and 0 <= number < LARGEST
