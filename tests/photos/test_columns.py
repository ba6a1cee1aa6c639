"""Tests of cnnlib/photos/columns.py: what columns say is what photographs one by one would."""

import random

import numpy as np
import pytest

from cnnlib.photos.columns import Photos, counted

# Two digests that begin alike, and one that does not.
DIGESTS = [bytes([*range(8), last]) for last in (1, 2)] + [bytes(9)]
One = tuple[str, int, bytes, str]


def sets(seed: int) -> list[list[One]]:
    """Many small sets of photographs, the first of none: class, name, digest and group."""
    draw = random.Random(seed)
    numbers = [0, *(draw.randrange(13) for _ in range(200))]
    return [
        sorted(
            (draw.choice("abc"), name, draw.choice(DIGESTS), draw.choice(["", "g"]))
            for name in draw.sample(range(100), number)
        )
        for number in numbers
    ]


SETS = sets(0)


def photos(some: list[One]) -> Photos:
    class_names, counts = counted(name for name, *_ in some)
    return Photos(
        class_names,
        counts,
        [f"{number:02d}" for _, number, *_ in some],
        [f"/{name}/{number:02d}" for name, number, *_ in some],
        np.frombuffer(b"".join(one[2] for one in some), np.uint8).reshape(len(some), 9),
        [one[3] for one in some],
    )


def rows(found: Photos) -> list[One]:
    """One by one, where the columns agree."""
    assert found.groups is not None and len(found) == found.counts.sum()
    assert all(found.counts > 0) and list(found.class_names) == sorted(found.class_names)
    told = [found.shown(place).split("/") for place in range(len(found))]
    assert [path[-2:] for path in found.paths] == [name for _, name in told]
    digests = [digest.tobytes() for digest in found.digests]
    return [
        (class_name, int(name), digest, group)
        for (class_name, name), digest, group in zip(told, digests, found.groups, strict=True)
    ]


def alike(said: list[object]) -> list[tuple[int, ...]]:
    """Positions of what is equal, two at least, by all pairs."""
    groups = {tuple(n for n, other in enumerate(said) if other == one) for one in said}
    return sorted(group for group in groups if len(group) > 1)


def test_photographs_of_the_same_bytes_are_found():
    for some in SETS:
        found = photos(some)
        assert sorted(found.alike) == alike([digest for _, _, digest, _ in some])
        assert list(found.copies()) == alike([(name, digest) for name, _, digest, _ in some])


def test_photographs_of_one_group_are_found_and_none_of_no_group():
    for some in SETS:
        expected = tuple(n for n, one in enumerate(some) if one[3])
        assert photos(some).of_groups() == ((expected,) if len(expected) > 1 else ())


def test_what_another_split_holds_too_is_found():
    for some, others in zip(SETS, sets(1), strict=True):
        for known in (others, others[:1], []):
            held = {digest for _, _, digest, _ in known}
            expected = [place for place, one in enumerate(some) if one[2] in held]
            assert photos(some).those_in(photos(known)) == expected


@pytest.mark.parametrize("wanted", ["", "a", "bc", "abc"])
def test_classes_are_chosen(wanted):
    for some in SETS:
        found = photos(some).of_classes(set(wanted))
        assert rows(found) == [one for one in some if one[0] in wanted]


def test_some_are_left_out():
    for number, some in enumerate(SETS):
        out = {place for place in range(len(some)) if (place + number) % 3 == 0}
        expected = [one for place, one in enumerate(some) if place not in out]
        assert rows(photos(some).without(out)) == expected


@pytest.mark.parametrize("names", [{"a": "a", "b": "b", "c": "c"}, {"a": "z", "b": "b", "c": "b"}])
def test_classes_get_other_names_and_are_sorted_by_them(names):
    for some in SETS:
        expected = [(names[name], *rest) for name, *rest in some]
        expected.sort(key=lambda one: one[:2])
        assert rows(photos(some).renamed(names)) == expected


def test_each_class_has_its_photographs_in_a_row():
    for some in SETS:
        found = photos(some)
        told = [(name, place) for name, places in found.by_class() for place in places]
        assert told == [(one[0], place) for place, one in enumerate(some)]
        assert found.count == {name: len(places) for name, places in found.by_class()}
