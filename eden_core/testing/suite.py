"""What the contract suites share: capabilities, no silent redefinition, example data, comparisons."""

import hashlib
import os
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

import numpy as np
from hypothesis import Phase, settings

from eden_core.batch import Windows
from eden_core.testing.capabilities import Capability
from eden_core.testing.clauses import checks_of
from eden_core.testing.oracle import Request

Record = TypeVar("Record")

_MIDNIGHT = 19_700 * 86_400
"""seconds since 1970 at which a day begins"""


class BrokenInputError(Exception):
    """Raised midway by the data that a suite hands to a writer."""


class ContractSuite:
    """A class of checks to inherit; none may be redefined unless it is marked as expected to fail, with a reason."""

    kind: ClassVar[str] = ""
    """what is tested, and the fixture that gives it"""
    optional: ClassVar[tuple[Capability, ...]] = ()
    """what a plugin of this kind may be able to do and need not"""
    data: ClassVar[tuple[str, ...]] = ()
    """the fixtures that give the data, each of which may be overridden"""
    capabilities: ClassVar[Collection[str] | None] = None
    """what the plugin can do, of `optional`: only this is checked; None: what is assumed of its class"""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = [capability.name for capability in cls.optional]
        unknown = sorted(set(cls.capabilities or ()) - set(known))
        if unknown:
            raise TypeError(f"{cls.__name__}.capabilities has {unknown}; a {cls.kind} may have: {', '.join(known)}")
        for name in sorted({name for owner in cls.__mro__ for name in vars(owner) if name.startswith("test_")}):
            definitions = [vars(owner)[name] for owner in cls.__mro__ if name in vars(owner)]
            if len(definitions) > 1 and not _is_expected_to_fail(definitions[0]):
                clause = checks_of(cls).get(name)
                raise TypeError(
                    f"{cls.__name__} redefines the check {name}{f' of {clause.id_in(cls.kind)}' if clause else ''}: where the "
                    "data do not fit, override a fixture; where the plugin cannot pass, mark the redefinition with "
                    "pytest.mark.xfail(reason='…')"
                )


def quick(examples: int) -> settings:
    """Return settings of hypothesis under which each run tries the same few examples."""
    phases = [Phase.generate, Phase.shrink]
    return settings(
        deadline=None, derandomize=True, database=None, report_multiple_bugs=False, phases=phases, max_examples=examples
    )


def _is_expected_to_fail(check: object) -> bool:
    marks = getattr(check, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)


@cache
def _letters(length: int, seed: int) -> bytes:
    letters = np.frombuffer(b"ACGT" * 12 + b"acgt" * 4 + b"URYSWKMBDHVNuryswkmbdhvn", np.uint8)
    return np.random.default_rng(seed).choice(letters, length).tobytes()


def example_sequences() -> dict[str, bytes]:
    """Return 1 to 300,000 bases a sequence: several samples, both cases, all IUPAC letters, ids in no natural order."""
    lengths = {
        "BCR__ECT-SAMPLE1__CT1-1": 1_000,
        "BCR__ECT-SAMPLE1__CT1-2": 4_097,
        "BCR__ECT-SAMPLE1__CT1-10": 1,
        "BCR__ECT-SAMPLE1__ct1-1": 311,
        "BCR__ECT-SAMPLE2__CT1-1": 300_000,
        "VIR__ECT-A-B.2__CT7-1": 70,
        "VIR__ECT-A-B.2__CT7-3": 2,
        "PLASMID_X__ISO-s_3__NZ_CP0.1": 8_192,
    }
    return {sequence_id: _letters(length, seed) for seed, (sequence_id, length) in enumerate(lengths.items())}


def new_folder(path: Path) -> Path:
    """Return a folder that was just made."""
    path.mkdir()
    return path


def windows_of(requests: Iterable[Request]) -> Windows:
    """Return the windows of (sequence id, start, length) requests."""
    listed = list(requests)
    ids, starts, lengths = zip(*listed, strict=True) if listed else ((), (), ())
    return Windows(np.arange(len(listed)), tuple(ids), np.array(starts, np.int64), np.array(lengths, np.int64))


def read_only(record: Record) -> Record:
    """Return a copy of an array, or of a record of arrays, that cannot be written to."""
    if isinstance(record, np.ndarray):
        copied = record.copy()
        copied.setflags(write=False)
        return copied
    if not is_dataclass(record) or isinstance(record, type):
        return record
    return type(record)(**{field.name: read_only(getattr(record, field.name)) for field in fields(record)})


def facts(value: Any) -> Any:
    """Return an array, or a record or container of arrays, as something that `==` compares: types, shapes and contents.

    Large contents become a digest, since pytest would spend minutes on spelling out how they differ.
    """
    if isinstance(value, np.ndarray):
        content = value.tobytes()
        return value.dtype.str, value.shape, content if len(content) <= 256 else hashlib.blake2b(content).hexdigest()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: facts(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [facts(item) for item in value]
    if isinstance(value, dict):
        return {name: facts(item) for name, item in value.items()}
    return value


def answer_of(call: Callable[[], Any], clause: str) -> Any:
    """Return what a call returns.

    Raises:
        AssertionError: it raises; the message gives the clause that forbids it.
    """
    try:
        return call()
    except Exception as error:
        raise AssertionError(f"{clause}; it raised {type(error).__name__}: {error}") from error


def error_of(call: Callable[[], object], expected: type[Exception] | tuple[type[Exception], ...], clause: str) -> Exception:
    """Return the error that a call raises.

    Raises:
        AssertionError: it raises none, or one of another type; the message gives the clause that demands it.
    """
    try:
        answer = call()
    except expected as error:
        return error
    except Exception as error:
        raise AssertionError(f"{clause}; it raised {type(error).__name__}: {error}") from error
    raise AssertionError(f"{clause}; it raised nothing and gave {answer!r:.200}")


@contextmanager
def circumstances(number: int) -> Iterator[None]:
    """Make what must not matter depend on a number for a while: Python's and numpy's generators, the clock, the process id."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the generator under suspicion
    np.random.seed(number)  # noqa: NPY002
    random.seed(number)
    now, process, made = time.time, os.getpid(), np.random.default_rng
    later = _MIDNIGHT + number * 90_061 - now()  # a day, an hour, a minute and a second, so that each is odd or even in turn

    def begun(seed: Any = None) -> np.random.Generator:
        generator = made(seed)
        generator.random(number)
        return generator

    try:
        with (
            patch.object(np.random, "default_rng", begun),
            patch.object(os, "getpid", lambda: process + number),
            patch.object(time, "time", lambda: now() + later),
            patch.object(time, "time_ns", lambda: int((now() + later) * 10**9)),
        ):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
