"""PennyLane's own tests of devices, run on ours in a process of their own, as `pl-device-test` runs them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("shots", "least"), [("None", 330), ("8192", 300)])
def test_the_device_passes_the_suite_of_pennylane(shots: str, least: int) -> None:
    found = find_spec("pennylane.devices.tests")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent
    options = ["-q", "-W", "ignore", "--no-flaky-report", "-c", str(folder / "pytest.ini"), f"--rootdir={folder}"]
    for plugin in ("cacheprovider", "randomly", "xdist", "timeout"):
        options += ["-p", f"no:{plugin}"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder), "--device", "qml.native", "--shots", shots],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert int(last.split(" passed")[0].split()[-1]) >= least, last
