"""Whether a machine allows what a training job needs: open files, shared memory, processors, file system."""

import multiprocessing
import os
import platform
import resource
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from eden_core.amounts import size_text
from eden_core.doctor.findings import Finding, Job, Level
from eden_core.file_systems import file_system_of
from eden_core.kernels import are_compiled

BYTES_A_TOKEN = 28
"""of a batch: tokens, labels and position ids are int64, the loss mask is float32"""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_MAPS = Path("/proc/sys/vm/max_map_count")
_OWN_FILES = 100
"""files that Python, torch and their libraries open themselves"""
_FILES_A_WORKER = 8
_LITTLE_SPACE = 1 << 30


def machine_findings(folder: Path, job: Job, seq_length: int, store_files: int) -> Iterator[Finding]:
    """Yield what there is to say of a machine.

    Args:
        folder: where the data lie.
        job: what is to run.
        seq_length: tokens a row.
        store_files: files that the store keeps open in each process.
    """
    yield from open_files(job, store_files)
    yield from shared_memory(job, seq_length)
    yield from processors(job)
    yield from disk(folder)
    yield loops()
    yield software()


def open_files(job: Job, store_files: int) -> Iterator[Finding]:
    """Compare the limits of open files with what the trainer (soft limit) and a worker (which goes up to the hard one) open."""
    soft, hard = (_number(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    worker = _OWN_FILES + store_files
    trainer = worker + job.num_workers * (_FILES_A_WORKER + 4 * job.prefetch_factor)
    found = f"limit {_limit_text(soft)} (at most {_limit_text(hard)}); a rank opens up to {trainer}, a worker up to {worker}"
    fewer = f"give the store fewer: EdenDataModule(store_options={{'max_open_files': {max(8, store_files // 4)}}})"
    if hard < (trainer if not job.num_workers else worker):
        yield Finding(Level.ERROR, "open files", found, f"have the hard limit raised (limits.conf, LimitNOFILE=), or {fewer}")
    elif soft < trainer:
        raised = int(min(hard, max(4096, 2 * trainer)))
        yield Finding(Level.WARNING, "open files", found, f"ulimit -n {raised}, in the shell that starts the job; or {fewer}")
    else:
        yield Finding(Level.OK, "open files", found)
    maps = int(_MAPS.read_text()) if _MAPS.is_file() else None
    if maps is not None and maps < 8 * store_files:
        said = f"vm.max_map_count is {maps}, and a process maps up to {store_files} shards into memory"
        yield Finding(Level.WARNING, "memory maps", said, "sysctl -w vm.max_map_count=65530")


def shared_memory(job: Job, seq_length: int) -> Iterator[Finding]:
    """Compare the room in /dev/shm with the batches that worker processes have under way."""
    if not job.num_workers:
        return
    if not os.access(SHARED_MEMORY, os.W_OK):
        found = f"{SHARED_MEMORY} is missing or cannot be written: no worker process can be started"
        yield Finding(Level.ERROR, "shared memory", found, "mount it (docker run --shm-size 1g), or num_workers=0")
        return
    batch = BYTES_A_TOKEN * seq_length * job.micro_batch_size
    needed = job.ranks * job.num_workers * job.prefetch_factor * batch
    room = shutil.disk_usage(SHARED_MEMORY)
    found = (
        f"{size_text(room.free)} free of {size_text(room.total)} in {SHARED_MEMORY}; a torch DataLoader over EdenDataset, as "
        f"of Megatron loops, keeps up to {size_text(needed)} there, EdenLoader nothing: its workers have other memory for it"
    )
    if needed > room.free:
        remedy = "docker run --shm-size …, a smaller num_workers or prefetch_factor, or EdenLoader / EdenDataModule"
        yield Finding(Level.WARNING, "shared memory", found, remedy)
    else:
        yield Finding(Level.OK, "shared memory", found)


def processors(job: Job) -> Iterator[Finding]:
    """Compare processors with processes, and look for the fork server, which starts workers."""
    there = len(os.sched_getaffinity(0))
    wanted = job.ranks * (job.num_workers + 1)
    found = f"{there} for {wanted} processes (ranks {job.ranks}, workers a rank {job.num_workers})"
    if job.ranks * job.num_workers > there:
        fewer = max(0, there // job.ranks - 1)
        remedy = f"num_workers={fewer}, or ask the scheduler for more cores (--cpus-per-task)"
        yield Finding(Level.WARNING, "processors", found, remedy)
    else:
        yield Finding(Level.OK, "processors", found)
    if job.num_workers and "forkserver" not in multiprocessing.get_all_start_methods():
        yield Finding(Level.WARNING, "workers", "there is no fork server on this system", "start_method='spawn'")


def disk(folder: Path) -> Iterator[Finding]:
    """Say what the data lie on, how much room there is, and whether they can be written to."""
    system, room = file_system_of(folder), shutil.disk_usage(folder)
    found = f"{folder} lies on {system.name}, with {size_text(room.free)} free"
    if system.network:
        remedy = "num_workers of 2 or more, so that reads wait in several processes; or the data on a local disk"
        yield Finding(Level.NOTE, "file system", f"{found}; each read of a shard is a round trip", remedy)
    elif system.name in {"tmpfs", "ramfs"}:
        yield Finding(Level.NOTE, "file system", f"{found}: it is memory, and gone when the machine restarts")
    else:
        yield Finding(Level.OK, "file system", found)
    if room.free < _LITTLE_SPACE:
        yield Finding(
            Level.WARNING, "free space", f"{size_text(room.free)} left beside the data", "make room before packing plans"
        )
    if not os.access(folder, os.W_OK):
        said = f"{folder} cannot be written: plans of packed rows go to the user's cache folder"
        yield Finding(Level.NOTE, "permissions", said, "EDEN_CACHE_DIR says where, if that is to be shared by all ranks")


def software() -> Finding:
    """Name the versions of Python and of what trains."""
    found = {name: _version(name) for name in ("torch", "lightning", "megatron-core")}
    named = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    python = f"Python {platform.python_version()}"
    if found["torch"] is None:
        return Finding(Level.NOTE, "software", f"{python}; torch is not installed here", "pip install 'eden-core[train]'")
    return Finding(Level.OK, "software", f"{python}, {named}")


def loops() -> Finding:
    """Say whether the compiled inner loops are in use."""
    if are_compiled():
        return Finding(Level.OK, "inner loops", "compiled")
    remedy = "install again where there is a C compiler (cc, or CC=…), and without EDEN_KERNELS=numpy"
    return Finding(Level.NOTE, "inner loops", "numpy does their work, so that rows cost some twice as much", remedy)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _number(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _limit_text(limit: float) -> str:
    return "unlimited" if limit == float("inf") else f"{limit:.0f}"
