"""The pool of buffers: who owns one and until when, whatever threads, finalisers, errors and forks do in between."""

import gc
import os
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from qml import buffers
from qml.buffers import BufferPool, Loan, is_worth_keeping, stack_loan, tensor_loan

CPU = torch.device("cpu")
SHAPE = (8, 4)  # 128 bytes in float32


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[BufferPool]:
    """An empty pool of this test alone."""
    own = BufferPool(idle_bytes_limit=1000)
    monkeypatch.setattr(buffers, "POOL", own)
    yield own
    gc.collect()


def loan(n_rows: int = 8) -> Loan[Tensor]:
    return tensor_loan((n_rows, 4), torch.float32, CPU)


def rows(n_rows: int) -> Callable[[], Tensor]:
    return lambda: torch.empty(n_rows, 4)


def test_a_buffer_comes_back_and_is_lent_again(pool: BufferPool) -> None:
    with loan() as first:
        buffer = first.buffer()
        assert first.buffer() is not buffer
    assert pool.idle_bytes == 256
    with loan() as second:
        assert any(second.buffer() is buffer for _ in range(2))
    assert pool.idle_bytes == 256


def test_buffers_of_another_key_are_never_lent() -> None:
    with loan() as first:
        buffer = first.buffer()
    other = tensor_loan(SHAPE, torch.float64, CPU)
    assert other.buffer() is not buffer
    assert Loan(("of another class", SHAPE, torch.float32, CPU), rows(8)).buffer() is not buffer


def test_a_loan_ends_with_its_block_also_when_that_fails(pool: BufferPool) -> None:
    def fail() -> None:
        with loan() as failing:
            failing.buffer()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert pool.idle_bytes == 128


def test_a_loan_ends_when_it_is_dropped_and_only_once(pool: BufferPool) -> None:
    dropped = loan()
    dropped.buffer()
    dropped.end()
    dropped.end()
    assert pool.idle_bytes == 128
    dropped.buffer()
    assert pool.idle_bytes == 0
    del dropped
    assert pool.idle_bytes == 128


def test_a_loan_that_ends_with_a_tensor_outlives_its_block(pool: BufferPool) -> None:
    with loan() as lasting:
        alias = lasting.buffer().view(-1)
        lasting.end_with(weakref.ref(alias))
    del lasting
    assert pool.idle_bytes == 0
    del alias
    assert pool.idle_bytes == 128


def test_a_buffer_whose_alias_was_taken_meanwhile_is_never_lent_again(pool: BufferPool) -> None:
    """A hook on saved tensors may keep the memory in another form."""
    with loan() as taken:
        alias = taken.buffer().view(-1)
        gone, memory = weakref.ref(alias), alias.numpy()
        del alias
        taken.end_with(gone)
    assert gone() is None
    assert pool.idle_bytes == 0
    assert memory.size == 32


def test_a_loan_that_is_not_kept_neither_takes_nor_gives(pool: BufferPool) -> None:
    with loan() as first:
        buffer = first.buffer()
    with Loan((Tensor, SHAPE, torch.float32, CPU), rows(8), is_kept=False) as second:
        assert second.buffer() is not buffer
    assert pool.idle_bytes == 128


def test_the_pool_is_bounded_and_older_keys_make_room() -> None:
    pool = BufferPool(idle_bytes_limit=300)
    old = [pool.lend("old", rows(8)) for _ in range(2)]
    pool.take_back("old", old)
    assert pool.idle_bytes == 256
    new = [pool.lend("new", rows(16)) for _ in range(3)]
    pool.take_back("new", new)
    assert pool.idle_bytes == 256  # one of the new key; the old key is gone
    fresh = pool.lend("old", rows(8))
    assert not any(fresh is buffer for buffer in old)


def test_a_buffer_above_the_limit_is_not_kept_and_drives_nobody_out() -> None:
    pool = BufferPool(idle_bytes_limit=300)
    small = pool.lend("small", rows(8))
    pool.take_back("small", [small])
    pool.take_back("large", [pool.lend("large", rows(100))])
    assert pool.idle_bytes == 128
    assert pool.lend("small", rows(8)) is small


def test_nothing_is_kept_where_nothing_may_be() -> None:
    pool = BufferPool(idle_bytes_limit=0)
    pool.take_back("key", [pool.lend("key", rows(8))])
    assert pool.idle_bytes == 0


def test_a_finaliser_may_give_back_while_the_pool_is_at_work() -> None:
    """A hash written in Python may run a finaliser, with the lock held: it must neither wait nor be lost."""
    pool = BufferPool(idle_bytes_limit=1000)

    class Key:
        interrupts = n_given = 0

        def __eq__(self, other: object) -> bool:
            return self is other

        def __hash__(self) -> int:
            if self.interrupts:
                self.interrupts -= 1
                self.n_given += 1
                pool.take_back("other", [torch.empty(8, 4)])
            return 1

    key = Key()
    buffer = pool.lend(key, rows(8))
    key.interrupts = 2
    pool.take_back(key, [buffer])
    assert key.n_given > 0
    assert pool.idle_bytes == (1 + key.n_given) * 128
    key.interrupts = 1
    assert pool.lend(key, rows(8)) is buffer
    assert key.interrupts == 0
    assert pool.idle_bytes == key.n_given * 128


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of Unix")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in.*_at_fork:pytest.PytestUnraisableExceptionWarning")
def test_a_forked_process_begins_with_an_empty_pool_that_no_thread_holds(pool: BufferPool) -> None:
    with loan() as first:
        first.buffer()
    with pool._lock:  # as another thread might hold it
        child = os.fork()
        if child == 0:
            works = pool.idle_bytes == 0 and loan().buffer().shape == SHAPE
            os._exit(0 if works else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert pool.idle_bytes == 128


def test_a_stack_has_views_of_its_parts_and_is_lent_again() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    with stack_loan(3, (2,), like) as first:
        stack = first.buffer()
        for number, part in enumerate(stack.parts):
            part.fill_(number)
        assert stack.block.dtype == torch.float64
        assert stack.block.tolist() == [[0, 0], [1, 1], [2, 2]]
        with stack_loan(3, (2,), like) as second:
            other = second.buffer()
            assert other is not stack
    with stack_loan(3, (2,), like) as third:
        assert third.buffer() in (stack, other)
    with stack_loan(3, (2,), like.float()) as single:
        assert single.buffer().block.dtype == torch.float32


def test_a_large_stack_is_not_kept(pool: BufferPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "STACK_BYTES_LIMIT", 100)
    with stack_loan(2, (8,), torch.zeros(1, dtype=torch.float64)) as large:
        large.buffer()
    assert pool.idle_bytes == 0


def test_a_buffer_that_is_made_in_inference_mode_serves_training_later() -> None:
    with torch.inference_mode(), loan() as first:
        buffer = first.buffer()
    assert not buffer.is_inference()


def test_buffers_beside_tensors_that_stand_for_others_are_not_kept() -> None:
    from torch._subclasses import FakeTensorMode

    assert is_worth_keeping(torch.zeros(1))
    assert not is_worth_keeping(torch.zeros(1, device="meta"))
    with FakeTensorMode():
        assert not is_worth_keeping(torch.zeros(1))
