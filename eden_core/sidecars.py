"""Arrays that are worked out once from an index, kept in a file beside it, and memory-mapped by every process."""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from eden_core.atomic import atomic_path
from eden_core.errors import FormatError
from eden_core.mixing import digest_of

CACHE_VARIABLE = "EDEN_CACHE_DIR"
"""environment variable: the folder of sidecars whose own folder cannot be written; else `eden` in the user's cache folder"""

MAGIC = b"eden arrays 1\n"
"""how such a file begins"""

_log = logging.getLogger(__name__)

Build = Callable[[Path], Mapping[str, NDArray[Any]]]
"""makes the arrays, given a folder for temporary files that is on the same disk"""

Write = Callable[[Path, Path], None]
"""writes a file to a path, given a folder for temporary files that is on the same disk"""


class Sidecar:
    """Named arrays in a file, mapped when one is first asked for. Pickles as the path alone.

    The file holds one line of magic, then for each array its name on a line of its own, filled up with blanks in front to a
    multiple of 64 bytes, and the array as `numpy.save` writes it.

    Args:
        path: the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._arrays: dict[str, NDArray[Any]] | None = None

    def __getitem__(self, name: str) -> NDArray[Any]:
        if self._arrays is None:
            self._arrays = dict(_mapped(self.path))
        return self._arrays[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_arrays": None}


def sidecar(location: str, what: str, key: object, build: Build) -> Sidecar:
    """Return the sidecar of an index, made now where it is missing; arguments as for `kept_file`.

    Args:
        location: where the index lies.
        what: what the arrays are, a word for the file's name.
        key: all that they depend on.
        build: makes them.
    """
    return Sidecar(kept_file(location, what, key, lambda draft, folder: _write(draft, build(folder))))


def kept_file(location: str, what: str, key: object, write: Write) -> Path:
    """Return a file that is worked out once from an index, written now where it is missing.

    It lies beside the index, or in a cache folder where that folder cannot be written. Processes of one machine that want the
    same one wait for the first of them.

    Args:
        location: where the index lies.
        what: what the file is, a word for its name.
        key: all that it depends on.
        write: writes it.
    """
    name = f"{Path(location).name}.{what}-{digest_of(location.partition('://')[0] if '://' in location else '', key)}"
    places = [Path(location).parent / name] if "://" not in location else []
    places.append(cache_folder() / f"{digest_of(os.path.abspath(location))}-{name}")  # noqa: PTH100 - resolves no links
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    target = places[0] if os.access(places[0].parent, os.W_OK) else places[-1]
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked_folder(target.parent):
        if not target.is_file():
            started = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".eden-") as folder, atomic_path(target) as draft:
                write(draft, Path(folder))
            _log.info("%s written in %.1f s, once for all runs with these settings", target, time.perf_counter() - started)
    return target


class GrowingArray:
    """Numbers that are appended to a temporary file, and mapped once they are all there.

    Args:
        folder: where the file goes.
        dtype: the numbers' type.
    """

    def __init__(self, folder: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        descriptor, self._path = tempfile.mkstemp(dir=folder)
        os.close(descriptor)

    def extend(self, values: ArrayLike) -> None:
        """Append numbers."""
        with open(self._path, "ab") as file:  # noqa: PTH123
            np.asarray(values, self._dtype).tofile(file)

    def array(self) -> NDArray[Any]:
        """Return all of them."""
        empty = not os.path.getsize(self._path)  # noqa: PTH202
        return np.empty(0, self._dtype) if empty else np.memmap(self._path, self._dtype, "r")


def cache_folder() -> Path:
    """Return the folder of files that cannot lie where they belong; it may not be there yet."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eden"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Let the processes of one machine that make the same file in a folder wait for the first of them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: then several processes write the same bytes, each as a whole
            _log.debug("%s cannot be locked", folder)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        file.write(MAGIC)
        for name, array in arrays.items():
            line = f"{name}\n"
            file.write(line.rjust(len(line) + -(file.tell() + len(line)) % 64).encode())  # so that the array is aligned
            np.lib.format.write_array(file, array, allow_pickle=False)


def _mapped(path: str) -> Iterator[tuple[str, NDArray[Any]]]:
    with open(path, "rb") as file:  # noqa: PTH123
        if file.readline() != MAGIC:
            raise FormatError(f"{path} is no file of arrays that this version of Eden writes: remove it, and it is made anew")
        while name := file.readline().decode().strip():
            version = np.lib.format.read_magic(file)
            read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read_header(file)
            begin = file.tell()
            size = int(np.prod(shape)) * dtype.itemsize
            yield name, np.memmap(path, dtype, "r", begin, shape) if size else np.empty(shape, dtype)
            file.seek(begin + size)
