"""Compiles the inner loops (`eden_core/kernels.c`) when the package is built; without a compiler numpy does their work."""

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
        if self.target_name != "wheel" or not self._compiled():
            return
        build_data["artifacts"].append(LIBRARY)
        if version != "editable":
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def _compiled(self) -> bool:
        target = Path(self.root, LIBRARY)
        compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("cc") or shutil.which("gcc") or "cc"]
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, target.name)
            command = [*compiler, "-O3", "-shared", "-fPIC", "-o", str(made), str(Path(self.root, SOURCE)), "-lm"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                reason = str(error)
            else:
                reason = done.stderr.strip()
                if done.returncode == 0:
                    draft = target.with_suffix(".draft")
                    shutil.copy(made, draft)
                    draft.replace(target)  # a process that has the old one loaded keeps it
                    return True
        target.unlink(missing_ok=True)
        print(f"eden-core is built without compiled loops on {platform.machine()}: {reason}", file=sys.stderr)
        return False
