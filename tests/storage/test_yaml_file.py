from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.statistics.claims import read_claims
from cnnlib.search.reference import read_reference
from cnnlib.search.sweep_file import read_sweep_file
from cnnlib.storage.yaml_file import MOST_BYTES, read_yaml
from jobs.train import configuration

GROWING = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
BROKEN = {
    "!!bool foo": "line 1: foo is not bool",
    "a: 1\nb: !!int ''": "line 2: is not int|line 2:  is not int",
    "!!float ''": "line 1: .*is not float",
    "!!timestamp foo": "line 1: foo is not timestamp",
    "[" * 20_000: "nested too deep",
    "{a: " * 5_000: "nested too deep|line 1",
    "a: 1\nb: [": "is not YAML: line 2|is not YAML: line 3",
    "a: 1\n\tb: 2": "is not YAML: line 2",
    "a: 1\nb: 2\na: 3": "line 3: a: this key is there twice",
    "yes: 1\ntrue: 2": "line 2: true: this key is there twice|line 2: True: ",
    "a: &a [*a]": "line 1: an anchor holds itself",
    GROWING: "line [5-9]: more than 200,000 values",
    "? [1, 2]\n: 3": "line 1: a key is no single word",
    "a: 1\n---\nb: 2": "line 2: .*single document",
    f"n: {'9' * 5000}": "line 1: 999.* is not int",
    "a: \x00": "is not YAML",
    "a: !!python/object:os.system x": "line 1",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20])
def test_whatever_is_wrong_is_a_line_with_file_and_place(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=BROKEN[text]) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_what_is_no_text_or_too_much_of_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(ValueError, match="line 2 is not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="larger than 4 MiB"):
        read_yaml(path)


def test_good_files_are_read_with_anchors_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "one: &one {a: 1, b: 2}\ntwo: {deep: {<<: *one, b: 3}}\nthree: {<<: *one}\nfour: *one\n"
    )
    assert read_yaml(path) == {
        "one": {"a": 1, "b": 2},
        "two": {"deep": {"a": 1, "b": 3}},
        "three": {"a": 1, "b": 2},
        "four": {"a": 1, "b": 2},
    }
    path.write_text('{"config": {"dropout": 0.1, "activation": "relu"}}')
    assert read_yaml(path) == {"config": {"dropout": 0.1, "activation": "relu"}}


READERS: dict[str, Callable[[Path], Any]] = {
    "--sweep": read_sweep_file,
    "--claims": read_claims,
    "--config": lambda path: configuration(str(path), []),
    "--reference": lambda path: read_reference(path, {}, 224),
}


@pytest.mark.parametrize("flag", READERS)
@pytest.mark.parametrize("text", ["!!bool foo", "[" * 9_000, "a: 1\na: 2", "5", "config: 5", ""])
def test_every_flag_that_takes_such_a_file_refuses_a_broken_one(
    flag: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml") as caught:
        READERS[flag](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["5", "[1]", "null", "abc", "[[{}]]"])
def test_a_config_that_holds_no_hyperparameters_is_refused(value: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"config: {value}")
    with pytest.raises(ValueError, match=r"mine\.yaml holds no hyperparameters"):
        configuration(str(path), [])
