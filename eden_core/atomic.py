"""Files that are complete or absent: written beside the target, synced, renamed."""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from eden_core.errors import ConfigurationError, EdenError, InputError, OutputExistsError

__all__ = ["atomic_path", "clear_drafts", "made_folder", "named_when_full", "refuse_existing"]


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `target` to write to; rename it to `target` when the block ends well, remove it when not.

    The file and its folder are synced, so that after a crash the target is the old file, the whole new one, or absent. What
    processes of this machine left of the same target when they were killed is removed.

    Raises:
        InputError: the folder of `target` does not exist.
        OSError: the disk is full, or fails.
    """
    target = Path(target)
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}; make it first")
    with named_when_full(target), _own_draft(target) as draft:
        yield draft
        _sync(draft)
        draft.replace(target)
    _sync(target.parent)


def clear_drafts(target: str | os.PathLike[str]) -> None:
    """Remove what killed processes of this machine left of a target that stays as it is, where its folder can be written."""
    with suppress(OSError), _own_draft(Path(target)):
        pass


@contextmanager
def named_when_full(target: str | os.PathLike[str]) -> Iterator[None]:
    """Let the error of a full disk, which the system gives without the name of a file, name `target`."""
    try:
        yield
    except OSError as error:
        short = "requested and" in str(error)  # what numpy says, without the number of the system's error
        if isinstance(error, EdenError) or error.filename is not None or not (short or error.errno in _FULL):
            raise
        cause = os.strerror(error.errno) if error.errno else "the disk is full, or fails"
        raise OSError(f"{target} could not be written: {cause}") from error


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def _own_draft(target: Path) -> Iterator[Path]:
    """Yield a path that nobody else writes to; what is left there is removed.

    Writers of one machine tell each other apart by locks, which only such a machine is sure to see; those of different
    machines, on a network file system, by names. A lock that is free belongs to a writer that has ended, and so does its draft.
    """
    with ExitStack() as held:
        try:
            draft = _locked_draft(target, held)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""what a file system answers that has no locks"""


def _locked_draft(target: Path, held: ExitStack) -> Path:
    """Return the first draft whose lock is free, and remove it and all further ones that are left over."""
    draft = None
    for number in count():
        lock = target.with_name(f".{target.name}.{_machine()}.{number}.lock")
        if draft is not None and not lock.exists():
            return draft
        if held.enter_context(_lock(lock)):
            lock.with_suffix(".tmp").unlink(missing_ok=True)
            draft = draft or lock.with_suffix(".tmp")
    raise AssertionError  # count() does not end


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Hold a lock file, which is removed in the end; False: another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _is_at(descriptor, path):  # its holder removed it in between
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


@cache
def _machine() -> str:
    """What tells this running machine from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return secrets.token_hex(4)  # then every process is a machine of its own


@contextmanager
def made_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Make a folder, and those above it, where they are missing; when the block fails, those that are new and empty go.

    Raises:
        ConfigurationError: it cannot be made.
    """
    new = [each for each in (Path(folder), *Path(folder).parents) if not each.exists()]
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the directory {folder} cannot be made: {error.strerror}") from error
    try:
        yield
    except BaseException:
        for each in new:
            with suppress(OSError):
                each.rmdir()
        raise


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
