"""Writes expected.json: what W&B's own package `sweeps` makes of each form of a sweep file.

Run it where that package is installed, in an environment of its own, because it wants an older
numpy than ours: pip install sweeps==0.3.0 && python tests/search/wandb_sweeps/generate.py
"""

import itertools
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sweeps
from sweeps.config.cfg import SweepConfig
from sweeps.config.schema import fill_validate_early_terminate, fill_validate_metric
from sweeps.params import HyperParameter

LEVELS = [(index + 0.5) / 200 for index in range(200)]
METRIC = {"name": "val_acc", "goal": "maximize"}

DRAWN: list[tuple[str, dict[str, Any]]] = [
    ("dropout", {"value": 0.3}),
    ("dropout", {"value": 0.3, "distribution": "constant"}),
    ("activation", {"values": ["relu", "mish"]}),
    ("activation", {"values": ["relu", "mish"], "distribution": "categorical"}),
    ("activation", {"values": ["relu", "gelu", "mish"], "probabilities": [0.1, 0.2, 0.7]}),
    ("dropout", {"values": [0.1, 0.2, 0.3], "probabilities": [0.5, 0.0, 0.5]}),
    ("conv_layers", {"min": 2, "max": 5}),
    ("conv_layers", {"min": 2, "max": 5, "distribution": "int_uniform"}),
    ("filter_org", {"min": 1, "max": 4, "distribution": "int_uniform"}),
    ("dropout", {"min": 0.1, "max": 0.5}),
    ("dropout", {"min": 0, "max": 0.5}),
    ("weight_decay", {"min": 0, "max": 1, "distribution": "uniform"}),
    ("dropout", {"min": 0.1, "max": 0.55, "distribution": "q_uniform", "q": 0.2}),
    ("dropout", {"min": 0.1, "max": 0.9, "distribution": "q_uniform", "q": 0.1}),
    ("dropout", {"min": 0.25, "max": 0.62, "distribution": "q_uniform", "q": 0.1}),
    ("batch_size", {"min": 10, "max": 100, "distribution": "q_uniform", "q": 8}),
    ("batch_size", {"min": 3, "max": 6, "distribution": "q_uniform"}),
    ("learning_rate", {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"}),
    ("learning_rate", {"min": 1e-5, "max": 1e-1, "distribution": "inv_log_uniform_values"}),
    ("batch_size", {"min": 16, "max": 500, "distribution": "q_log_uniform_values", "q": 16}),
    ("learning_rate", {"min": -9.0, "max": -1.0, "distribution": "log_uniform"}),
    ("learning_rate", {"min": 1.0, "max": 9.0, "distribution": "inv_log_uniform"}),
    ("batch_size", {"min": 2.5, "max": 6.0, "distribution": "q_log_uniform", "q": 8}),
]
ELSEWHERE: list[tuple[str, dict[str, Any]]] = [  # what W&B draws and we do not
    ("dropout", {"distribution": "normal", "mu": 0.3, "sigma": 0.1}),
    ("dropout", {"distribution": "q_normal", "mu": 0.3, "sigma": 0.1, "q": 0.1}),
    ("learning_rate", {"distribution": "log_normal", "mu": -7, "sigma": 1}),
    ("batch_size", {"distribution": "q_log_normal", "mu": 3, "sigma": 1, "q": 8}),
    ("dropout", {"distribution": "beta", "a": 2, "b": 5}),
    ("dropout", {"distribution": "q_beta", "a": 2, "b": 5, "q": 0.1}),
    ("optimizer", {"parameters": {"name": {"values": ["adam", "sgd"]}}}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("dropout", {"value": 0.3, "values": [0.1, 0.3]}),
    ("dropout", {"values": [0.1, 0.3], "min": 0.1, "max": 0.3}),
    ("dropout", {"values": []}),
    ("dropout", {"min": 0.1}),
    ("dropout", {"min": 0.5, "max": 0.1}),
    ("dropout", {"min": 0.3, "max": 0.3}),
    ("dropout", {"min": 0.1, "max": 0.5, "q": 0.1}),
    ("dropout", {"min": 0.1, "max": 0.5, "distribution": "int_uniform"}),
    ("dropout", {"min": 0.1, "max": 0.5, "distribution": "q_uniform", "q": 0}),
    ("dropout", {"min": 0.1, "max": 0.5, "distribution": "categorical"}),
    ("dropout", {"values": [0.1, 0.2], "distribution": "uniform"}),
    ("dropout", {"values": [0.1, 0.2], "probabilities": [0.5, 0.6]}),
    ("dropout", {"values": [0.1, 0.2], "probabilities": [1.0]}),
    ("dropout", {"values": [0.1, 0.2], "probabilities": [1.5, -0.5]}),
    ("learning_rate", {"min": 0, "max": 1.0, "distribution": "log_uniform_values"}),
    ("learning_rate", {"min": 1e-4, "max": 1e-1, "distribution": "log_uniform"}),
    ("learning_rate", {"min": 1e-4, "max": 1e-1, "distribution": "unifrom"}),
]
GRIDS: list[dict[str, Any]] = [
    {"dropout": {"values": [0.1, 0.2, 0.1]}, "batch_norm": {"values": [True, False]}},
    {"conv_layers": {"min": 2, "max": 5}, "dropout": {"value": 0.2}},
    {"filter_org": {"min": 1, "max": 3}},
    {"dropout": {"min": 0.1, "max": 0.55, "distribution": "q_uniform", "q": 0.2}},
    {"dropout": {"min": 0.1, "max": 0.5, "distribution": "q_uniform", "q": 0.2}},
    {"dropout": {"min": 0.1, "max": 0.4, "distribution": "q_uniform", "q": 0.1}},
    {"batch_size": {"min": 10, "max": 100, "distribution": "q_uniform", "q": 30}},
    {"dropout": {"min": 0.1, "max": 0.5}},
    {"batch_size": {"min": 8, "max": 64, "distribution": "uniform"}},
    {"learning_rate": {"min": 1e-5, "max": 0.1, "distribution": "log_uniform_values"}},
    {"batch_size": {"min": 8, "max": 64, "distribution": "q_log_uniform_values", "q": 8}},
    {"dropout": {"values": [0.1, 0.2], "probabilities": [0.5, 0.5]}},
]
HYPERBANDS: list[dict[str, Any]] = [
    {"min_iter": first} | ({"eta": eta} if eta else {})
    for first, eta in itertools.product((1, 3, 5), (None, 2, 1.5, 2.5, 3.7))
] + [
    {"max_iter": longest, "s": s} | ({"eta": eta} if eta else {})
    for longest, s, eta in itertools.product((1, 2, 27, 50, 81), (1, 2, 5, 40), (None, 2, 2.5))
]  # fmt: skip
HYPERBANDS += [{"max_iter": 27}, {"s": 2}, {"min_iter": 2, "max_iter": 27, "s": 1}]
METRICS: list[dict[str, Any]] = [
    {"name": "val_acc"},
    {"name": "val_acc", "goal": "maximize"},
    {"name": "val_acc", "goal": "minimize"},
    {"name": "val_acc", "goal": "maximize", "target": 0.9, "impute": "latest"},
    {"name": "val_acc", "goal": "maximize", "impute": "worst", "impute_while_running": "best"},
    {"name": "val_acc", "goal": "maximize", "impute": "mean"},
    {"name": "val_acc", "goal": "maximise"},
    {"goal": "maximize"},
]
TOPS: list[dict[str, Any]] = [
    {"method": method} for method in ("bayes", "random", "grid", "bayesian", "custom")
] + [
    {"program": "train.py", "name": "a", "description": "b", "project": "p", "entity": "e"},
    {"command": ["python", "train.py"], "controller": {"type": "local"}},
    {"run_cap": 7},
    {"run_cap": 0},
    {"metod": "bayes"},
]  # fmt: skip


def said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def refusal(content: dict[str, Any]) -> str | None:
    """Why W&B does not take this sweep, None where it does."""
    try:
        SweepConfig(content)
    except Exception as error:
        return said(error)
    return None


def sweep_of(parameters: dict[str, Any], method: str = "random", **more: Any) -> dict[str, Any]:
    return {"method": method, "metric": METRIC, "parameters": parameters, **more}


def plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def drawn(name: str, entry: dict[str, Any]) -> list[Any]:
    parameter = HyperParameter(name, entry)
    return [plain(parameter.ppf(level)) for level in LEVELS]


def grid_points(parameters: dict[str, Any]) -> list[dict[str, Any]] | str:
    runs: list[Any] = []
    try:
        while True:
            run = sweeps.next_run(sweep_of(parameters, "grid"), runs, validate=True)
            if run is None:
                break
            runs.append(run)
    except Exception as error:
        return said(error)
    return [{n: plain(v["value"]) for n, v in run.config.items()} for run in runs]


def rungs(hyperband: dict[str, Any]) -> list[int] | str:
    """The epochs below 1,000 at which W&B judges."""
    early = {"type": "hyperband", **hyperband}
    run = sweeps.SweepRun(state="running", history=[{"val_acc": 0.5}])
    try:
        SweepConfig(sweep_of({"a": {"values": [1, 2]}}, early_terminate=early))
        sweeps.stop_runs(sweep_of({}, early_terminate=early), [run])
    except Exception as error:
        return said(error)
    return sorted({band for band in run.early_terminate_info["bands"] if band < 1000})


def stops(strict: bool | None) -> bool:
    """Whether a run ends that was good before the rung at epoch 2 and is bad there."""
    early = {"type": "hyperband", "min_iter": 2} | ({} if strict is None else {"strict": strict})
    curves = [(0.9, 0.1), (0.5, 0.5), (0.5, 0.5), (0.6, 0.6), (0.6, 0.6), (0.6, 0.6)]
    runs = [
        sweeps.SweepRun(
            name=str(number),
            state="running" if number == 0 else "finished",
            history=[{"val_acc": value} for value in curve],
        )
        for number, curve in enumerate(curves)
    ]
    return bool(sweeps.stop_runs(sweep_of({}, early_terminate=early), runs))


def expected() -> dict[str, Any]:
    """Everything, with the version that said it."""
    values = {"dropout": {"values": [0.1, 0.2]}}
    return {
        "sweeps": version("sweeps"),
        "drawn": [
            {"name": n, "entry": e, "drawn": drawn(n, e), "refused": refusal(sweep_of({n: e}))}
            for n, e in DRAWN
        ],
        "elsewhere": [
            {"name": n, "entry": e, "refused": refusal(sweep_of({n: e}))} for n, e in ELSEWHERE
        ],
        "refused": [
            {"name": n, "entry": e, "refused": refusal(sweep_of({n: e}))} for n, e in REFUSED
        ],
        "grids": [{"parameters": p, "points": grid_points(p)} for p in GRIDS],
        "hyperbands": [{"content": h, "rungs": rungs(h)} for h in HYPERBANDS],
        "strict": {
            "true": stops(True),
            "false": stops(False),
            "default": fill_validate_early_terminate(
                {"early_terminate": {"type": "hyperband", "min_iter": 2}}
            )["early_terminate"]["strict"],
        },
        "metrics": [
            {"content": m, "refused": refusal(sweep_of(values) | {"metric": m})} for m in METRICS
        ],
        "metric_defaults": fill_validate_metric({"metric": {"name": "val_acc"}})["metric"],
        "tops": [{"content": t, "refused": refusal(sweep_of(values) | t)} for t in TOPS],
    }


if __name__ == "__main__":
    path = Path(__file__).with_name("expected.json")
    path.write_text(json.dumps(expected(), indent=None, separators=(",", ":")) + "\n")
