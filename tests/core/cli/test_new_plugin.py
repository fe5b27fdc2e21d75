import subprocess
import sys
from pathlib import Path


def new_plugin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("eden"), "new-plugin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_it_says_what_was_made_and_what_to_do(tmp_path):
    done = new_plugin(tmp_path, "my-own", "--kind", "index", "--out", "some where")
    assert done.stdout.splitlines() == [
        "some where: the index 'my-own'",
        "edit  some where/eden_my_own/__init__.py",
        "next: cd 'some where'",
        "next: pip install -e '.[testing]'",
        "next: pytest",
    ]
    assert (tmp_path / "some where" / "eden_my_own" / "__init__.py").exists()


def test_a_wrong_name_is_an_error(tmp_path):
    done = new_plugin(tmp_path, "My Own", "--kind", "index")
    assert (done.returncode, done.stderr.startswith("error: a plugin cannot be named 'My Own'")) == (2, True)
    assert list(tmp_path.iterdir()) == []
