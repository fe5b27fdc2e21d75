"""Files that are complete or absent: written beside the target, synced, renamed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eden_core.errors import InputError, OutputExistsError


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `target` to write to; rename it to `target` when the block ends well, remove it when not.

    The file and its folder are synced, so that after a crash the target is the old file, the whole new one, or absent.

    Raises:
        InputError: the folder of `target` does not exist.
    """
    target = Path(target)
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}; make it first")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield draft
        _sync(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _sync(target.parent)


def refuse_existing(target: str | os.PathLike[str], *, force: bool, remedy: str = "give --force to replace it") -> None:
    """Raise `OutputExistsError` when `target` exists, unless it is a file and `force` is set."""
    if Path(target).is_dir():
        raise OutputExistsError(f"{target} is a folder; choose the name of a file")
    if not force and Path(target).exists():
        raise OutputExistsError(f"{target} exists already; {remedy}, or choose another output")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
