"""Compiles the inner loops (`eden_core/kernels.c`) when the package is built; without a compiler numpy does their work."""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "eden_core/kernels.c"
LIBRARY = "eden_core/_kernels.so"


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the library to the wheel. It is plain C called through ctypes, so one wheel serves every Python of a platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one of this platform where that worked."""
        if self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="eden-kernels-")
        made = Path(self._folder.name, Path(LIBRARY).name)
        problem = _compile(Path(self.root, SOURCE), made)
        if problem is None and version == "editable":
            problem = _put(made, Path(self.root, LIBRARY))
        elif problem is None:
            build_data["force_include"][str(made)] = LIBRARY
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        if problem is not None:
            print(f"eden-core is built without compiled loops on {platform.machine()}: {problem}", file=sys.stderr)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled, once the wheel holds it."""
        if self.target_name == "wheel":
            self._folder.cleanup()


def _compile(source: Path, made: Path) -> str | None:
    """Compile, and say what is wrong if it is: also a library that this process cannot load, as of another platform."""
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or "cc"]
    command = [*compiler, "-O3", "-shared", "-fPIC", "-o", str(made), str(source), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip() or f"the compiler gave {done.returncode}"
        if "_PYTHON_HOST_PLATFORM" not in os.environ:
            ctypes.CDLL(str(made))
    except OSError as error:
        return str(error)
    return None


def _put(made: Path, target: Path) -> str | None:
    """Put the library into the source tree in one piece: a process that has the old one loaded keeps it."""
    try:
        with tempfile.TemporaryDirectory(prefix=".kernels-", dir=target.parent) as folder:
            draft = Path(shutil.copy(made, folder))
            draft.replace(target)
    except OSError as error:
        return str(error)
    return None
