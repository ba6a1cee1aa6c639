import argparse

import pytest

from cnnlib.system.flags import MOST_LETTERS, Flags, said


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


@pytest.mark.parametrize("text", ["x" * 200_000, "a.b+c-" * 30_000, "a://b:c " * 20_000])
def test_what_an_exception_says_at_length_is_cut_and_soon(text: str) -> None:
    """Where it is looked for addresses from each letter on, it takes minutes."""
    assert len(said(ValueError(text))) == MOST_LETTERS
    assert said(ValueError("a\nb  c s3://KEY:SECRET@bucket/d")) == "a b c s3://bucket/d"
