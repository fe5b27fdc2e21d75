"""What the system says of processes: memory, open files, bytes read, processor time."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reading:
    """What a process has done so far.

    Attributes:
        cpu: seconds of processor time.
        delay: seconds for which its main thread could have run, and no processor was free.
        read: bytes that read calls gave, of files and pipes; None: the system does not say.
        disk: bytes that came from a disk for it, also through memory maps; None: the system does not say.
    """

    cpu: float
    delay: float
    read: int | None
    disk: int | None

    @classmethod
    def of(cls, pid: int) -> "Reading":
        """Return what a process has done."""
        io = _numbers(pid, "io", ":")
        return cls(_cpu_seconds(pid), _delay_seconds(pid), io.get("rchar"), io.get("read_bytes"))

    def since(self, before: "Reading") -> "Reading":
        """Return what was done after an earlier reading."""
        disk = _less(self.disk, before.disk)
        return Reading(self.cpu - before.cpu, self.delay - before.delay, _less(self.read, before.read), disk)


@dataclass(frozen=True)
class Footprint:
    """What a process takes up.

    Attributes:
        open_files: descriptors.
        peak_rss: bytes, the most that it ever had resident (VmHWM), what it shares with others included.
        pss: bytes, those that it shares divided by the number of processes; None: the system does not say.
        private: bytes that no other process has; None: the system does not say.
    """

    open_files: int
    peak_rss: int
    pss: int | None
    private: int | None

    @classmethod
    def of(cls, pid: int) -> "Footprint":
        """Return what a process takes up now."""
        rollup = _numbers(pid, "smaps_rollup", ":")
        private = sum(value for name, value in rollup.items() if name.startswith("Private_")) * 1024 if rollup else None
        pss = rollup["Pss"] * 1024 if rollup else None
        peak = _numbers(pid, "status", ":").get("VmHWM", 0) * 1024
        return cls(len(os.listdir(f"/proc/{pid}/fd")), peak, pss, private)  # noqa: PTH208 - a path is not needed


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    parents = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are needed
        if entry.isdigit():
            try:
                parents[int(entry)] = int(_stat(int(entry))[1])
            except (OSError, IndexError):  # it has ended meanwhile
                continue
    found = {pid}
    while new := {one for one, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {pid})


def threads(pid: int) -> list[int]:
    """Return the numbers of a process's threads."""
    return [int(entry) for entry in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - names are needed


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, a name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _delay_seconds(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (FileNotFoundError, PermissionError, IndexError):  # a kernel without such statistics
        return 0.0


def _numbers(pid: int, name: str, separator: str) -> dict[str, int]:
    """The numbers of a file of a process, by name; none where the system has no such file or does not show it."""
    try:
        lines = Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    found = {}
    for line in lines:
        key, _, value = line.partition(separator)
        number = value.split()[:1]
        if number and number[0].isdigit():
            found[key] = int(number[0])
    return found


def _less(number: int | None, before: int | None) -> int | None:
    return None if number is None or before is None else number - before
