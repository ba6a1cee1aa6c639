import pandas as pd
import pytest

from analysis.reading.values import is_log


@pytest.mark.parametrize(
    ("values", "log"),
    [([1, 99], False), ([1, 100], True), ([0, 100], False), ([1e-320, 9.0], True), ([], False),
     ([1e307, 1e308], False)],
)  # fmt: skip
def test_two_decades_are_a_log_scale_however_small_a_number_is(values: list, log: bool) -> None:
    assert is_log(pd.Series(values, dtype=float)) == log
