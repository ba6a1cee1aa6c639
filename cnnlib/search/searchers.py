"""The searchers by name; `--search NAME` chooses one.

tests/search/test_searchers.py holds every member of SEARCHERS to what searcher.py says.
"""

from collections.abc import Callable
from typing import Any

from cnnlib.search.searcher import Searcher


def _tpe(**made_by: Any) -> Searcher:
    from cnnlib.search.tpe import Tpe  # HyperOpt takes a while to load

    return Tpe(**made_by)


def _random(**made_by: Any) -> Searcher:
    from cnnlib.search.tpe import Random

    return Random(**made_by)


def _curves(**made_by: Any) -> Searcher:
    from cnnlib.search.curves import Curves

    return Curves(**made_by)


def _balanced(**made_by: Any) -> Searcher:
    from cnnlib.search.balanced import Balanced

    return Balanced(**made_by)


WITH_EXPERIENCE = ("curves",)  # who begin with what earlier sweeps found
WITH_PROMOTION = ("curves",)  # whose trials pause at a rung where a sweep's file names no rule
SEARCHERS: dict[str, Callable[..., Searcher]] = {
    "tpe": _tpe,
    "curves": _curves,
    "random": _random,
    "balanced": _balanced,
}
