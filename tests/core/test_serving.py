import subprocess
import sys

from eden_core.errors import ExecutorError, FormatError
from eden_core.serving import Failure


def test_workers_need_no_torch():
    code = "import sys, eden_core.serving; assert not {'torch', 'lightning', 'polars'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_failure_keeps_an_error_that_pickles():
    error = FormatError("damaged")
    assert Failure.of(error, 3).error is error
    assert error.__notes__[0].startswith("in worker 3:")


def test_a_failure_tells_of_an_error_that_does_not():
    class LocalError(Exception):
        pass

    found = Failure.of(LocalError("odd"), 0).error
    assert type(found) is ExecutorError
    assert str(found) == "LocalError: odd"
