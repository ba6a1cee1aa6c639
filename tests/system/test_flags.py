import argparse

import pytest

from cnnlib.system.flags import Flags


@pytest.fixture
def flags() -> Flags:
    flags = Flags(prog="job")
    flags.add_argument("--drop")
    flags.add_argument("--number", type=int)
    return flags


@pytest.mark.parametrize(
    "given",
    [["--number", "x"], ["--number=1\n2"], ["--none"], ["more\nthan one"], ["--drop=--"],
     ["--number", "9" * 200_000], ["s3://KEY:SECRET@bucket"]],
)  # fmt: skip
def test_a_mistake_in_the_flags_is_one_short_line(
    flags: Flags, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        flags.parse_args(given)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("job: ") and line.endswith("; --help lists the flags")
    assert len(line) < 400 and "SECRET" not in line


def test_two_strokes_end_the_flags_as_ever(flags: Flags) -> None:
    flags.add_argument("place", nargs="*")
    assert flags.parse_args(["--drop=-", "--", "--number"]) == argparse.Namespace(
        drop="-", number=None, place=["--number"]
    )
