"""The parts of a sequence id such as `BCR__ECT-SAMPLE1__CT1-1`, and ids made for sequences that have none."""

from eden_core.errors import InvalidSequenceIdError

__all__ = [
    "check_sample",
    "clean_name",
    "compose_sequence_id",
    "control_tag",
    "extract_sample_id",
    "is_sequence_id_of",
    "sample_or_empty",
]


def extract_sample_id(sequence_id: str) -> str:
    """Return the sample that a sequence belongs to.

    Args:
        sequence_id: an id such as `BCR__ECT-SAMPLE1__CT1-1`.

    Raises:
        InvalidSequenceIdError: the id has no sample part.

    Examples:
        >>> extract_sample_id("BCR__ECT-SAMPLE1__CT1-1")
        'SAMPLE1'
        >>> extract_sample_id("BCR__ECT-A-B__CT1-1")
        'A.B'
    """
    parts = sequence_id.split("__")
    sample = ".".join(parts[1].split("-")[1:]) if len(parts) > 1 else ""
    if not sample:
        raise InvalidSequenceIdError(
            f"sequence id {sequence_id!r} names no sample: ids look like 'BCR__ECT-SAMPLE1__CT1-1', where the sample is "
            "what follows the first '-' between the first and the second '__'"
        )
    return sample


def sample_or_empty(sequence_id: str) -> str:
    """Return the sample id, or "" where the sequence id has none: then one shard serves every id."""
    try:
        return extract_sample_id(sequence_id)
    except InvalidSequenceIdError:
        return ""


def control_tag(sequence_id: str) -> str:
    """Return the control tag of a sequence.

    Raises:
        InvalidSequenceIdError: the id has nothing before a `__`.

    Examples:
        >>> control_tag("BCR__ECT-SAMPLE1__CT1-1")
        '<ctrl_bcr>'
    """
    tag, separator, _ = sequence_id.partition("__")
    if not tag or not separator:
        raise InvalidSequenceIdError(
            f"sequence id {sequence_id!r} has no control tag: ids look like 'BCR__ECT-SAMPLE1__CT1-1', where the tag is "
            "what comes before the first '__'"
        )
    return f"<ctrl_{tag.lower()}>"


def check_sample(sample: str) -> str:
    """Return a sample that is safe as a folder name.

    Raises:
        InvalidSequenceIdError: the sample is empty, holds `/` or NUL, or is `.` or `..`.
    """
    if sample in {"", ".", ".."} or "/" in sample or "\0" in sample:
        raise InvalidSequenceIdError(f"sample {sample!r} cannot be a folder name: it would leave the store's directory")
    return sample


def compose_sequence_id(tag: str, sample: str, original_id: str) -> str:
    """Return `<tag>__FASTA-<sample>__<original_id>`.

    Raises:
        InvalidSequenceIdError: tag or sample would not read back from the id; the message suggests ones that would.

    Examples:
        >>> compose_sequence_id("PHAGE", "lambda", "NC_001416.1")
        'PHAGE__FASTA-lambda__NC_001416.1'
    """
    sequence_id = f"{tag}__FASTA-{sample}__{original_id}"
    if not tag or "/" in tag or any(c.isspace() for c in tag) or sequence_id.partition("__")[0] != tag or tag[-1] == "_":
        raise InvalidSequenceIdError(
            f"tag {tag!r} would not survive in a sequence id: it must not be empty, hold '__', '/' or spaces, or end in '_'; "
            f"try {clean_name(tag) or 'TAG'!r}"
        )
    if not sample or any(c.isspace() for c in sample) or _read_back(sequence_id) != sample:
        raise InvalidSequenceIdError(
            f"sample {sample!r} would not survive in a sequence id: it must not be empty, hold '-', '__', '/' or spaces, or "
            f"end in '_'; try {clean_name(sample) or 'sample1'!r}"
        )
    return sequence_id


def is_sequence_id_of(sequence_id: str, sample: str) -> bool:
    """Return whether an id already has the seed's form and names this sample."""
    parts = sequence_id.split("__")
    return len(parts) > 2 and all(parts) and _read_back(sequence_id) == sample


def _read_back(sequence_id: str) -> str | None:
    try:
        return check_sample(extract_sample_id(sequence_id))
    except InvalidSequenceIdError:
        return None


def clean_name(name: str) -> str:
    """Return a name as a sample or tag that reads back from a sequence id; "" where nothing of it does.

    Examples:
        >>> clean_name("mg 001-a__b")
        'mg.001.a_b'
    """
    cleaned = "".join("." if c in "-/" or c.isspace() or c == "\0" else c for c in name)
    while "__" in cleaned:
        cleaned = cleaned.replace("__", "_")
    return cleaned.strip("._")
