"""The environment of each loader: a virtual environment in the scratch folder, made once, with pinned versions."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = {"streaming": ["mosaicml-streaming==0.13.0"], "litdata": ["litdata==0.2.76"]}
"""What is installed beside torch, at the version of constraints.txt: pip finds a build for CPUs of that alone."""


@dataclass(frozen=True)
class Environment:
    """An interpreter that has what a loader needs, or why there is none."""

    python: Path | None
    problem: str | None = None

    def variables(self) -> dict[str, str]:
        """Environment variables of a process: one thread, and the scripts of this folder at hand."""
        path = [str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH") if self.is_ours else None])]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        return os.environ | threads | {"PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "ignore"}

    @property
    def is_ours(self) -> bool:
        """Whether it is that of Eden, which also has megatron-core."""
        return self.python == Path(sys.executable)


def environment(folder: Path, name: str) -> Environment:
    """Return the environment of this name in a folder, made where it is missing; "eden" is the one that this runs in."""
    if name == "eden":
        return Environment(Path(sys.executable))
    folder = folder / name
    wanted = [*PINNED[name], _torch()]
    done = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not done.exists() or done.read_text().split() != wanted:
        done.unlink(missing_ok=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], capture_output=True, text=True, check=False)
        (folder / "pip.log").write_text(pip.stdout + pip.stderr)
        if pip.returncode:
            last = (pip.stderr.strip().splitlines() or ["pip failed"])[-1]
            return Environment(None, f"pip could not install {' '.join(wanted)}: {last}")
        done.write_text("\n".join(wanted))
    return Environment(python)


def _torch() -> str:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))
