"""Fleet files as people keep them: what is read, what is refused, and where."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fotapool.bulk import BadRow, FleetRow, read_fleet, read_rows
from fotapool.model import FleetFileError

A, B, ZERO = 990003425730524, 990000473475967, 153920000042
A_, B_, ZERO_ = "990003425730524", "990000473475967", "000153920000042"


def rows(text: str) -> list[tuple[int, int | str]]:
    """Each row as its line and the IMEI, or the code of what is wrong with it."""
    read = read_rows(io.StringIO(text, newline=""), "fleet.csv")
    return [(row.line, row.imei if isinstance(row, FleetRow) else row.problem.code) for row in read]


# file                                               rows: line, IMEI or problem
FILES: list[tuple[str, list[tuple[int, int | str]]]] = [
    (f"{A_}\n{B_}\n",                                [(1, A), (2, B)]),
    (f"{A_}",                                        [(1, A)]),
    (f"{A_}\r\n{B_}\r\n",                            [(1, A), (2, B)]),
    (f"{A_}\r{B_}\r",                                [(1, A), (2, B)]),
    (f"imei\n{ZERO_}\n",                             [(2, ZERO)]),
    (f"IMEI\n{A_}\n",                                [(2, A)]),
    (f"site,Device ID,when\nx,{A_},y\n",             [(2, A)]),
    (f"deviceId;site\n{A_};Köln\n",                  [(2, A)]),
    (f"site\tIMEI Number\nx\t{A_}\n",                [(2, A)]),
    (f"IMEISV,IMEI\n9900034257305240,{A_}\n",        [(2, A)]),
    (f'"imei","site"\n"{A_}","a, b"\n',              [(2, A)]),
    (f"\n\n  \nimei\n\n{A_}\n,\n  \n{B_}\n",         [(6, A), (9, B)]),
    (f"imei,site\n,\n{A_},x\n,y\n",                  [(3, A), (4, "imei_missing")]),
    (f"imei,site\n{A_}\nx,{B_}\n",                   [(2, A), (3, "imei_malformed")]),
    ("site,imei\nx\n",                              [(2, "imei_missing")]),
    (" 99 000342 573052 4 \n",                      [(1, A)]),
    ("99\u00a0000342\u2009573052\t4\n".replace("\t", " "), [(1, A)]),
    (f"IMEI:{A_}\nimei: {B_}\n IMEI : {A_}\n",       [(1, A), (2, B), (3, A)]),
    (f"{A_}\n{A_}\n",                                [(1, A), (2, A)]),
    ("99000342573052\n",                             [(1, "imei_14_digits")]),
    ("9900034257305240\n",                           [(1, "imei_16_digits")]),
    ("9.90003E+14\n9,90003e+14\n",                   [(1, "imei_rounded"), (2, "imei_malformed")]),
    ("9.90003E+14\n",                                [(1, "imei_rounded")]),
    ("99-000342-573052-4\n",                         [(1, "imei_malformed")]),
    ("٩٩٠٠٠٣٤٢٥٧٣٠٥٢٤\n",                            [(1, "imei_malformed")]),
    ("serial\n",                                     [(1, "imei_malformed")]),
    (f"IMEI:IMEI:{A_}\n",                            [(1, "imei_malformed")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FILES, ids=range(len(FILES)))
def test_files(text: str, expected: list[tuple[int, int | str]]) -> None:
    assert rows(text) == expected


def test_a_bad_row_keeps_what_stood_there_and_says_why() -> None:
    (row,) = read_rows(["  99000342573052 \n"], "x")

    assert isinstance(row, BadRow)
    assert (row.line, row.text) == (1, "99000342573052")
    assert (
        row.problem.value
        == "14 digits, an IMEI has 15; the check digit is missing and is not guessed"
    )


# file                                what is told
UNREADABLE = [
    ("",                              "fleet.csv is empty; give one IMEI a line, or a CSV with a header"),
    ("\n \n",                         "fleet.csv is empty"),
    (f"{A_},x\n",                     "fleet.csv, line 1: several columns and no header; add a header line with a column named imei"),
    ("\nserial,site\n",               "fleet.csv, line 2: several columns and no header"),
    (f'imei\n"{A_}\n{B_}\n',          "fleet.csv, line 3: not readable as CSV"),
    (f'imei\n"{A_}"x\n',              "fleet.csv, line 2: not readable as CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_files_that_cannot_be_read(text: str, why: str) -> None:
    with pytest.raises(FleetFileError) as caught:
        rows(text)
    assert str(caught.value).startswith(why)


def test_files_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(b"\xef\xbb\xbfimei\r\n" + A_.encode() + b"\r\n")
    assert list(read_fleet(str(path))) == [FleetRow(2, A)]

    path.write_bytes(b"imei\n\xff\xfe\n")
    with pytest.raises(FleetFileError, match="not UTF-8 text; save the file as UTF-8 CSV"):
        list(read_fleet(str(path)))
    for wrong, why in [(tmp_path / "missing.csv", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(FleetFileError, match=why):
            list(read_fleet(str(wrong)))


def test_standard_input_is_a_dash() -> None:
    program = "from fotapool.bulk import read_fleet; print([row.imei for row in read_fleet('-')])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=f"\ufeffimei\n{A_}\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )

    assert done.stdout == f"[{A}]\n"


@given(
    st.lists(st.integers(0, 999_999_999_999_999), min_size=1),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_every_row_comes_back(imeis: list[int], newline: str, header: bool) -> None:
    lines = (["imei"] if header else []) + [f"{imei:015d}" for imei in imeis]

    assert [value for _, value in rows(newline.join(lines) + newline)] == imeis
