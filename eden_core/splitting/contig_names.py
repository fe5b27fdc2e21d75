"""The names of many contigs at once: sample and tag of their ids, the original ids, and patterns that name contigs."""

import difflib
import re
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core import sequence_columns
from eden_core.errors import InputError

_BEHIND_SECOND = r"(?s)^.*?__.*?__(?P<rest>.+)$"
_BEHIND_LAST = r"(?s)^.*__(?P<rest>.+)$"
_LOOKED_AT = 20_000
"""ids among which names close to a wrong one are looked for"""


def samples_of(contigs: pa.RecordBatch) -> pa.Array:
    """Return the sample of each contig: the column `sample` where there is one, else that of the id; "" where it has none."""
    if "sample" in contigs.schema.names:
        return contigs.column("sample").cast(pa.string()).fill_null("")
    return sequence_columns.samples_of(contigs.column("contig_id"))


def tags_of(contigs: pa.RecordBatch) -> pa.Array:
    """Return the tag of each contig as ids spell it: the column `tag` where there is one, else that of the id; "" for none."""
    if "tag" in contigs.schema.names:
        return contigs.column("tag").cast(pa.string()).fill_null("")
    return sequence_columns.tags_of(contigs.column("contig_id"))


def original_ids(ids: pa.Array) -> Iterator[pa.Array]:
    """Yield the ids as they may have been before tag and sample were put in front; null where an id has no such part.

    First what follows the second `__`, as in `TAG__FASTA-sample__ORIGINAL`; then what follows the last one.
    """
    for pattern in (_BEHIND_SECOND, _BEHIND_LAST):
        yield pc.struct_field(pc.extract_regex(ids, pattern), "rest")


class ContigPatterns:
    """Globs that name contigs, by the whole id or by the original id.

    Args:
        option: what users gave them with, such as `--exclude`.
        texts: patterns such as `chr8` or `chrUn*`, several separated by commas in one text.

    Attributes:
        patterns: one for each glob, without repeats.
    """

    def __init__(self, option: str, texts: Iterable[str]) -> None:
        self.option = option
        self.patterns = list(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))
        self._unmatched = set(self.patterns)

    def matches(self, ids: pa.Array) -> NDArray[np.bool_]:
        """Return which of the ids are named, bool [N], and note which patterns name any."""
        found = np.zeros(len(ids), bool)
        forms = (ids, *original_ids(ids)) if self.patterns else ()
        for pattern in self.patterns:
            matched = np.logical_or.reduce([_matches(form, pattern) for form in forms])
            found |= matched
            if matched.any():
                self._unmatched.discard(pattern)
        return found

    def check(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Raise `InputError` where a pattern has named no contig.

        Args:
            table: what to call the table.
            batches: its contigs, from which close names are taken.
        """
        for pattern in self.patterns:
            if pattern in self._unmatched:
                names = _some_names(batches)
                close = difflib.get_close_matches(pattern, names, n=5, cutoff=0.5)
                hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(names[:5])} …"
                raise InputError(f"{self.option} {pattern!r} names no contig of {table}; {hint}")


def _matches(names: pa.Array, pattern: str) -> NDArray[np.bool_]:
    literal = not re.search(r"[*?[]", pattern)
    matched = pc.equal(names, pattern) if literal else pc.match_substring_regex(names, _expression(pattern))
    return np.asarray(matched.fill_null(False).to_numpy(zero_copy_only=False), bool)


def _expression(glob: str) -> str:
    """Return a glob as a regular expression of RE2, which lacks what `fnmatch.translate` uses."""
    pieces = re.findall(r"\[(?:!.|[^!])[^\]]*\]|.", glob, re.DOTALL)
    return f"(?s)^{''.join(map(_piece, pieces))}$"


def _piece(piece: str) -> str:
    if piece in "*?":
        return {"*": ".*", "?": "."}[piece]
    if len(piece) == 1:
        return re.escape(piece)
    inside = piece[1:-1].replace("\\", r"\\").replace("[", r"\[").replace("]", r"\]")
    return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"


def _some_names(batches: Iterable[pa.RecordBatch]) -> list[str]:
    names: list[str] = []
    for batch in batches:
        ids = batch.column("contig_id")
        original, _ = original_ids(ids)
        names += pc.coalesce(original, ids).to_pylist()
        if len(names) >= _LOOKED_AT:
            break
    return names[:_LOOKED_AT]
