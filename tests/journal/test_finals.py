from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.finals import Finals, Retrained, Taken, read_finals
from cnnlib.journal.ledger import read_ledger
from cnnlib.journal.replay import event_lines, replay
from cnnlib.journal.scores import REFERENCE, Final
from cnnlib.journal.tables import fold
from cnnlib.networks.cnn.family import TrialConfig
from tests.journal.test_ledger import TERMS, Sweep


class Held:
    """A search that is over and its finals, without any training."""

    def __init__(self, reference: TrialConfig | None = TrialConfig()) -> None:  # noqa: B008
        self.sweep = Sweep()
        self.sweep.begin()
        self.sweep.run()
        self.finals = Finals(self.sweep.ledger)
        draw = self.finals.next_draw(3, 2, reference)
        assert draw is not None
        self.finals.begin(draw)
        self.draw = draw

    def end(self, trial_id: str, seed: int, val_acc: float | None, best_epoch: int = 4) -> None:
        self.finals.start(trial_id, seed, None)
        error = None if val_acc else "RuntimeError: it raised"
        self.finals.end(Final(trial_id, seed, 6, best_epoch, val_acc, 1.0, 2.0, error))

    def end_all(self, *scores: tuple[float | None, float | None]) -> None:
        for trial_id, both in zip(self.draw.entrants, scores, strict=True):
            for seed, score in zip(self.draw.seeds, both, strict=True):
                self.end(trial_id, seed, score)


@pytest.fixture
def held() -> Held:
    return Held()


def test_the_best_of_the_search_train_again_on_seeds_that_it_did_not_have(held: Held) -> None:
    trials = held.sweep.ledger.trials.values()
    best = sorted((t.best for t in trials), reverse=True)[:3]
    assert [held.sweep.ledger.trials[t].best for t in held.draw.finalists] == best
    assert held.draw.seeds == (TERMS.seed + 1, TERMS.seed + 2)
    assert held.draw.entrants == (*held.draw.finalists, REFERENCE)
    pairs = [(t, seed) for seed in held.draw.seeds for t in held.draw.entrants]
    assert held.finals.unfinished == pairs, "in whole rounds"


def test_a_reference_that_is_a_finalist_does_not_train_twice(held: Held) -> None:
    trials = held.sweep.ledger.trials
    config = trials[held.draw.finalists[1]].config
    draw = held.finals.next_draw(3, 2, config)
    assert draw is not None
    assert draw.reference == held.draw.finalists[1]
    assert draw.entrants == held.draw.finalists


def test_there_are_no_finals_without_two_that_can_train(held: Held) -> None:
    assert held.finals.next_draw(1, 3, None) is None
    assert held.finals.next_draw(3, 0, None) is None
    for trial in list(held.sweep.ledger.trials.values())[1:]:
        trial.status = "failed"
    assert held.finals.next_draw(3, 3, None) is None


def test_the_champion_has_the_highest_mean_and_not_the_luckiest_score(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    held.finals.choose()
    second = held.draw.finalists[1]
    chosen = held.sweep.events[-1]
    assert (chosen["event"], chosen["trial_id"]) == ("champion", second)
    assert chosen["mean"] == pytest.approx(0.63)
    luck = held.sweep.ledger.trials[second].best - 0.63
    assert chosen["luck"] == pytest.approx(luck)
    assert chosen["epochs"] == 4
    assert held.finals.reference is not None, "it is never the champion, whatever its score"
    held.finals.choose()
    assert held.sweep.events[-1] is chosen, "a choice is written once"


def test_a_finalist_that_raised_once_is_not_chosen_and_all_that_raise_decide_nothing() -> None:
    held = Held(reference=None)
    held.end_all((None, 0.9), (0.3, 0.3), (0.2, 0.2))
    assert held.finals.winner is not None
    assert held.finals.winner.trial_id == held.draw.finalists[1]
    held = Held(reference=None)
    held.end_all((None, 0.9), (None, 0.9), (None, 0.9))
    held.finals.choose()
    assert held.finals.winner is None
    assert held.sweep.events[-1]["event"] == "final"


def test_what_was_cut_short_is_decided_on_whole_rounds(held: Held) -> None:
    first, second, third = held.draw.finalists
    for trial_id, score in ((first, 0.5), (second, 0.7), (third, 0.6)):
        held.end(trial_id, held.draw.seeds[0], score)
    held.end(first, held.draw.seeds[1], 0.99)
    assert held.finals.winner is not None
    assert held.finals.winner.trial_id == second
    assert held.finals.reference is None, "it has not trained"


def test_the_journal_is_the_memory_of_the_finals(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    held.finals.choose()
    winner = held.draw.finalists[1]
    held.finals.start(winner, 3, 4)
    held.finals.end(Retrained(winner, 3, 4, 0.9, 5.0))
    assert [s.trial_id for s in held.finals.unretrained] == [REFERENCE]
    events = held.sweep.events
    ledger = read_ledger(events, write=lambda *_, **__: pytest.fail("nothing is to be written"))
    again = read_finals(events, ledger)
    assert again.scores == held.finals.scores
    assert again.retrained == held.finals.retrained
    again.begin(held.draw)
    again.choose()
    assert len(fold(events).trials) == TERMS.trials, "finals are no trials of the search"


def test_another_number_of_epochs_asks_for_another_retraining(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    winner = held.finals.winner
    assert winner is not None
    for epochs in (4, 3):  # of the last one the weights are kept
        held.finals.end(Retrained(winner.trial_id, 3, epochs, 0.9, 5.0))
    assert winner.trial_id in [s.trial_id for s in held.finals.unretrained]
    held.finals.end(Retrained(winner.trial_id, 3, 4, 0.9, 5.0))
    assert winner.trial_id not in [s.trial_id for s in held.finals.unretrained]


def test_weights_are_the_retrained_ones_where_that_went_well(held: Held, tmp_path: Path) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    winner = held.finals.winner
    assert winner is not None
    final = Taken("final", tmp_path / "finals" / f"{winner.trial_id}-s5", seed=5, epoch=4)
    assert held.finals.taken(tmp_path, winner, retrained=True) == final
    held.finals.end(Retrained(winner.trial_id, 3, 4, error="RuntimeError: it raised"))
    assert held.finals.taken(tmp_path, winner, retrained=True) == final
    held.finals.end(Retrained(winner.trial_id, 3, 4, 0.9, 5.0))
    folder = tmp_path / "finals" / f"{winner.trial_id}-all-4"
    assert held.finals.taken(tmp_path, winner, retrained=True) == Taken("retrained", folder, 3, 4)
    assert held.finals.taken(tmp_path, winner, retrained=False) == final


def test_longer_finals_begin_anew_and_more_seeds_are_added(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    more = held.finals.next_draw(3, 3, TrialConfig())
    assert more is not None
    held.finals.begin(more)
    assert held.finals.unfinished == [(t, more.seeds[2]) for t in more.entrants]
    held.finals.begin(replace(more, max_epochs=12))
    assert len(held.finals.unfinished) == 12


def test_another_reference_trains_anew_and_the_finalists_do_not(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    held.finals.end(Retrained(REFERENCE, 3, 4, 0.9, 5.0))
    other = held.finals.next_draw(3, 2, TrialConfig(dropout=0.1))
    assert other is not None and other.reference == REFERENCE
    assert held.finals.stale(held.draw) == set() and held.finals.stale(other) == {REFERENCE}
    held.finals.begin(other)
    assert held.finals.unfinished == [(REFERENCE, seed) for seed in other.seeds]
    assert REFERENCE not in held.finals.retrained


def changed(events: list[dict[str, Any]], kind: str, **content: Any) -> list[dict[str, Any]]:
    index = next(i for i, event in enumerate(events) if event["event"] == kind)
    return [*events[:index], events[index] | content, *events[index + 1 :]]


def test_a_replay_derives_the_finalists_and_the_choice(held: Held) -> None:
    held.end_all((0.70, 0.50), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    held.finals.choose()
    events = held.sweep.events
    assert replay(events)[0] is None
    assert replay(events)[1].endswith(", the choice of the champion")
    for broken, message in (
        (changed(events, "finals", finalists=["0001", "0002", "0003"]), "derived ('"),
        (changed(events, "champion", trial_id=held.draw.finalists[0]), "derived {'trial_id'"),
        (changed(events, "champion", luck=0.0), "derived {'trial_id'"),
        (changed(events, "final", val_acc=0.9), "(champion"),
        (changed(events, "final_started", trial_id="0000"), "it is not in the finals"),
        ([*events, events[-2]], "had ended on seed"),
        ([e for e in events if e["event"] != "finals"], "there are no finals before it"),
    ):
        assert message in str(replay(broken)[0])


def test_the_story_tells_the_finals(held: Held) -> None:
    held.end_all((0.70, None), (0.62, 0.64), (0.40, 0.80), (0.9, 0.9))
    held.finals.choose()
    held.finals.start(REFERENCE, 3, 4)
    held.finals.end(Retrained(REFERENCE, 3, 4, 0.9, 5.0))
    text = "\n".join(event_lines(held.sweep.events))
    assert f"finals    trials {', '.join(held.draw.finalists)} on seeds 4, 5" in text
    assert "on seed 4: val_acc 0.700 at epoch 4 of 6" in text
    assert "on seed 5: RuntimeError: it raised" in text
    assert "champion  val_acc 0.630 on average on seeds 4, 5, " in text
    assert "reference retrained on all photographs for 4 epochs" in text
