"""Transform "control-tags": puts the tag of a sequence, such as `<ctrl_bcr>`, before its bases."""

from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from eden_core import Draws, Ragged, SequenceBatch, Transform, Vocabulary, Windows, hookimpl
from eden_core.errors import ConfigurationError
from eden_core.sequence_ids import control_tag

EDEN_INTERFACE = 1


class ControlTags(Transform):
    """Adds the token ids of `<ctrl_…>`, the lower-cased part of the sequence id before the first `__`, to the prefix.

    Raises:
        InvalidSequenceIdError: an id without such a part is read.
        ConfigurationError: the tokenizer does not know the characters of a tag.
    """

    name: ClassVar[str] = "control-tags"

    def __init__(self) -> None:
        self._vocabulary: Vocabulary | None = None

    def bind(self, vocabulary: Vocabulary) -> Self:
        """Return a transform that writes tags in this vocabulary."""
        _tag_tokens(vocabulary, control_tag("bact__"))
        bound = copy(self)
        bound._vocabulary = vocabulary  # noqa: SLF001 - of the same class
        return bound

    def prefix_lengths(self, windows: Windows) -> NDArray[np.int64]:
        """Return the number of tokens of each window's tag."""
        return np.array([tokens.size for tokens in self._tokens(windows)], np.int64)

    def apply(self, batch: SequenceBatch, draws: Draws) -> SequenceBatch:
        """Append the tags to the prefixes."""
        tags = self._tokens(batch.windows)
        if batch.prefix.values.size:
            tags = [np.concatenate(both) for both in zip(batch.prefix, tags, strict=True)]
        return replace(batch, prefix=Ragged.from_rows(tags, np.int64))

    def _tokens(self, windows: Windows) -> list[NDArray[np.int64]]:
        if self._vocabulary is None:
            raise ConfigurationError("control tags need a vocabulary: call bind(vocabulary) before the transform is used")
        known: dict[tuple[str, str], NDArray[np.int64]] = {}
        tokens = []
        for sequence_id in windows.sequence_ids:
            key = sequence_id.partition("__")[:2]
            if key not in known:
                known[key] = _tag_tokens(self._vocabulary, control_tag(sequence_id))
            tokens.append(known[key])
        return tokens


@lru_cache(maxsize=4096)
def _tag_tokens(vocabulary: Vocabulary, tag: str) -> NDArray[np.int64]:
    try:
        tokens = np.array(vocabulary.encode(tag), np.int64)
    except (KeyError, ValueError) as error:
        raise _unknown(vocabulary, tag, f"fails on it ({error})") from error
    if not tokens.size or vocabulary.unk in tokens.tolist():
        raise _unknown(
            vocabulary, tag, f"makes {tokens.tolist()} of it" + (", unknown tokens among them" if tokens.size else "")
        )
    tokens.flags.writeable = False
    return tokens


def _unknown(vocabulary: Vocabulary, tag: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"control tags such as {tag!r} need a tokenizer that knows their characters, and {vocabulary.name} {what}: use another "
        "tokenizer, such as 'nucleotide', or leave use_control_tags out"
    )


@hookimpl
def eden_transforms() -> list[type[Transform]]:
    """Offer the transform."""
    return [ControlTags]
