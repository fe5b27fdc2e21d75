"""The oracles: what must come, written plainly, by the words of the contracts alone; a dict of sequences, a list of windows."""

from collections.abc import Mapping, Sequence

from eden_core.sequence_ids import extract_sample_id
from eden_core.tiling import Tiling

Request = tuple[str, int, int]
"""sequence id, start, length"""

Sequences = Mapping[str, bytes]
"""id -> bases"""

Contigs = Sequence[tuple[str, int]]
"""(id, length in bases), in byte order of the ids"""


def rows_of(sequences: Sequences, requests: Sequence[Request]) -> list[bytes]:
    """Return the bases of windows."""
    return [sequences[sequence_id][start : start + length] for sequence_id, start, length in requests]


def by_sample(sequences: Sequences) -> dict[str, dict[str, bytes]]:
    """Return the sequences of each sample, samples in byte order."""
    found: dict[str, dict[str, bytes]] = {}
    for sequence_id in sorted(sequences, key=lambda i: extract_sample_id(i).encode()):
        found.setdefault(extract_sample_id(sequence_id), {})[sequence_id] = sequences[sequence_id]
    return found


def windows_in(contigs: Contigs, tiling: Tiling) -> list[Request]:
    """Return (id, start, bases to the end of the window or the sequence) of every window of sequences."""
    return [(sequence_id, *window) for sequence_id, length in contigs for window in _windows_of_one(length, tiling)]


def intervals_in(contigs: Contigs) -> list[tuple[str, int, int, int]]:
    """Return (id, start, length, length of the contig) of a few stretches of each contig, between which bases are left out."""
    cuts = (0.0, 0.13, 0.31, 0.5, 0.52, 1.0)
    rows = []
    for sequence_id, length in contigs:
        edges = [round(cut * length) for cut in cuts]
        stretches = [(edges[i], edges[i + 1]) for i in (0, 2, 4)]
        rows += [(sequence_id, start, stop - start, length) for start, stop in stretches]
    return rows


def windows_in_intervals(contigs: Contigs, tiling: Tiling, *, ends_known: bool) -> list[Request]:
    """Return the windows of `intervals_in(contigs)`; where contigs end is known or not."""
    found = []
    for sequence_id, start, length, whole in intervals_in(contigs):
        first = -(-start // tiling.stride) * tiling.stride
        rest = start + length - first
        if ends_known and start + length == whole:
            some = _windows_of_one(max(0, rest), tiling)
        else:
            shifts = [] if tiling.window_size < tiling.min_length else range(0, rest - tiling.window_size + 1, tiling.stride)
            some = [(shift, tiling.window_size) for shift in shifts]
        found += [(sequence_id, first + shift, bases) for shift, bases in some]
    return found


def _windows_of_one(length: int, tiling: Tiling) -> list[tuple[int, int]]:
    if tiling.keep_tail:
        starts = [0]
        while starts[-1] + tiling.window_size - tiling.reserve < length:
            starts.append(starts[-1] + tiling.stride)
    elif length < tiling.window_size:
        starts = [0]
    else:
        starts = [i * tiling.stride for i in range(1 + (length - tiling.window_size) // tiling.stride)]
    windows = [(start, min(tiling.window_size, length - start)) for start in starts]
    return [(start, bases) for start, bases in windows if bases >= max(1, tiling.min_length)]
