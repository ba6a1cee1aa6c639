from typing import Any

import pytest

from cnnlib.journal.bill import accelerator, at_work, bill, prices


def event(at: float, kind: str, **content: Any) -> dict[str, Any]:
    minute, second = divmod(at, 60)
    return {"event": kind, "time": f"2026-11-24T10:{minute:02.0f}:{second:02.0f}+00:00", **content}


MACHINES = {"unit": "GPU", "units": 2, "units_per_trial": 0.5, "accelerator": "T4"}


def trial(trial_id: str, began: float, ended: float, how: str, epochs: int) -> list[dict[str, Any]]:
    each = (ended - began) / epochs
    return [
        event(began, "proposed", trial_id=trial_id, max_epochs=10),
        event(began, "started", trial_id=trial_id),
        *[event(ended, "epoch", trial_id=trial_id, seconds=each) for _ in range(epochs)],
        event(ended, how, trial_id=trial_id),
    ]


def test_hours_used_idle_and_saved_follow_from_the_journal() -> None:
    events = [
        event(0, "machines", **MACHINES),
        *trial("1", 0, 100, "finished", 5),  # by itself: nobody spared it anything
        *trial("2", 100, 140, "stopped", 4),  # 6 epochs of 10 s were spared
        event(600, "closed"),
    ]
    cost = bill(events)
    assert cost is not None
    assert cost.used * 3600 == pytest.approx(0.5 * 140)
    assert cost.idle * 3600 == pytest.approx(2 * 600 - 0.5 * 140)
    assert cost.saved * 3600 == pytest.approx(0.5 * 60)
    on_demand, spot = prices()["T4"]
    assert f"${on_demand / 3:,.2f} on demand, ${spot / 3:,.2f} spot" in str(cost)


def test_a_killed_driver_counts_till_its_last_sign_and_the_pause_after_it_does_not() -> None:
    events = [
        event(0, "machines", **MACHINES),
        event(0, "proposed", trial_id="1", max_epochs=10),
        event(0, "started", trial_id="1"),
        event(0, "started", trial_id="2"),  # and never again
        event(60, "epoch", trial_id="1", seconds=60.0),
        event(1000, "resumed"),  # killed after a minute
        event(1000, "machines", **MACHINES),
        event(1000, "started", trial_id="1"),
        event(1030, "finished", trial_id="1"),
    ]
    cost = bill(events)
    assert cost is not None
    assert cost.used * 3600 == pytest.approx(0.5 * (60 + 60 + 30))
    assert (cost.used + cost.idle) * 3600 == pytest.approx(2 * (60 + 30))


def test_a_test_at_another_time_is_nobodys_work() -> None:
    events = [
        event(0, "sweep"),
        event(0, "machines", **MACHINES),
        event(60, "closed"),
        event(900, "tested"),
        event(1000, "resumed"),
        event(1030, "closed"),
        event(1900, "tested"),
    ]
    cost = bill(events)
    assert cost is not None and cost.idle * 3600 == pytest.approx(2 * 60)
    assert at_work(events) == pytest.approx(60 + 30)
    assert at_work([]) == 0


def test_trials_that_the_time_budget_ended_do_not_run_through_the_finals() -> None:
    events = [
        event(0, "machines", **MACHINES),
        event(0, "proposed", trial_id="1", max_epochs=10),
        event(0, "started", trial_id="1"),
        event(40, "epoch", trial_id="1", seconds=40.0),
        event(50, "final_started", trial_id="1", seed=43),
        event(150, "final", trial_id="1", seed=43),
    ]
    cost = bill(events)
    assert cost is not None and cost.used * 3600 == pytest.approx(0.5 * (40 + 100))


def test_the_seeds_of_a_finalist_count_each() -> None:
    events = [
        event(0, "machines", **MACHINES),
        *[event(0, "final_started", trial_id="1", seed=seed) for seed in (43, 44)],
        *[event(30 * seed - 1260, "final", trial_id="1", seed=seed) for seed in (43, 44)],
    ]
    cost = bill(events)
    assert cost is not None
    assert cost.used * 3600 == pytest.approx(0.5 * (30 + 60))


def test_a_journal_without_machines_has_no_bill() -> None:
    assert bill([event(0, "sweep")]) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("NVIDIA A10G", "A10G"), ("Tesla T4", "T4"), ("NVIDIA H100 80GB HBM3", "H100"), ("K80", None)],
)
def test_a_gpu_is_found_in_the_table_of_prices(name: str, kind: str | None) -> None:
    assert accelerator(name) == kind


def test_bytes_moved_are_on_the_bill() -> None:
    events = [
        event(0, "machines", **MACHINES),
        event(1, "moved", node="w1", fetched=3_000_000_000, sent=1_000_000),
        event(2, "moved", node="w2", fetched=1_000_000_000),
        *trial("1", 0, 100, "finished", 10),
    ]
    assert "; 4.0 GB fetched and 1.0 MB sent by 2 machines" in str(bill(events))
    assert "fetched" not in str(bill(events[:1] + events[3:]))


def test_a_trial_that_waits_uses_nothing_and_saves_what_it_is_spared() -> None:
    events = [
        event(0, "machines", **MACHINES),
        event(0, "proposed", trial_id="1", max_epochs=10),
        event(0, "started", trial_id="1"),
        event(20, "epoch", trial_id="1", seconds=20.0),
        event(20, "paused", trial_id="1", rung=1),
        event(100, "closed"),
    ]
    cost = bill(events)
    assert cost is not None
    assert (cost.used * 3600, cost.saved * 3600) == (pytest.approx(10), pytest.approx(90))
    assert "1 pause (0 went on) and stopping trials early saved" in str(cost)
    events[-1:] = [
        event(100, "promoted", trial_id="1", rung=1),
        event(100, "started", trial_id="1"),
        event(120, "epoch", trial_id="1", seconds=20.0),
        event(120, "paused", trial_id="1", rung=2),
        event(200, "stopped", trial_id="1", rung=2),
    ]
    cost = bill(events)
    assert cost is not None
    assert (cost.used * 3600, cost.saved * 3600) == (pytest.approx(20), pytest.approx(80))
    assert (cost.pauses, cost.resumed) == (2, 1)
