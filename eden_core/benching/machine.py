"""The machine that something is measured on."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from eden_core.file_systems import file_system_of

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_PACKAGES = ("eden-core", "numpy", "pyarrow", "apsw", "torch")


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        cpu: what its processors call themselves.
        cores: how many of them this process may use; a fraction where a container has a quota.
        memory: bytes.
        kernel: of the system.
        file_system: what the data lie on.
        versions: of Python and of the packages that read, by name.
        date: local time, to the minute, ISO 8601.
    """

    cpu: str
    cores: float
    memory: int
    kernel: str
    file_system: str
    versions: dict[str, str]
    date: str

    @classmethod
    def here(cls, data: str) -> "Machine":
        """Return this machine, and what a place of data lies on."""
        versions = {"python": platform.python_version()}
        for name in _PACKAGES:
            with suppress(PackageNotFoundError):
                versions[name] = version(name)
        return cls(
            cpu=_cpu(),
            cores=processors(),
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            kernel=platform.release(),
            file_system=_file_system(data),
            versions=versions,
            date=datetime.now().astimezone().isoformat(timespec="minutes"),
        )


def processors(quota: Path = _QUOTA) -> float:
    """Return how many processors this process may use, at least one: those it may run on, or a container's share of them."""
    found = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):  # "max 100000", or no such file
        allowed, period = quota.read_text(encoding="ascii").split()
        found = min(found, int(allowed) / int(period))
    return max(1.0, found)


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _file_system(place: str) -> str:
    try:
        return file_system_of(place).name
    except OSError:
        return "unknown"
