"""Whether more trials would pay: their expected gain beside what a seed makes, in a sentence."""

from cnnlib.journal.finals import Finals
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.scores import sd_between_seeds
from cnnlib.networks.metric import Metric
from cnnlib.search.gain import LEAST, MORE


def worth(ledger: Ledger, finals: Finals) -> str:
    """`another 20 trials would gain 0.3 points of val_acc, less than a seed's 1.1`.

    A seed's is the standard deviation between the seeds of the finals. Where there are none it is
    what chance makes of the validation photographs, if the sweep knows their number.
    """
    metric, gain = ledger.terms.metric, ledger.gain
    if gain is None:
        return f"what more trials would gain is not known of fewer than {LEAST}"
    said = f"another {MORE} trials would gain {_amount(gain, metric)}{_unit(metric)}"
    noise, whose = _noise(ledger, finals)
    if noise is None:
        return said
    more = "more" if gain > noise else "less"
    return f"{said}, {more} than {whose} {_amount(noise, metric)}"


def _noise(ledger: Ledger, finals: Finals) -> tuple[float | None, str]:
    """What a difference is that says nothing, and whose."""
    if found := sd_between_seeds(finals.scores):
        return found[0], "a seed's"
    if ledger.terms.noise_of:
        best = max(trial.best for trial in ledger.trials.values())
        return ledger.terms.least_gain(
            best
        ), f"the chance of {ledger.terms.noise_of:,} photographs,"
    return None, ""


def _amount(value: float, metric: Metric) -> str:
    return f"{100 * value:.1f}" if metric.is_share else f"{value:.3g}"


def _unit(metric: Metric) -> str:
    return f" points of {metric.said}" if metric.is_share else f" of {metric.said}"
