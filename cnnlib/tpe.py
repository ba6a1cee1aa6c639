"""HyperOpt's proposals for a sweep: possible configurations only, and none of them twice.

Ray's own HyperOptSearch repeats configurations, forgets failed trials and takes running ones for
seen (TRAPS 7-14), so this talks to HyperOpt directly, behind Ray's Searcher interface.
"""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import hyperopt
from hyperopt import hp
from ray.tune.search import Searcher

from cnnlib.config import TrialConfig, Value, impossible
from cnnlib.halving import WORST
from cnnlib.space import Choice, Interval, Space, constants, grid, searched

ATTEMPTS = 20  # proposals that may be repeats before what is left is drawn at random
ENUMERABLE = 1_000_000  # points of a space of which what is left can be listed
CANDIDATES = 24  # of which TPE proposes the most promising; HyperOpt's default


@dataclass
class Proposal:
    """A configuration that was proposed, and the best score reported for it so far."""

    values: dict[str, Value]
    score: float = WORST
    done: bool = False


class Tpe(Searcher):
    """Proposes trials: at first at random, then by HyperOpt's TPE from the scores of ended ones.

    Trials are numbered in the order of proposal: their configuration holds `trial_id`, '0001' on.
    """

    def __init__(
        self,
        space: Space,
        *,
        image_size: int,
        num_initial: int,
        search: str,
        seed: int,
        on_propose: Callable[[str, TrialConfig], None],
    ) -> None:
        """`search` is 'tpe', which proposes once `num_initial` trials have ended, or 'random'."""
        super().__init__()
        self._constants = constants(space)
        self._space = searched(space)
        self._image_size = image_size
        self._num_initial = num_initial if search == "tpe" else math.inf
        self._random = random.Random(seed)
        self._on_propose = on_propose
        self._proposals: dict[str, Proposal] = {}  # by Ray's id of the trial
        self._seen: set[TrialConfig] = set()
        if self._space:  # HyperOpt has no domain without dimensions
            expressions = {name: _expression(name, v) for name, v in self._space.items()}
            self._domain = hyperopt.Domain(lambda values: values, expressions)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        """The next trial's configuration, or Searcher.FINISHED when nothing new is left."""
        values = self._new_values()
        if values is None:
            return Searcher.FINISHED
        self._proposals[trial_id] = Proposal(values)
        number = f"{len(self._proposals):04d}"
        config = self._config(values)
        self._seen.add(config)
        self._on_propose(number, config)
        return {"trial_id": number, **asdict(config)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        score = result.get("val_acc", WORST)
        if math.isfinite(score):
            proposal = self._proposals[trial_id]
            proposal.score = max(proposal.score, score)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial that failed stays in the history, with the worst score or the best it had."""
        if result:
            self.on_trial_result(trial_id, result)
        self._proposals[trial_id].done = True

    def score(self, trial_id: str) -> float:
        """The best score of a trial so far, what TPE is told of it; WORST where it has none."""
        return self._proposals[trial_id].score

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the memory of a sweep."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the memory of a sweep."""

    def _config(self, values: dict[str, Value]) -> TrialConfig:
        return TrialConfig.from_mapping({**self._constants, **values})

    def _new_values(self) -> dict[str, Value] | None:
        def is_new(values: dict[str, Value]) -> bool:
            config = self._config(values)
            return config not in self._seen and impossible(config, self._image_size) is None

        history = self._history()
        # The best of ever fewer candidates: what TPE draws, rather than its one favourite again.
        fewer = [max(1, CANDIDATES >> attempt) for attempt in range(ATTEMPTS)]
        grids = [grid(values) for values in self._space.values()]
        endless = not all(grids) or math.prod(len(g or []) for g in grids) > ENUMERABLE
        if endless:  # real numbers never run out, so trying goes on
            fewer += [1] * 100 * ATTEMPTS
        new = next(filter(is_new, (self._ask_hyperopt(history, number) for number in fewer)), None)
        return new if new is not None or endless else self._one_of_the_rest(grids, is_new)

    def _one_of_the_rest(
        self, grids: list[list[Value] | None], is_new: Callable[[dict[str, Value]], bool]
    ) -> dict[str, Value] | None:
        """A random one of the configurations that are left; None where the space is used up."""
        points = itertools.product(*(values or [] for values in grids))
        left = [p for p in points if is_new(dict(zip(self._space, p, strict=True)))]
        if not left:
            return None
        return dict(zip(self._space, self._random.choice(left), strict=True))

    def _history(self) -> list[dict[str, Any]]:
        """All proposals in HyperOpt's form."""
        return [
            _document(number, proposal, self._space)
            for number, proposal in enumerate(self._proposals.values())
        ]

    def _ask_hyperopt(self, history: list[dict[str, Any]], num_candidates: int) -> dict[str, Value]:
        if not self._space:
            return {}
        ask = hyperopt.rand.suggest
        if sum(proposal.done for proposal in self._proposals.values()) >= self._num_initial:
            ask = partial(
                hyperopt.tpe.suggest,
                n_startup_jobs=0,
                n_EI_candidates=num_candidates,
                verbose=False,
            )
        [answer] = ask(
            [len(history)],
            self._domain,
            hyperopt.trials_from_docs(history, validate=False),
            self._random.randrange(2**31),
        )
        raw = {name: values[0] for name, values in answer["misc"]["vals"].items()}
        return {name: _value(raw[name], values) for name, values in self._space.items()}


def _expression(name: str, values: Choice | Interval) -> Any:
    """HyperOpt's distribution of one hyperparameter."""
    if isinstance(values, Choice):
        return hp.choice(name, list(values.values))
    low, high, step = values.low, values.high, values.step
    if values.log:
        ends = math.log(low), math.log(high)
        return hp.qloguniform(name, *ends, step) if step else hp.loguniform(name, *ends)
    # Half a step at each end, so that the ends are drawn as often as what lies between.
    return (
        hp.quniform(name, low - step / 2, high + step / 2, step)
        if step
        else hp.uniform(name, low, high)
    )


def _value(raw: float, values: Choice | Interval) -> Value:
    """What HyperOpt's number means: an index into choices, or a number of the interval."""
    if isinstance(values, Choice):
        return values.values[int(raw)]
    return min(max(float(raw), values.low), values.high)


def _document(number: int, proposal: Proposal, space: Space) -> dict[str, Any]:
    """A proposal in HyperOpt's form. A running one has no loss, which HyperOpt takes as worst."""
    raw = {
        name: values.values.index(proposal.values[name])
        if isinstance(values, Choice)
        else proposal.values[name]
        for name, values in space.items()
    }
    return {
        "tid": number,
        "state": hyperopt.JOB_STATE_DONE if proposal.done else hyperopt.JOB_STATE_RUNNING,
        "result": {"status": "ok", "loss": -proposal.score} if proposal.done else {"status": "new"},
        "misc": {
            "tid": number,
            "idxs": {name: [number] for name in raw},
            "vals": {name: [value] for name, value in raw.items()},
        },
        "spec": None,
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }
