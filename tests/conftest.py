"""Settings of every test: hypothesis draws the same examples each time, and torch uses one thread a process.

`make test-all` asks for the profile `thorough`; `make test` has a third of its examples, see `strategies.examples`.
"""

from collections.abc import Iterator

import hypothesis
import pytest
import torch
from threadpoolctl import threadpool_limits

from tests.strategies import THOROUGH

hypothesis.settings.register_profile(
    "thorough",
    max_examples=THOROUGH,
    derandomize=True,  # a failure in continuous integration is a failure on every machine
    deadline=None,  # a first call plans the circuit and takes longer than the next
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.register_profile("repeatable", hypothesis.settings.get_profile("thorough"), max_examples=33)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tests run in two processes on two cores: more threads than cores would only wait for each other."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def fixed_start() -> None:
    """Layers that a test makes without a generator start alike in every run, in whatever order the tests come."""
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notebooks train what they show: they are slow, all of them."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
