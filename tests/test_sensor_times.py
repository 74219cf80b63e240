"""Sensor files: stamps without a zone, in a named zone, and files that are broken or hostile."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from qml.data import Scaler, Sensor, fill_gaps, milan_activity, read_series_csv
from tests.helpers import assert_close

REFUSED = (TypeError, ValueError, TypeCheckError)


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "UTC"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def read(folder: Path, stamps: list[str], **options: Any) -> Sensor:
    path = folder / "sensor.csv"
    path.write_text("t,a\n" + "".join(f"{stamp},{k}\n" for k, stamp in enumerate(stamps)), encoding="utf-8")
    return read_series_csv(path, ["a"], time_column="t", **options)


@pytest.mark.parametrize(
    ("stamps", "step"),
    [
        ([f"2024-10-27T{hour:02d}:00:00" for hour in range(6)], 3600),
        ([f"2024-03-31T{hour:02d}:00:00" for hour in range(6)], 3600),
        ([f"2024-11-03T{hour:02d}:30" for hour in range(6)], 3600),
        (["2024-03-30", "2024-03-31", "2024-04-01", "2024-04-02"], 86400),
        (["2024-10-26", "2024-10-27", "2024-10-28"], 86400),
        ([f"2024-10-27T02:{minute:02d}:00" for minute in range(0, 60, 10)], 600),
        ([f"2024-10-27T0{hour}:00:00+00:00" for hour in range(6)], 3600),
        (["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00", "2024-10-27T03:00+01:00"], 3600),
        (["0001-01-01T00:00", "0001-01-01T01:00"], 3600),
        (["9999-12-31T22:00-12:00", "9999-12-31T23:00-12:00"], 3600),
        (["9999-12-31T22:00", "9999-12-31T23:00"], 3600),
    ],
)
def test_even_stamps_are_even_wherever_the_program_runs(
    tmp_path: Path, machine_zone: str, stamps: list[str], step: int
) -> None:
    found = read(tmp_path, stamps)
    assert found.values.flatten().tolist() == list(range(len(stamps)))
    assert (found.step_seconds, found.n_filled) == (step, 0)


def test_local_times_of_a_named_zone_are_those_of_utc(tmp_path: Path, machine_zone: str) -> None:
    """Every half hour of the two days that change, by a rule of Central Europe: UTC + 2 h in summer."""
    for day, change, before in ((datetime(2024, 3, 30, 22), 31, 1), (datetime(2024, 10, 26, 22), 27, 2)):
        moments = [day.replace(tzinfo=UTC) + timedelta(minutes=30 * k) for k in range(12)]
        at_one = datetime(day.year, day.month, change, 1, tzinfo=UTC)  # clocks change at 1:00 UTC
        shifts = [before if moment < at_one else 3 - before for moment in moments]
        local = [
            (moment + timedelta(hours=shift)).replace(tzinfo=None)
            for moment, shift in zip(moments, shifts, strict=True)
        ]
        found = read(tmp_path, [stamp.isoformat() for stamp in local], time_zone="Europe/Berlin")
        assert found.values.flatten().tolist() == list(range(12))
        assert (found.step_seconds, found.n_filled) == (1800, 0)


def test_days_of_a_named_zone_are_not_even_where_its_clocks_change(tmp_path: Path) -> None:
    days = ["2024-03-30", "2024-03-31", "2024-04-01"]
    with pytest.raises(ValueError, match="even steps of 82800 s apart"):
        read(tmp_path, days, time_zone="Europe/Berlin")
    assert read(tmp_path, days, time_zone="UTC").step_seconds == 86400


@pytest.mark.parametrize(
    ("stamps", "options", "message"),
    [
        (["2024-01-01T00:00+00:00", "2024-01-01T02:00", "2024-01-01T04:00+00:00"], {}, "all have an offset .* line 3"),
        (["2024-01-01T00:00", "2024-01-01T02:00Z"], {}, "all have an offset .* line 3"),
        (["2024-01-01T00:00", "2024-01-01T02:00Z"], {"time_zone": "UTC"}, "all have an offset"),
        (["2024-01-01T00:00Z", "2024-01-01T02:00Z"], {"time_zone": "UTC"}, "`time_zone` must be None where times have"),
        (["2024-01-01", "2024-01-02"], {"time_zone": "Europe/Atlantis"}, "`time_zone` must be a name of the IANA"),
        (["2024-01-01", "2024-01-02"], {"time_zone": ""}, "`time_zone` must be a name"),
        (["2024-01-01", "2024-01-02"], {"time_zone": "Europe"}, "`time_zone` must be a name"),
        (["2024-01-01", "2024-01-02"], {"time_zone": "../../etc/passwd"}, "`time_zone` must be a name"),
        (["2024-01-01", "2024-01-02"], {"time_zone": 2}, "time_zone"),
        (["2024-03-31T02:30", "2024-03-31T03:30"], {"time_zone": "Europe/Berlin"}, "clocks skip"),
        (["2024-10-27T02:00", "2024-10-27T03:00"], {"time_zone": "Europe/Berlin"}, "line 2 has .* twice"),
        (
            ["2024-10-27T01:00", "2024-10-27T02:00", "2024-10-27T03:00"],
            {"time_zone": "Europe/Berlin"},
            "line 3 .* twice",
        ),
        (["2023-10-29T02:00", "2024-10-27T02:00"], {"time_zone": "Europe/Berlin"}, "line 2 has .* twice"),
        (["2024-10-27T02:00"] * 3, {"time_zone": "Europe/Berlin"}, "twice"),
        (["10000-01-01", "10001-01-01"], {}, "ISO 8601 times, but line 2"),
        (["2024-01-01", ""], {}, "ISO 8601 times, but line 3"),
    ],
)
def test_stamps_that_are_no_moments_are_refused(
    tmp_path: Path, stamps: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(REFUSED, match=message):
        read(tmp_path, stamps, **options)


def test_a_zone_without_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sensor.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="`time_zone` must be None without a `time_column`"):
        read_series_csv(tmp_path / "sensor.csv", ["a"], time_zone="UTC")


def test_gaps_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    stamps = ["1984-01-01T00:00:00", "1984-01-01T00:00:01", "2024-01-01T00:00:00"]
    with pytest.raises(ValueError, match="at most 5 steps of 1 s long, but before line 4 1262303998 are missing"):
        read(tmp_path, stamps, max_gap=5)
    with pytest.raises(ValueError, match="at most 134217728 readings, but would hold 1262304001"):
        read(tmp_path, stamps, max_gap=10**12)
    micro = ["2024-01-01T00:00:00", "2024-01-01T00:00:00.000001", "9999-01-01T00:00:00"]
    with pytest.raises(ValueError, match="Gaps must be at most 6 steps"):
        read(tmp_path, micro)
    found = read(tmp_path, ["2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T04:00"], max_gap=2)
    assert_close(found.values[:, 0], [0.0, 1.0, 4 / 3, 5 / 3, 2.0], 1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n" + b"1" * 200_000 + b"\n2\n", "line 2 is not: field larger than field limit"),
        (b"a,b\n1,2\n3,4,5\n", "2 cells in each row, as its header, but line 3 has 3. Are there commas within"),
        (b"b,a\n1,2\n3\n", "2 cells in each row, as its header, but line 3 has 1"),
        (b"a\n1\n\x00\n", "line 3 has a NUL byte"),
        ("a\n1\n".encode("utf-16"), "must be UTF-8"),
        ("a\n1\n".encode("utf-16-le"), "has a NUL byte. Save it as UTF-8"),
        ("größe,a\n1,2\n".encode("latin-1"), "must be UTF-8"),
        (b'a,b\n1,"2\n3,4\n', "is not: unexpected end of data"),
        (b'a,b\n1,"2"3\n', "line 2 is not"),
        (b"", "must have the column 'a' between commas, but has none"),
        (b"\n\n", "must have the column 'a'"),
        (b"a\n", "no rows below its header"),
        (b"a;b\n1;2\n", "between commas, but has a;b"),
        (b"a,a\n1,2\n", "once, but has it 2 times"),
        (b"a\n1\n1e400\n", "must be finite, but line 3"),
        (b"a\n1\n-inf\n", "must be finite, but line 3"),
        (b"a\n1\n1_000\n", "must hold numbers, but line 3 has '1_000'"),
        (b"a\n1\n1,5\n", "1 cells in each row"),
        (b"a\n1\n\n\n0x10\n", "line 5 has '0x10'"),
        (b"a\n1\n1j\n", "line 3 has '1j'"),
        (b"a\n" + b"z" * 5000 + b"\n", "has 'zzz.*zzz\\.\\.\\.\\.$"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "sensor.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_series_csv(path, ["a"])


def test_harmless_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sensor.csv"
    path.write_bytes(b'\xef\xbb\xbf"a",b,\r\n1,x,\r\n\r\n"2","several\nlines",\r\n 3 ,,\r\n')
    assert read_series_csv(str(path), ("a",)).values.flatten().tolist() == [1.0, 2.0, 3.0]


def test_interpolation_between_the_largest_numbers_is_finite(tmp_path: Path) -> None:
    path = tmp_path / "sensor.csv"
    path.write_text("a\n-1.6e308\nNA\n1.6e308\n")
    assert read_series_csv(path, ["a"]).values.flatten().tolist() == [-1.6e308, 0.0, 1.6e308]
    with pytest.raises(ValueError, match="must be finite in its unit, but line 2"):
        read_series_csv(path, ["a"], units={"a": "mm"})


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"columns": "a"}, r"columns.*Pass \['a'\]"),
        ({"columns": ["a", "a"]}, "columns"),
        ({"columns": [1]}, "columns"),
        ({"columns": 5}, "columns"),
        ({"max_gap": "6"}, "max_gap"),
        ({"max_gap": 6.0}, "max_gap"),
        ({"max_gap": -1}, "max_gap"),
        ({"max_gap": True}, "max_gap"),
        ({"units": ["C"]}, "units"),
        ({"units": {"a": 1}}, "units"),
        ({"units": {"a": ["C"]}}, "units"),
        ({"path": 5}, "path"),
        ({"path": None}, "path"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_by_name(tmp_path: Path, options: dict[str, Any], name: str) -> None:
    path = tmp_path / "sensor.csv"
    path.write_text("a\n1\n2\n")
    with pytest.raises(REFUSED, match=name):
        read_series_csv(**({"path": path, "columns": ["a"]} | options))


@pytest.mark.parametrize(
    "series",
    [[[1.0], [2.0]], np.ones((3, 1)), None, "x", torch.ones(3, 1, dtype=torch.complex64), torch.ones(3, 1).bool()],
)
def test_what_is_no_series_is_refused(series: Any) -> None:
    scaler = Scaler.fit(torch.arange(6.0).reshape(3, 2))
    for call in (fill_gaps, Scaler.fit, scaler):
        with pytest.raises(REFUSED, match="series"):
            call(series)
    with pytest.raises(REFUSED, match="scaled"):
        scaler.undo(series)
    with pytest.raises(ValueError, match=r"`series` must have shape \(\.\.\., 2\)"):
        scaler(torch.ones(3, 1))  # one column would be spread over both
    with pytest.raises(ValueError, match="holds infinity"):
        fill_gaps(torch.tensor([[1.0], [torch.inf]]))
    with pytest.raises(ValueError, match="with a step or more"):
        Scaler.fit(torch.ones(0, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4\t1383260400000\t39\t1\n4\t6000000000000000\t39\t1\n", "must lie within 1000000 steps"),
        ("4\t" + "9" * 30 + "\t39\t1\n4\t1383260400000\t39\t1\n", "steps of 600 s|within"),
        ("4\t1383260400000\t39\t" + "1" * 200_000 + "\n", "line 1 is not: field larger"),
        ("4\t1383260400000\t39\t\x00\n", "line 1 has a NUL byte"),
        ("4\t1383260400000\t39\té\n", "must be UTF-8"),
    ],
)
def test_hostile_files_of_milan_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sms-call-internet-mi-2013-11-01.txt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        milan_activity(path, 4)
