"""The inner loops: compiled where the package was built with a C compiler, else the same in numpy.

Arrays must have the types that are named here and be contiguous; the compiled loops cannot tell.

`EDEN_KERNELS=numpy` in the environment leaves the compiled ones out.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARY = Path(__file__).with_name("_kernels.so")
"""compiled from `kernels.c` when the package is built (`hatch_build.py`)"""

INVALID = 255
"""entry of a byte that has none, in a table of bytes"""


def _library() -> ctypes.CDLL | None:
    if os.environ.get("EDEN_KERNELS") == "numpy":
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    for name in ("eden_spread", "eden_any", "eden_read_cached", "eden_unwrap"):
        getattr(library, name).restype = ctypes.c_int64
    for name in ("eden_gather", "eden_spread_weights", "eden_flip", "eden_count_up", "eden_walk", "eden_mark", "eden_overlay"):
        getattr(library, name).restype = None
    return library


_compiled = _library()


def are_compiled() -> bool:
    """Return whether the compiled loops are in use."""
    return _compiled is not None


def spread(
    values: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    firsts: NDArray[np.int64],
    table: NDArray[np.uint8],
    pad: int,
    tokens: NDArray[Any] | None,
    shifted: NDArray[Any] | None,
) -> int | None:
    """Lay windows out in rows: the entries of their bytes from `firsts` on, and `pad` everywhere else.

    Args:
        values: the bytes of W windows, as in `Ragged`.
        offsets: where they begin and end, as there.
        firsts: int64 [W], where each begins in the rows laid end to end, ascending.
        table: uint8 [256], `INVALID` where a byte has no entry.
        pad: what fills the rest.
        tokens: int64 or uint8 [B, S], written; None: only `shifted` is.
        shifted: the same, written with everything one place to the left, except for a byte that begins a row; None: not.

    Returns:
        The place in `values` of the first byte that has no entry, where there is one: the rest is then not written.
    """
    target = tokens if tokens is not None else shifted
    if _compiled is not None and target is not None:
        bad = _compiled.eden_spread(
            _at(values), _at(offsets), _at(firsts), _n(firsts.size), _n(target.size), _n(target.shape[-1]), _n(pad), _at(table),
            _at(tokens), _at(shifted), _n(target.itemsize == 8),
        )  # fmt: skip
        return None if bad < 0 else int(bad)
    # bytearray.translate is twice as fast as a gather or bytes.translate.
    entries = np.frombuffer(bytearray(values[: offsets[-1]]).translate(table.tobytes()), np.uint8)
    if entries.size and int(entries.max()) == INVALID:
        return int(np.argmax(entries == INVALID))
    for shift, out in enumerate((tokens, shifted)):
        if out is not None:
            scatter(entries, offsets, firsts, pad, out, shift=shift)
    return None


def scatter(
    items: NDArray[Any], offsets: NDArray[np.int64], firsts: NDArray[np.int64], rest: float, out: NDArray[Any], *, shift: int
) -> None:
    """Write windows of any items to `firsts` - `shift` in rows laid end to end, and `rest` everywhere else.

    An item that would leave its row by the shift is left out.
    """
    lost = ((firsts % out.shape[-1] == 0) & (np.diff(offsets) > 0)) * shift
    _scatter(items, offsets[:-1] + lost, np.diff(offsets) - lost, firsts - shift + lost, rest, out)


def _scatter(
    items: NDArray[Any],
    sources: NDArray[np.int64],
    counts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    rest: float,
    out: NDArray[Any],
) -> None:
    flat, done = out.reshape(-1), 0
    for source, count, first in zip(sources.tolist(), counts.tolist(), firsts.tolist(), strict=True):
        flat[done:first] = rest
        done = max(done, first + count)
        flat[first : first + count] = items[source : source + count]
    flat[done:] = rest


def spread_weights(
    values: NDArray[np.uint8],
    sources: NDArray[np.int64],
    counts: NDArray[np.int64],
    firsts: NDArray[np.int64],
    by_letter: NDArray[np.float32] | None,
    given: NDArray[np.float32] | None,
    out: NDArray[np.float32],
) -> None:
    """Write the weights of windows' bases from `firsts` on, and 0 everywhere else.

    Args:
        values: the bases.
        sources: int64 [W], where the bases of each window begin among them.
        counts: int64 [W], how many there are.
        firsts: int64 [W], where their weights begin in the rows laid end to end, ascending.
        by_letter: float32 [256], None: every letter weighs 1.
        given: a weight for each base, which multiplies that of its letter; None: 1.
        out: float32 [B, S], written.
    """
    if _compiled is not None:
        _compiled.eden_spread_weights(
            _at(values), _at(sources), _at(counts), _at(firsts), _n(firsts.size), _n(out.size), _at(by_letter), _at(given),
            _at(out),
        )  # fmt: skip
        return
    weights = np.ones(int((sources + counts).max(initial=0)), np.float32) if given is None else given
    if by_letter is not None:
        weights = by_letter[values] if given is None else by_letter[values[: given.size]] * given
    _scatter(weights, sources, counts, firsts, 0, out)


def mark(firsts: NDArray[np.int64], counts: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Write a 1 to so many places from each of `firsts` on, ascending, and 0 everywhere else.

    Args:
        firsts: int64 [W].
        counts: int64 [W].
        out: uint8 [B, S], written.
    """
    if _compiled is not None:
        _compiled.eden_mark(_at(firsts), _at(counts), _n(firsts.size), _n(out.size), _at(out))
        return
    _scatter(np.ones(int(counts.max(initial=0)), np.uint8), np.zeros_like(firsts), counts, firsts, 0, out)


def flipped(
    values: NDArray[np.uint8], offsets: NDArray[np.int64], marked: NDArray[np.bool_], table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return windows, those that are marked backwards, with the entry of the table in place of each byte.

    Args:
        values: the bytes of W windows, as in `Ragged`.
        offsets: where they begin and end, as there.
        marked: bool [W].
        table: uint8 [256].
    """
    if _compiled is not None:
        out = np.empty(int(offsets[-1]), np.uint8)
        _compiled.eden_flip(_at(values), _at(offsets), _at(marked), _n(marked.size), _at(table), _at(out))
        return out
    out, letters = values[: offsets[-1]].copy(), table.tobytes()
    for i in np.flatnonzero(marked).tolist():
        row = slice(int(offsets[i]), int(offsets[i + 1]))
        out[row] = np.frombuffer(bytearray(out[row]).translate(letters), np.uint8)[::-1]
    return out


def may_have(values: NDArray[np.uint8], flags: NDArray[np.uint8]) -> bool:
    """Return whether a byte may be among those that are flagged (uint8 [256], not 0): never False where one is."""
    if _compiled is not None:
        return bool(_compiled.eden_any(_at(values), _n(values.size), _at(flags)))
    return bool(values.size and max(bytearray(values).translate(flags.tobytes())))


def gather(
    source: NDArray[np.uint8],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: NDArray[np.uint8],
    places: NDArray[np.int64],
) -> None:
    """Copy stretches of one array, such as a mapped file, to places of another; that they lie within both is not checked.

    Args:
        source: uint8 [n].
        starts: int64 [W], where the stretches begin.
        counts: int64 [W], their bytes.
        out: uint8, written.
        places: int64 [W], where each goes.
    """
    if _compiled is not None:
        _compiled.eden_gather(_at(source), _at(starts), _at(counts), _at(places), _n(starts.size), _at(out))
        return
    for start, count, place in zip(starts.tolist(), counts.tolist(), places.tolist(), strict=True):
        out[place : place + count] = source[start : start + count]


def unwrap(
    source: NDArray[np.uint8],
    starts: NDArray[np.int64],
    columns: NDArray[np.int64],
    line_bases: NDArray[np.int64],
    line_ends: NDArray[np.int64],
    counts: NDArray[np.int64],
    out: NDArray[np.uint8],
    places: NDArray[np.int64],
) -> int | None:
    """Copy stretches of text that is cut into lines, without the line ends; that they lie within both arrays is not checked.

    Args:
        source: uint8 [n].
        starts: int64 [W], where the stretches begin.
        columns: int64 [W], bases of its line that lie before each.
        line_bases: int64 [W], bases of a line.
        line_ends: int64 [W], bytes that end it: 1 (LF) or 2 (CR and LF).
        counts: int64 [W], bases of each stretch.
        out: uint8, written.
        places: int64 [W], where each goes.

    Returns:
        The number of a stretch whose lines do not end where they must, where there is one.
    """
    if _compiled is not None:
        wrong = _compiled.eden_unwrap(
            _at(source), _at(starts), _at(columns), _at(line_bases), _at(line_ends), _at(counts), _at(places), _n(starts.size),
            _at(out),
        )  # fmt: skip
        return None if wrong < 0 else int(wrong)
    for i, (start, column, line, end, count, place) in enumerate(
        zip(*(each.tolist() for each in (starts, columns, line_bases, line_ends, counts, places)), strict=True)
    ):
        breaks = (column + count - 1) // line
        ends = line - column + np.arange(breaks)[:, None] * (line + end) + np.arange(end)
        stretch = source[start : start + count + breaks * end]
        bases = np.delete(stretch, ends)
        if (stretch[ends] != np.frombuffer(b"\r\n", np.uint8)[2 - end :]).any() or (bases == ord("\n")).any():
            return i
        out[place : place + count] = bases
    return None


def overlay(out: NDArray[np.uint8], firsts: NDArray[np.int64], counts: NDArray[np.int64], keep: int, add: int) -> None:
    """Change the bytes of stretches of an array; that they lie within it is not checked.

    Args:
        out: uint8, changed.
        firsts: int64 [k], where the stretches begin.
        counts: int64 [k], their bytes.
        keep: the bits that stay.
        add: the bits that are set.
    """
    if _compiled is not None:
        _compiled.eden_overlay(_at(out), _at(firsts), _at(counts), _n(firsts.size), _n(keep), _n(add))
        return
    for first, count in zip(firsts.tolist(), counts.tolist(), strict=True):
        out[first : first + count] = out[first : first + count] & np.uint8(keep) | np.uint8(add)


def read_cached(
    file: int, starts: NDArray[np.int64], counts: NDArray[np.int64], out: NDArray[np.uint8], places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Read stretches of an open file as far as they are in the system's cache, without waiting for the disk.

    Args:
        file: its descriptor.
        starts: int64 [W], where the stretches begin in the file.
        counts: int64 [W], their bytes.
        out: uint8, written.
        places: int64 [W], where each goes.

    Returns:
        The numbers of the stretches that are not there as a whole, int64.

    Raises:
        OSError: reading failed, or the file system does not tell what is cached (EOPNOTSUPP, EINVAL, ENOSYS).
    """
    there = np.zeros(starts.size, np.bool_)
    if _compiled is not None:
        failed = _compiled.eden_read_cached(
            _n(file), _at(starts), _at(counts), _at(places), _n(starts.size), _at(out), _at(there)
        )
        if failed:
            raise OSError(failed, os.strerror(failed))
        return np.flatnonzero(~there)
    into = memoryview(out)  # type: ignore[arg-type] # numpy arrays are buffers
    for i, (start, count, place) in enumerate(zip(starts.tolist(), counts.tolist(), places.tolist(), strict=True)):
        with suppress(BlockingIOError):
            there[i] = os.preadv(file, [into[place : place + count]], start, os.RWF_NOWAIT) == count
    return np.flatnonzero(~there)


def count_up(bounds: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write 0, 1, 2 … from each of the bounds (ascending places, the first is 0) to the next one."""
    if _compiled is not None:
        _compiled.eden_count_up(_at(bounds), _n(bounds.size), _n(out.size), _at(out))
        return
    lengths = np.diff(np.append(bounds, out.size))
    out.reshape(-1)[:] = np.arange(out.size) - np.repeat(bounds, lengths)


def walk(
    xs: NDArray[np.uint64], n: int | NDArray[np.int64], keys: NDArray[np.uint64], *, inverse: bool
) -> NDArray[np.uint64] | None:
    """Walk the cycles of the Feistel network of `eden_core.permutation`; None where nothing is compiled."""
    if _compiled is None:
        return None
    out, sizes = xs.copy(), np.ascontiguousarray(n, np.uint64).reshape(-1)
    if out.size and ((sizes == 0).any() or (out >= sizes).any()):
        raise ValueError("a position lies outside what is permuted")
    _compiled.eden_walk(_at(out), _n(out.size), _at(sizes), _n(np.ndim(n)), _at(keys), _n(inverse))
    return out


_n = ctypes.c_int64


def _at(array: NDArray[Any] | None) -> ctypes.c_void_p | None:
    if array is None:
        return None
    if not array.flags.c_contiguous:
        raise ValueError(f"an array with strides {array.strides} is not contiguous")
    return ctypes.c_void_p(array.ctypes.data)
