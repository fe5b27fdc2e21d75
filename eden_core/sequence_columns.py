"""The parts of many sequence ids at once, as `eden_core.sequence_ids` says them of one."""

import pyarrow as pa
import pyarrow.compute as pc

_MIDDLE = r"^(?s:.*?)__(?P<middle>(?s:.*?))(?:__(?s:.*))?$"
_TAG = r"^(?P<tag>(?s:.*?))__"


def samples_of(sequence_ids: pa.Array) -> pa.Array:
    """Return the sample of each id, "" where it names none.

    >>> samples_of(pa.array(["BCR__ECT-A-B__CT1-1", "chr1"])).to_pylist()
    ['A.B', '']
    """
    middle = _group(sequence_ids, _MIDDLE, "middle")
    return pc.replace_substring(pc.replace_substring_regex(middle, r"^[^-]*-?", ""), "-", ".")


def tags_of(sequence_ids: pa.Array) -> pa.Array:
    """Return the control tag of each id as it stands there, "" where it has none.

    >>> tags_of(pa.array(["BCR__ECT-A-B__CT1-1", "chr1"])).to_pylist()
    ['BCR', '']
    """
    return _group(sequence_ids, _TAG, "tag")


def _group(texts: pa.Array, pattern: str, name: str) -> pa.Array:
    found = pc.extract_regex(texts, pattern)
    return pc.fill_null(pc.struct_field(found, name), "")
