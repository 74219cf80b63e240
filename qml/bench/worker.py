"""A process of its own for each library, so that thread pools and memory of one never disturb another.

The parent drives a worker step by step; while one works, the others wait for a message.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

OURS = "ours"
PROGRAM = "from qml.bench.servant import serve; serve()"
MAX_WORDS = 200  # characters of the last line of an error
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class WorkerError(RuntimeError):
    """An error that a worker failed, ended or took too long.

    Attributes:
        side: `"ours"` or the name of the peer.
    """

    def __init__(self, side: str, message: str) -> None:
        super().__init__(message)
        self.side = side


class Worker:
    """The parent's handle of a worker process, to be used in a `with` statement.

    Args:
        module: The module that holds the bench.
        side: `"ours"` or the name of a peer.
        case: The case to work on.
        threads: Number of threads that the library may use.
        memory: Bytes that it may ask the system for (Linux); None for no limit.
    """

    def __init__(self, module: str, side: str, case: str, *, threads: int, memory: int | None = None) -> None:
        self._side = side
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)  # the worker can import whatever this process can
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, module, side, case, str(threads), str(memory or 0)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # so that it ends with the processes that a library starts
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, request: str, *arguments: object, limit: float | int) -> Any:
        """Ask the worker for its answer to a request (a method of `Servant`), within `limit` seconds."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        watchdog = threading.Timer(limit, stop)
        watchdog.start()
        try:
            answer, error = self._exchange((request, arguments))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as failure:
            code = self._process.wait()
            message = (
                f"it takes longer than {limit:.0f} s"
                if late.is_set()
                else f"its process ended with code {code}{self._last_words()}"
            )
            raise WorkerError(self._side, message) from failure
        finally:
            watchdog.cancel()
        if error is not None:
            raise WorkerError(self._side, error)
        return answer

    def _kill(self) -> None:
        """End the process and those that it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):  # all have ended
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def _last_words(self) -> str:
        """Return the last line that the process wrote to its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f" ({lines[-1].strip()[:MAX_WORDS]})" if lines else ""

    def _exchange(self, message: object) -> tuple[Any, str | None]:
        if self._process.stdin is None or self._process.stdout is None:
            raise EOFError
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)
