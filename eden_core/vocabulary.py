"""From bases to token ids: any tokenizer, as a 256-entry table where that is exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError
from eden_core.mixing import digest_of, mix

IUPAC = "ACGTURYSWKMBDHVN"
"""the nucleotide letters of the IUPAC code"""

AMBIGUOUS = "RYSWKMBDHVN"
"""the letters that stand for more than one base"""

Encode = Callable[[str], Sequence[int]]

_SPECIAL_NAMES = {
    "bos": (("bos_id", "bos_token_id", "bos"), ("<BOS>", "<bos>", "[BOS]", "<s>", "[CLS]", "<cls>")),
    "eos": (("eos_id", "eod_id", "eod", "eos_token_id", "eos"), ("<EOS>", "<eos>", "[EOS]", "</s>", "<|endoftext|>")),
    "sep": (("sep_id", "_sep_id", "sep_token_id", "sep"), ("<SEP>", "<sep>", "[SEP]")),
    "pad": (("pad_id", "pad_token_id", "pad"), ("<PAD>", "<pad>", "[PAD]")),
    "unk": (("unk_id", "unk_token_id", "unk"), ("<UNK>", "<unk>", "[UNK]")),
    "mask": (("mask_id", "mask_token_id", "mask"), ("<MASK>", "<mask>", "[MASK]")),
}
"""special -> (attributes that hold its id, spellings to look up in a `tokenizers` vocabulary)"""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Token ids of bases and specials.

    Attributes:
        name: what identifies it in fingerprints.
        encode_text: token ids of a text without specials.
        pad: id that fills a row up.
        bos, eos, sep, unk, mask: ids, or None where the tokenizer has none.
        table: int64 [256], the id of each byte, -1 where it has none; None when bases are not one token each, and the
            tokenizer is called on whole rows.
    """

    name: str
    encode_text: Encode
    pad: int
    bos: int | None = None
    eos: int | None = None
    sep: int | None = None
    unk: int | None = None
    mask: int | None = None
    table: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, tokenizer: Any) -> "Vocabulary":
        """Return the vocabulary of a tokenizer.

        Args:
            tokenizer: "nucleotide" (id = ASCII code; EOS 0, PAD 1, BOS 2, SEP 3, UNK 4, MASK 5), "byte" (id = byte; EOS 0, PAD
                1), a path to a `tokenizer.json`, or an object with `text_to_ids`, `encode` or `tokenize`, tried in this order.

        Raises:
            ConfigurationError: it is none of these, or has neither a padding nor an end-of-sequence token.
        """
        if isinstance(tokenizer, Vocabulary):
            return tokenizer
        if isinstance(tokenizer, str) and tokenizer in _BUILT_IN:
            return _BUILT_IN[tokenizer]
        if isinstance(tokenizer, str | Path):
            tokenizer = _from_file(Path(tokenizer))
        encode = _encoder(tokenizer)
        ids = {special: _special(tokenizer, *names) for special, names in _SPECIAL_NAMES.items()}
        pad = ids.pop("pad")
        pad = ids["eos"] if pad is None else pad
        if pad is None:
            raise ConfigurationError(
                f"tokenizer {_describe(tokenizer)} has neither a padding nor an end-of-sequence token, one of which must fill "
                "rows up; expected an attribute pad_id, pad_token_id, eos_id, eod or eos_token_id"
            )
        table = _probe(encode, ids["unk"])
        answers = [_answer(encode, text) for text in ("<ctrl_a>", *(_probe_text(seed, IUPAC) for seed in range(4)))]
        identity = digest_of(ids, pad, answers, None if table is None else table.tolist())
        return cls(f"{_describe(tokenizer)}:{identity}", encode, pad, table=table, **ids)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, such as a control tag, without specials."""
        return [int(token) for token in self.encode_text(text)]

    @cached_property
    def specials(self) -> dict[str, int]:
        """The special tokens that exist, by name."""
        found = {"bos": self.bos, "eos": self.eos, "sep": self.sep, "pad": self.pad, "unk": self.unk, "mask": self.mask}
        return {special: token for special, token in found.items() if token is not None}


def _utf8(text: str) -> list[int]:
    return list(text.encode())


_BUILT_IN = {
    "nucleotide": Vocabulary("nucleotide", _utf8, pad=1, bos=2, eos=0, sep=3, unk=4, mask=5, table=np.arange(256)),
    "byte": Vocabulary("byte", _utf8, pad=1, eos=0, table=np.arange(256)),
}


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise ConfigurationError(
            f"tokenizer {str(path)!r} is neither a built-in vocabulary ({', '.join(_BUILT_IN)}) nor a tokenizer.json file"
        )
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigurationError("reading a tokenizer.json needs the package tokenizers: pip install tokenizers") from error
    return Tokenizer.from_file(str(path))


@dataclass(frozen=True)
class _Method:
    """Calls a method of a tokenizer and gives plain ids; a class, so that it pickles for workers."""

    tokenizer: Any
    method: str
    options: tuple[tuple[str, bool], ...] = ()

    def __call__(self, text: str) -> list[int]:
        answer = getattr(self.tokenizer, self.method)(text, **dict(self.options))
        return [int(token) for token in getattr(answer, "ids", answer)]


def _encoder(tokenizer: Any) -> Encode:
    without_specials = (("add_special_tokens", False),)
    for method, options in (("text_to_ids", ()), ("encode", without_specials), ("encode", ()), ("tokenize", ())):
        if callable(getattr(tokenizer, method, None)):
            candidate = _Method(tokenizer, method, options)
            try:
                candidate("ACGT")
            except (TypeError, ValueError, NotImplementedError):
                continue
            return candidate
    raise ConfigurationError(
        f"{_describe(tokenizer)} is no tokenizer that Eden can call: expected a method text_to_ids, encode or tokenize that "
        "turns a text into integers"
    )


def _special(tokenizer: Any, attributes: tuple[str, ...], spellings: tuple[str, ...]) -> int | None:
    for attribute in attributes:
        try:
            value = getattr(tokenizer, attribute, None)
        except (NotImplementedError, KeyError):
            continue
        if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0:
            return int(value)
    token_to_id = getattr(tokenizer, "token_to_id", None)
    found = (token_to_id(spelling) for spelling in spellings) if callable(token_to_id) else ()
    return next((int(token) for token in found if token is not None), None)


def _probe(encode: Encode, unk: int | None) -> NDArray[np.int64] | None:
    """Return the table of a tokenizer that gives every base one token whatever surrounds it, else None.

    A letter that it reads as unknown, or fails on, has no entry.
    """
    table = np.full(256, -1, np.int64)
    for letter in IUPAC + IUPAC.lower():
        tokens = _answer(encode, letter)
        if tokens is not None and len(tokens) == 1 and tokens[0] != unk:
            table[ord(letter)] = tokens[0]
    if (table[[ord(base) for base in "ACGT"]] < 0).any():
        return None
    known = np.flatnonzero(table >= 0)
    for seed, alphabet in enumerate(("ACGT", "ACGTN", "acgtACGT", "".join(map(chr, known)))):
        text = _probe_text(seed, "".join(letter for letter in alphabet if table[ord(letter)] >= 0))
        if list(encode(text)) != table[np.frombuffer(text.encode(), np.uint8)].tolist():
            return None
    return table


def _answer(encode: Encode, text: str) -> list[int] | None:
    """Return the tokens of a text, or None where the tokenizer does not know a letter of it."""
    try:
        return list(encode(text))
    except (LookupError, ValueError):
        return None


def _probe_text(seed: int, letters: str) -> str:
    draws = mix(np.uint64(seed), np.arange(2048)) % np.uint64(len(letters))
    return "".join(letters[draw] for draw in draws.tolist())


def _describe(tokenizer: Any) -> str:
    return f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
