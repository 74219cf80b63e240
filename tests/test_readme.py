import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_of_the_readme_runs_and_prints_what_it_says(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {})
    printed = capsys.readouterr().out
    promised = re.findall(r"print\(.*\)  # (.*)", BLOCKS[number])
    assert promised, "a block of the README shows what it prints"
    for line in promised:
        assert line in printed, f"README promises {line!r}, but the block printed {printed!r}"


def test_readme_shows_both_commands_and_a_block_of_code() -> None:
    text = README.read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text
    assert len(BLOCKS) >= 2
