"""Questions to other processes, and what files a process has open."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import pytest

PATIENCE = 60
"""seconds that a child process is given"""

Questions = Mapping[str, Callable[[], object]]
"""what is asked, in words -> the call that answers"""


def ask_child(start_method: str, questions: Questions) -> dict[str, Any]:
    """Return what calls answer in one new process, which does them in this order.

    A spawned process has another seed of `hash()` than this one.

    Raises:
        AssertionError: the child raised, died or did not answer.
    """
    if start_method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start a process by {start_method}")
    context = multiprocessing.get_context(start_method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(sender, dict(questions)))  # type: ignore[attr-defined]
    with catch_warnings(), _another_hash_seed():
        simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads; workers do it all the same
        child.start()
    sender.close()
    try:
        assert receiver.poll(PATIENCE), f"a process started by {start_method} hangs in {', '.join(questions)}"
        answers, trouble = receiver.recv()
    except EOFError:
        died = f"a process started by {start_method} died before it answered {', '.join(questions)}"
        raise AssertionError(f"{died}: can a fresh process import the plugin's module?") from None
    finally:
        child.join(1)
        child.kill()
        child.join()
        receiver.close()
    assert trouble is None, f"in a process started by {start_method} {trouble}"
    return dict(zip(questions, answers, strict=True))


def _answer(sender: Connection, questions: Questions) -> None:
    answers, asked = [], ""
    try:
        for asked, call in questions.items():  # noqa: B007 - named below
            answers.append(call())
        sender.send((answers, None))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent reports it
        sender.send((None, f"{asked} must work; there it raised {type(error).__name__}: {error}"))


@contextmanager
def _another_hash_seed() -> Iterator[None]:
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "2" if before == "1" else "1"
    try:
        yield
    finally:
        del os.environ["PYTHONHASHSEED"]
        if before is not None:
            os.environ["PYTHONHASHSEED"] = before


def file_positions(folder: Path) -> dict[str, str]:
    """Return where this process's open files under a folder stand: file -> position. Linux only, else nothing."""
    positions = {}
    for descriptor in _open_descriptors():
        target = os.path.realpath(descriptor)
        if target.startswith(f"{folder.resolve()}{os.sep}"):
            facts_of_file = Path(f"/proc/self/fdinfo/{descriptor.name}").read_text(encoding="ascii")
            positions[f"{target} (descriptor {descriptor.name})"] = facts_of_file.split()[1]
    return positions


def count_open_files() -> int:
    """Return how many files this process has open (0 where the system cannot say)."""
    return len(_open_descriptors())


def _open_descriptors() -> list[Path]:
    folder = Path("/proc/self/fd")
    return list(folder.iterdir()) if folder.is_dir() else []
