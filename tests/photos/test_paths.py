"""Tests of cnnlib/photos/paths.py."""

import pickle
from pathlib import Path

import pytest

from cnnlib.photos.paths import Paths

TEXTS = {
    "none": [],
    "one": ["/photos/a.jpg"],
    "some": ["/photos/a/1.jpg", "/photos/a/2.jpg", "/photos/ab/1.jpg"],
    "apart": ["/one/1.jpg", "/two/1.jpg"],
    "strange": ["/p/ä\n.jpg", "/p/\udcff.jpg", "/p/ .jpg", "/p/ab"],
    "twice": ["/p/a", "/p/a"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_paths_are_the_sequence_that_they_are_made_of(name: str) -> None:
    expected = tuple(map(Path, TEXTS[name]))
    paths = Paths(TEXTS[name])
    assert len(paths) == len(expected)
    assert tuple(paths) == expected
    assert paths == expected
    assert paths == Paths(TEXTS[name])
    assert hash(paths) == hash(Paths(TEXTS[name]))
    assert [paths[n] for n in range(len(paths))] == list(expected)
    assert paths[1:] == expected[1:]
    assert paths[::-2] == expected[::-2]
    if expected:
        assert paths[-1] == expected[-1]
        assert paths != expected[1:]
    with pytest.raises(IndexError):
        paths[len(expected)]
    assert pickle.loads(pickle.dumps(paths)) == expected


def test_they_travel_in_little_more_than_their_own_letters() -> None:
    texts = [f"/a/long/way/to/photos/train/class/{number:07}.jpg" for number in range(1000)]
    paths = Paths(texts)
    assert paths[5].name == "0000005.jpg"
    assert len(pickle.dumps(paths)) < 13 * 1000
