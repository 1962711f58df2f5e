"""Write PyTorch's legacy weight files, sound and hostile ones, without PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_NAMES = {
    "<f8": "DoubleStorage",
    "<f4": "FloatStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "<i2": "ShortStorage",
    "|i1": "CharStorage",
    "|u1": "ByteStorage",
    "|b1": "BoolStorage",
}


@dataclass(frozen=True)
class Name:
    """A global that the pickle names."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call that the pickle makes on loading."""

    function: Any
    arguments: Any
    state: Any = None


@dataclass(frozen=True)
class Persistent:
    """A persistent id."""

    id: Any


class Pickler(pickle._Pickler):
    """Writes what the classes above stand for, whether or not it can be imported here."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_name(self, obj: Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    def save_call(self, obj: Call) -> None:
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)
        if obj.state is not None:
            self.save(obj.state)
            self.write(pickle.BUILD)

    def save_persistent(self, obj: Persistent) -> None:
        self.save(obj.id)
        self.write(pickle.BINPERSID)

    dispatch[Name] = save_name
    dispatch[Call] = save_call
    dispatch[Persistent] = save_persistent


def dumps(obj: Any) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(obj)
    return stream.getvalue()


ORDERED_DICT = Name("collections", "OrderedDict")
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def storage(key: Any, dtype: Any, count: Any, view: Any = None) -> Persistent:
    kind = Name("torch", STORAGE_NAMES[np.dtype(dtype).str])
    return Persistent(("storage", kind, key, "cpu", count, view))


def tensor(store: Any, offset: Any, shape: Any, strides: Any) -> Call:
    return Call(REBUILD, (store, offset, shape, strides, False, Call(ORDERED_DICT, ())))


@dataclass
class LegacyFile:
    """The parts of a file; change one to make a file that must be refused."""

    state: Any
    arrays: dict[str, np.ndarray]
    magic: Any = MAGIC
    protocol: Any = 1001
    system: Any = field(default_factory=lambda: {"protocol_version": 1001, "little_endian": True})
    keys: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    trailer: bytes = b""

    def to_bytes(self) -> bytes:
        keys = sorted(self.arrays) if self.keys is None else self.keys
        pickles = (self.magic, self.protocol, self.system, self.state, keys)
        data = b"".join(p if isinstance(p, bytes) else dumps(p) for p in pickles)
        for key in sorted(self.arrays):
            array = self.arrays[key]
            data += struct.pack("<q", self.counts.get(key, array.size)) + array.tobytes()
        return data + self.trailer


def element_strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(stride // array.itemsize for stride in array.strides)


def legacy_file(tensors: dict[str, np.ndarray]) -> LegacyFile:
    """Lay out a state dict of arrays, each in a storage of its own, its strides kept."""
    state, arrays = {}, {}
    for index, (name, array) in enumerate(tensors.items()):
        key = str(1000 + index)
        arrays[key] = array.ravel(order="K")
        state[name] = tensor(
            storage(key, array.dtype, array.size), 0, array.shape, element_strides(array)
        )
    return LegacyFile(state=Filled(state), arrays=arrays)


@dataclass(frozen=True)
class Filled:
    """A dict pickled as ``OrderedDict()``, then filled, then given attributes, as by PyTorch."""

    items: dict[str, Any]


def _save_filled(pickler: Pickler, obj: Filled) -> None:
    pickler.save(Call(ORDERED_DICT, ()))
    for key, value in obj.items.items():
        pickler.save(key)
        pickler.save(value)
        pickler.write(pickle.SETITEM)
    pickler.save({"_metadata": Call(ORDERED_DICT, ())})
    pickler.write(pickle.BUILD)


Pickler.dispatch[Filled] = _save_filled
