"""Tables of 256 entries: what each byte of a sequence becomes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.kernels import INVALID
from eden_core.vocabulary import AMBIGUOUS, IUPAC, Vocabulary

CASES = ("upper", "keep", "keep-in-labels")
INVALID_BASES = ("error", "unk")
LETTERS = (IUPAC + IUPAC.lower()).encode()


class ByteTable:
    """Looks many bytes up at once, and finds those that have no entry.

    Args:
        ids: int64 [256], -1 where a byte is invalid.
    """

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._ids = ids
        self.bytes = np.where(ids < 0, INVALID, ids).astype(np.uint8) if int(ids.max()) < INVALID else None
        """the same as uint8 [256], `INVALID` where a byte is; None where ids are too large"""
        self._translation = None if self.bytes is None else self.bytes.tobytes()

    def __call__(self, values: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the entries of bytes, uint8 or int64, the shape of `values`."""
        if self._translation is None:
            return self._ids[values]
        return np.frombuffer(bytearray(values).translate(self._translation), np.uint8)

    def first_invalid(self, entries: NDArray[Any]) -> int | None:
        """Return the place of the first entry that marks an invalid byte, if there is one."""
        if not entries.size:
            return None
        invalid = INVALID if self._translation is not None else -1
        extreme = entries.max() if self._translation is not None else entries.min()
        return int(np.argmax(entries == invalid)) if int(extreme) == invalid else None


def token_table(vocabulary: Vocabulary, case: str, invalid_bases: str) -> NDArray[np.int64]:
    """Return the token id of each byte, int64 [256], -1 where it is invalid.

    For a vocabulary without a table the entries only tell valid from invalid.

    Raises:
        ConfigurationError: `case` or `invalid_bases` is unknown, or UNK is wanted and missing.
    """
    _check_choice("case", case, CASES)
    _check_choice("invalid_bases", invalid_bases, INVALID_BASES)
    return _table(vocabulary, invalid_bases, fold=case != "keep")


def label_table(vocabulary: Vocabulary, case: str, invalid_bases: str) -> NDArray[np.int64]:
    """Return the label of each byte, as `token_table`."""
    return _table(vocabulary, invalid_bases, fold=case == "upper")


def weight_table(loss_weights: Mapping[str, float] | None, invalid_bases: str) -> NDArray[np.float32] | None:
    """Return the loss weight of each byte, float32 [256]; None when every letter weighs 1.

    Classes multiply ("n" is both "ambiguous" and "lower"). A letter of its own stands in place of "ambiguous", in both
    cases; a lower-case letter stands in place of everything.

    Raises:
        ConfigurationError: a key is neither a class nor an IUPAC letter, or a weight is negative or not finite.
    """
    if loss_weights is not None and not isinstance(loss_weights, Mapping):
        raise ConfigurationError(
            f"loss_weights is {loss_weights!r}; expected weights by letter or class, such as {{'ambiguous': 0}}"
        )
    given = dict(loss_weights or {})
    for key, weight in given.items():
        if key not in {"ambiguous", "lower"} and (len(key) != 1 or key.upper() not in IUPAC):
            raise ConfigurationError(
                f"loss_weights has the key {key!r}; expected 'ambiguous', 'lower' or one of the letters {IUPAC}"
            )
        if not np.isfinite(weight) or weight < 0:
            raise ConfigurationError(f"the loss weight of {key!r} must be a number >= 0, not {weight}")
    if not given and invalid_bases == "error":
        return None
    table = np.zeros(256, np.float32) if invalid_bases == "unk" else np.ones(256, np.float32)
    for letter in IUPAC:
        upper = given.get(letter, given.get("ambiguous", 1.0) if letter in AMBIGUOUS else 1.0)
        table[ord(letter)] = upper
        table[ord(letter.lower())] = given.get(letter.lower(), upper * given.get("lower", 1.0))
    return table


def _table(vocabulary: Vocabulary, invalid_bases: str, *, fold: bool) -> NDArray[np.int64]:
    entries = np.full(256, -1, np.int64)
    if invalid_bases == "unk":
        if vocabulary.unk is None:
            raise ConfigurationError(
                f"invalid_bases='unk' needs an unknown token, which vocabulary {vocabulary.name} lacks; use 'error'"
            )
        entries[1:] = vocabulary.unk  # never NUL: a zeroed hole in a file must not train a model
    for letter in LETTERS:
        read_as = ord(chr(letter).upper()) if fold else letter
        token = 0 if vocabulary.table is None else int(vocabulary.table[read_as])
        if token >= 0:
            entries[letter] = token
    return entries


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")
