import torch

from qml.simulator.workspace import Workspace

CPU = torch.device("cpu")


def kind(n_rows: int) -> tuple[tuple[int, ...], torch.dtype, torch.device]:
    return (n_rows, 4), torch.float32, CPU


def test_a_buffer_comes_back_and_is_lent_again() -> None:
    pool = Workspace(kept_bytes=1000)
    first = pool.lend(kind(8))
    pool.take_back(kind(8), [first])
    assert pool.lend(kind(8)) is first
    assert pool.idle_bytes == 0


def test_the_pool_is_bounded_and_older_kinds_make_room() -> None:
    pool = Workspace(kept_bytes=300)
    old = [pool.lend(kind(8)) for _ in range(2)]
    pool.take_back(kind(8), old)
    assert pool.idle_bytes == 256
    new = [pool.lend(kind(16)) for _ in range(3)]
    pool.take_back(kind(16), new)
    assert pool.idle_bytes == 256  # one of the new kind; the old kind is gone
    fresh = pool.lend(kind(8))
    assert not any(fresh is buffer for buffer in old)


def test_nothing_is_kept_where_nothing_may_be() -> None:
    pool = Workspace(kept_bytes=0)
    pool.take_back(kind(8), [pool.lend(kind(8))])
    assert pool.idle_bytes == 0
