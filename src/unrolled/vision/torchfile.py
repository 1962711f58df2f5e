"""Read PyTorch's legacy weight files without PyTorch, allowing nothing but tensors.

The file is five pickles and then raw numbers: a magic number, the protocol version, the sizes of
C types, the state dict (tensors point at their storage by a persistent id), the order of the
storages; then for each storage an int64 count and little-endian data, to the end of the file.

A pickle may call anything it can name, so three gates stand before it: an allow-list of opcodes,
an `Unpickler` that knows only the names a state dict needs and maps each to code in this file,
and checks of every size against the bytes that are there.

References
----------
``torch/serialization.py``, ``_legacy_save``; "Restricting Globals" in Python's ``pickle`` manual.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import EncoderError

__all__ = ["read_state_dict"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MAX_PICKLE_BYTES = 4 << 20  # a state dict of 386 tensors takes 60 KB
_MAX_DIMENSIONS = 8
_COUNT = np.dtype("<i8")

_STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}

_OPCODES = frozenset(
    {"PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"}
    | {"BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"}
    | {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
    | {"EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
    | {"EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"}
)


class _RefusedError(Exception):
    """The file holds something that a state dict never does."""


class _StorageRef(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    length: int


class _TensorRef(NamedTuple):
    storage: _StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDict(dict[Any, Any]):
    """Stands for ``OrderedDict``; the attributes PyTorch hangs on it are dropped."""

    def __setstate__(self, state: object) -> None:
        pass


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_counts(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) <= _MAX_DIMENSIONS
        and all(_is_count(item) for item in value)
    )


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_: object
) -> _TensorRef:
    """Stand for ``torch._utils._rebuild_tensor_v2``: note where the tensor lies."""
    if not isinstance(storage, _StorageRef) or not _is_count(offset):
        raise _RefusedError("a tensor without a storage")
    if not (_are_counts(shape) and _are_counts(strides)) or len(shape) != len(strides):  # type: ignore[arg-type]
        raise _RefusedError("a tensor whose shape or strides are not counts")
    return _TensorRef(storage, offset, shape, strides)  # type: ignore[arg-type]


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that can name nothing but tensors, their storages and a dict."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise _RefusedError(f"the name {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> _StorageRef:
        if not (isinstance(pid, tuple) and len(pid) == 6 and pid[0] == "storage"):
            raise _RefusedError("a persistent id that is not a storage")
        _, dtype, key, _location, count, view = pid
        if not (isinstance(dtype, np.dtype) and type(key) is str and _is_count(count)):
            raise _RefusedError("a storage without type, key and count")
        if view is not None:
            raise _RefusedError("a view of a storage")
        return _StorageRef(key, dtype, count)


def _next_pickle(stream: io.BytesIO) -> Any:
    """Load the pickle at the stream's position, after a look at each of its opcodes."""
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in _OPCODES:
            raise _RefusedError(f"the pickle opcode {opcode.name}, which no tensor needs")
        if stream.tell() - start > _MAX_PICKLE_BYTES:
            raise _RefusedError(f"a pickle of more than {_MAX_PICKLE_BYTES:,} bytes")
        # The memo is an array as long as its highest index, so one opcode could ask for 16 GB.
        if opcode.name == "LONG_BINPUT" and argument > _MAX_PICKLE_BYTES:  # type: ignore[operator]
            raise _RefusedError("a memo index beyond the pickle's length")
    size = stream.tell() - start
    stream.seek(start)
    return _TensorUnpickler(io.BytesIO(stream.read(size))).load()


def _check_header(stream: io.BytesIO) -> None:
    if _next_pickle(stream) != _MAGIC:
        raise _RefusedError("a magic number that is not PyTorch's")
    if _next_pickle(stream) != _PROTOCOL:
        raise _RefusedError(f"a protocol other than {_PROTOCOL}")
    system = _next_pickle(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _RefusedError("numbers that are not little-endian")


def _declared_storages(tensors: dict[str, _TensorRef]) -> dict[str, _StorageRef]:
    declared: dict[str, _StorageRef] = {}
    for tensor in tensors.values():
        if declared.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise _RefusedError(f"the storage {tensor.storage.key} declared twice, differently")
    return declared


def _read_storages(
    stream: io.BytesIO, keys: object, declared: dict[str, _StorageRef]
) -> dict[str, NDArray[Any]]:
    """Read each storage in the file's order; its count must be the one the tensors declared."""
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(declared):
        raise _RefusedError("a list of storages other than the one the tensors point at")
    storages = {}
    for key in keys:
        ref = declared[key]
        header = stream.read(_COUNT.itemsize)
        if len(header) < _COUNT.itemsize:
            raise _RefusedError(f"an end of the file before storage {key}")
        count = int(np.frombuffer(header, _COUNT)[0])
        if count != ref.length:
            raise _RefusedError(
                f"{count:,} numbers in storage {key} where {ref.length:,} are declared"
            )
        raw = stream.read(count * ref.dtype.itemsize)
        if len(raw) < count * ref.dtype.itemsize:
            raise _RefusedError(f"an end of the file within storage {key}")
        storages[key] = np.frombuffer(raw, ref.dtype)
    if stream.read(1):
        raise _RefusedError("bytes after the last storage")
    return storages


def _tensor(name: str, ref: _TensorRef, storage: NDArray[Any]) -> NDArray[Any]:
    """Copy one tensor out of its storage; NumPy itself checks that it lies within."""
    # Strides of zero would let a few bytes stand for any number of elements.
    if math.prod(ref.shape) > storage.size:
        raise _RefusedError(f"the tensor {name}, larger than its storage")
    step = storage.dtype.itemsize
    try:
        view: NDArray[Any] = np.ndarray(
            ref.shape,
            storage.dtype,
            storage,
            ref.offset * step,
            tuple(stride * step for stride in ref.strides),
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise _RefusedError(f"the tensor {name}, which lies outside its storage") from error
    return np.array(view, order="C")


def _parse(data: bytes) -> dict[str, NDArray[Any]]:
    if data.startswith(b"PK"):
        raise _RefusedError("a zip archive, PyTorch's newer format, which is not read here")
    stream = io.BytesIO(data)
    _check_header(stream)
    tensors = _next_pickle(stream)
    if not isinstance(tensors, _StateDict) or not all(
        type(name) is str and isinstance(ref, _TensorRef) for name, ref in tensors.items()
    ):
        raise _RefusedError("something other than a dict of tensors by name")
    declared = _declared_storages(tensors)
    storages = _read_storages(stream, _next_pickle(stream), declared)
    # Tensors may share a storage, but then no more of them than the file could hold unshared.
    wanted = sum(math.prod(ref.shape) * ref.storage.dtype.itemsize for ref in tensors.values())
    if wanted > len(data):
        raise _RefusedError("tensors that together hold more than the file")
    return {name: _tensor(name, ref, storages[ref.storage.key]) for name, ref in tensors.items()}


def read_state_dict(data: bytes, *, where: str) -> dict[str, NDArray[Any]]:
    """Read the tensors of a PyTorch state dict saved in the legacy format.

    Parameters
    ----------
    data : bytes
        The whole file.
    where : str
        What to call the file in an error.

    Returns
    -------
    dict of str to ndarray
        Contiguous arrays that own their memory, in the file's order and dtypes.

    Raises
    ------
    EncoderError
        The bytes are anything but a complete state dict of plain tensors.
    """
    try:
        return _parse(data)
    except _RefusedError as error:
        reason = f"it holds {error}"
    except Exception as error:  # damaged bytes make the pickle machine raise nearly anything
        reason = f"it is damaged ({type(error).__name__}: {error})"
    raise EncoderError(f"{where}: not a weight file that can be read: {reason}")
