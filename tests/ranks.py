"""Runs a job of `jobs.py` on several ranks: real processes with torch.distributed over gloo, in the environment of torchrun.

The libraries are imported once, by the process that forks the ranks.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_stores: list[Any] = []


def run(job: str, size: int, timeout: float = 120, **options: Any) -> list[Any]:
    """Return what each rank's `job(**options)` returned; options and results are JSON."""
    command = [sys.executable, str(HERE / "ranks.py"), job, str(size), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{job} on {size} ranks: exit code {done.returncode}\n{done.stderr[-6000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def start(job: Any, rank: int, size: int, port: int, **options: Any) -> tuple[int, int]:
    """Fork one rank; return its process id and the pipe on which its result comes."""
    result, out = os.pipe()
    pid = os.fork()
    if pid:
        os.close(out)
        return pid, result
    os.close(result)
    code = 1
    try:
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        os.environ |= {name: str(value) for name, value in ranks.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "tests"}
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
        answer = json.dumps(job(**options)).encode()
        with os.fdopen(out, "wb") as pipe:
            pipe.write(answer)
        code = 0
    except BaseException:  # noqa: BLE001 - a forked process must not return into its parent's code
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def start_all(job: Any, size: int, **options: Any) -> dict[int, int]:
    """Fork all ranks; process id -> pipe, in the order of the ranks. This process serves their store, as torchrun does."""
    from torch.distributed import TCPStore

    port = free_port()
    started = dict(start(job, rank, size, port, **options) for rank in range(size))
    _stores.append(TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False))
    return started


def wait_all(ranks: dict[int, int]) -> int:
    """Return the first exit code that is not 0, having killed the other ranks then, as torchrun does; else 0."""
    left = set(ranks)
    while left:
        pid, status = os.wait()
        left.discard(pid)
        if code := os.waitstatus_to_exitcode(status):
            kill(left)
            return code
    return 0


def kill(pids: Any) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def job_named(name: str) -> Any:
    sys.path.insert(0, str(HERE))
    import torch

    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def main(name: str, size: str, options: str) -> int:
    ranks = start_all(job_named(name), int(size), **json.loads(options))
    code = wait_all(ranks)
    if not code:
        print(json.dumps([json.loads(Path(f"/proc/self/fd/{pipe}").read_bytes()) for pipe in ranks.values()]))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
