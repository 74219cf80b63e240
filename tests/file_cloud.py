"""A cloud in a folder, for processes that are really killed. Run as a program it makes one whole run.

Only `qml.jobs` is loaded, not `qml` with torch: a process starts in a fraction of a second.
"""

import contextlib
import json
import random
import sys
import time
import types
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qml.jobs import CircuitCost, JobStatus, PubResult, Submission

ROOT = Path(__file__).parent.parent


class FileCloud:
    """Every job is a file; calls take a few milliseconds, so that a kill falls into any of them."""

    name = "file cloud"
    keeps_jobs = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submit(self, submission: "Submission", tags: Sequence[str]) -> str:
        """See `Service.submit`."""
        from qml.jobs import codec

        _pause()
        job_id = uuid.uuid4().hex
        (self.folder / f"{job_id}.payload").write_bytes(codec.pack_submission(submission))
        hidden = self.folder / f"{job_id}.hidden"
        hidden.write_text(json.dumps(list(tags)))
        hidden.rename(self.folder / f"{job_id}.job")
        _pause()
        return job_id

    def find(self, tag: str) -> list[str]:
        """See `Service.find`."""
        _pause()
        return [path.stem for path in self.folder.glob("*.job") if tag in json.loads(path.read_text())]

    def status(self, job_id: str) -> "JobStatus":
        """See `Service.status`."""
        _pause()
        return "done" if time.time() - (self.folder / f"{job_id}.job").stat().st_mtime > 0.02 else "running"

    def result(self, job_id: str) -> "list[PubResult]":
        """See `Service.result`."""
        from qml.jobs import codec
        from tests.stand_in import answers

        _pause()
        return answers(codec.unpack_submission((self.folder / f"{job_id}.payload").read_bytes()))

    def cancel(self, job_id: str) -> None:
        """See `Service.cancel`."""
        raise AssertionError("no job is to be cancelled")

    def circuit_cost(self, circuit: bytes) -> "CircuitCost":
        """See `Service.circuit_cost`."""
        raise NotImplementedError


def _pause() -> None:
    time.sleep(random.random() * 0.01)


def main(folder: Path) -> None:
    """The run of `tests.test_jobs_faults`, as often as it takes."""
    light = types.ModuleType("qml")
    light.__path__ = [str(ROOT / "qml")]
    sys.modules["qml"] = light
    from qml.jobs import DurableRunner, Retry, Store, SubmissionLimits
    from tests.stand_in import whole_run

    retry = Retry(first=0.01, longest=0.02, poll=0.01, settle=0.05)
    with Store(folder / "jobs.sqlite") as store:
        if not store.runs():
            with contextlib.suppress(ValueError):  # another process was faster
                store.add_run("run", now=time.time(), backend="file cloud")
        (folder / "started").touch()
        whole_run(
            DurableRunner(FileCloud(folder), store, "run", limits=SubmissionLimits(executions=250), retry=retry).run
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
