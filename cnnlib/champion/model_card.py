"""The model card: what a champion is, how it was found, how sure it is and how to use it.

Every figure is read from the files that lie beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlib.journal.scores import REFERENCE, mean_interval, read_seed_scores, sd_between_seeds
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.families import FAMILIES, told
from cnnlib.networks.metric import MAXIMIZE, VAL_ACC, Metric
from cnnlib.networks.saved_files import (
    DamagedError,
    metric_of,
    read_classes,
    read_config,
    read_entries,
    read_metrics,
)
from cnnlib.search.decision import DIVERGED
from cnnlib.system.redaction import without_secrets

CONFIG_NEEDED = ("trial_id", "config", "image_size", "epoch", "val_acc_is", "origin", "seed")
FINALS_NEEDED = ("seeds", "standard_error")
TESTED = {"test_balanced_acc": "balanced accuracy", "test_f1": "macro F1", "test_loss": "loss"}
USES = {"train": "to train on", "val": "to validate", "test": "to test"}


def card(folder: Path) -> str:
    """The text of MODEL_CARD.md for a champion's folder; DamagedError where it cannot be read."""
    config, metrics = read_config(folder, *CONFIG_NEEDED), read_metrics(folder, "val_acc")
    classes = read_classes(folder)
    seen = read_entries(folder / "preprocessing.json", {})
    parts = [
        _head(config, classes),
        _accuracy(config, metrics),
        _chosen(folder, metrics),
        _data(config, classes),
        _pretrained(config),
        _hyperparameters(config),
        _preprocessing(seen),
        _use(config, (folder / "model.pt2").exists()),
        _limits(config),
        _versions(config),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(config: Mapping[str, Any], classes: Sequence[str]) -> str:
    trained = config["origin"] == "train"
    title = "Trained network" if trained else f"Champion: trial {config['trial_id']}"
    sweep = f" It won the sweep `{config['name']}`." if "name" in config and not trained else ""
    return (
        f"# {title}\n\n{_kind(config)} that tells {len(classes)} classes of photographs "
        f"apart, at {config['image_size']} x {config['image_size']} px.{sweep}"
    )


def _kind(config: Mapping[str, Any]) -> str:
    name = config.get("network", CNN.name)
    return "A convolutional network" if name == CNN.name else f"A network (`{name}`)"


def _accuracy(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    data = config.get("data", {})
    photos = f" ({data['val']:,} photographs)" if "val" in data else ""
    told, metric = [], config.get("metric")
    if metric and metric["value"] is not None:
        told.append(f"{metric['said']}{photos}: {metric['value']:.3f}")
    if metrics["val_acc"] is not None and (not metric or metric["name"] != "val_acc"):
        told.append(f"Validation accuracy{'' if told else photos}: {metrics['val_acc']:.3f}")
    lines = [f"- {'. '.join(told)}, {config['val_acc_is']}."] if told else []
    tested = "not tested yet"
    if "test_acc" in metrics:
        tested = (
            f"{metrics['test_acc']:.3f} (95% interval {metrics['test_low']:.3f} to "
            f"{metrics['test_high']:.3f}, {metrics['test_n']:,} photographs)"
        )
    lines.append(f"- Test accuracy: {tested}.")
    more = [f"{said} {metrics[name]:.3f}" for name, said in TESTED.items() if name in metrics]
    if more:
        lines.append(f"- On the same test photographs: {', '.join(more)}.")
    kept = f"after epoch {config['epoch']}"
    seed = "" if config["seed"] is None else f" of a training with seed {config['seed']}"
    lines.append(f"- Weights: as they were {kept}{seed}.")
    return "## How good it is\n\n" + "\n".join(lines)


def _chosen(folder: Path, metrics: Mapping[str, Any]) -> str:
    """The finals: each finalist over its seeds, and the luck of the champion."""
    if not (folder / "finals.csv").exists():
        return ""
    metric = metric_of(metrics)
    table = read_seed_scores(folder / "finals.csv", metric)
    search = "search_val_acc" if metric.name == "val_acc" else "search_value"
    needed = {"luck", search, "finals"} - metrics.keys()
    if needed or {*FINALS_NEEDED} - metrics["finals"].keys():
        raise DamagedError(folder / "metrics.json", "does not tell what finals.csv tells of")
    rows = []
    for candidate in table:
        if not candidate.whole:
            ended = DIVERGED if candidate.diverged else "failed"
            rows.append(f"| {candidate.trial_id} | a training {ended} | | | | |")
            continue
        name = "the reference" if candidate.trial_id == REFERENCE else candidate.trial_id
        searched = "" if candidate.search is None else f"{candidate.search:.3f}"
        values = ", ".join(f"{value:.3f}" for value in candidate.values)
        sd = "" if candidate.sd is None else f"{candidate.sd:.3f}"
        interval = mean_interval(candidate, table)
        sure = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
        rows.append(f"| {name} | {searched} | {values} | {candidate.mean:.3f} | {sd} | {sure} |")
    seeds = ", ".join(map(str, metrics["finals"]["seeds"]))
    return "\n".join(
        [
            "## How it was chosen",
            "",
            "The best trials of the search were trained again, in full, on the same training and "
            f"validation photographs with new seeds ({seeds}) for weights and order, and the one "
            f"with the {metric.best} mean{_of(metric)} was taken. Its score in the search had no "
            "say in that.",
            "",
            "| candidate | in the search | on new seeds | mean | sd | 95% interval of the mean |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            _luck(metrics, metrics[search], metric, sd_between_seeds(table)),
        ]
    )


def _of(metric: Metric) -> str:
    return "" if metric == VAL_ACC else f" of {metric.said}"


def _luck(
    metrics: Mapping[str, Any], search: float, metric: Metric, found: tuple[float, int] | None
) -> str:
    luck = metrics["luck"]
    more = (luck >= 0) == (metric.goal == MAXIMIZE)
    text = (
        f"In the search it had {search:.3f}, {abs(luck):.3f} {'more' if more else 'less'} than its "
        "mean on new seeds"
    )
    high = "high" if metric.goal == MAXIMIZE else "low"
    text += f": that much of a score picked for being {high} was luck." if luck > 0 else "."
    if found is None:
        return f"{text} With one seed each it is not known how sure that mean is."
    return (
        f"{text} The standard error of that mean is {metrics['finals']['standard_error']:.3f}, "
        f"from the spread between seeds of all candidates ({found[0]:.3f}, {found[1]} degrees of "
        "freedom)."
    )


def _data(config: Mapping[str, Any], classes: Sequence[str]) -> str:
    data = config.get("data", {})
    counts = [f"{data[split]:,} {use}" for split, use in USES.items() if split in data]
    lines = [
        f"- Source: {without_secrets(data['source'])}" if "source" in data else "",
        f"- Photographs: {', '.join(counts)}." if counts else "",
        f"- Fingerprint: `{data['fingerprint']}`" if "fingerprint" in data else "",
        f"- Classes: {', '.join(classes)}.",
    ]
    return "\n".join(["## Data", "", *filter(None, lines)])


def _pretrained(config: Mapping[str, Any]) -> str:
    """Where the weights began, and what that means for the test."""
    about = config.get("pretrained")
    if not about or about.get("weights") == "random":
        return ""
    named = {"backbone": "Network", "weights": "Weights", "sha256": "sha256"}
    lines = [f"- {word}: `{about[name]}`" for name, word in named.items() if name in about]
    lines += [
        f"- Licence of the weights: {about['licence']}.",
        f"- Trained on: {about['trained_on']}.",
    ]
    warning = (
        "Test photographs may have been among those: then the test accuracy says how well they "
        "are remembered, and less how well others would be recognised."
    )
    return "\n".join(["## Pretrained weights", "", *lines, "", warning])


def _hyperparameters(config: Mapping[str, Any]) -> str:
    shown = told(config["config"], network=config.get("network", CNN.name))
    rows = [f"| {name} | {value} |" for name, value in shown.items()]
    return "\n".join(["## Hyperparameters", "", "| name | value |", "|---|---|", *rows])


def _preprocessing(seen: Mapping[str, Any]) -> str:
    rows = [f"- {name}: {_said(value)}" for name, value in seen.items()]
    return "\n".join(["## Preprocessing", "", *rows])


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _use(config: Mapping[str, Any], exported: bool) -> str:
    """Three ways to load it."""
    size = config["image_size"]
    name = config.get("network", CNN.name)
    face = FAMILIES[name].face if name in FAMILIES else ""
    torch_alone = f"""
With torch alone, for RGB images of 0 to 1:

```python
import json, torch
extra = {{"classes.json": ""}}
model = torch.export.load("champion/model.pt2", extra_files=extra).module()
probabilities = model(torch.rand(1, 3, {size}, {size}))  # normalisation and softmax are inside
classes = json.loads(extra["classes.json"])
```
"""
    if not face:
        flag = f" --network {config['network']}" if "network_digest" in config else ""
        return f"""## How to load it

From the shell, for files and folders:

```sh
python jobs/predict.py champion{flag} photo.jpg
```
{torch_alone if exported else ""}""".rstrip()
    return f"""## How to load it

From the shell, for files and folders:

```sh
python jobs/predict.py champion photo.jpg
```

In Python, with cnnlib:

```python
from cnnlib import {face}
model = {face}.from_champion("champion")  # class scores of normalised images
```
{torch_alone if exported else ""}""".rstrip()


def _limits(config: Mapping[str, Any]) -> str:
    points = [
        "It knows these classes only: a photograph of anything else gets one of them too.",
        "Its confidence is a softmax and was not calibrated.",
        "Everything was chosen on the same validation photographs, whatever the seeds: only test "
        "photographs take no part in any choice.",
    ]
    if config["origin"] in ("final", "retrained"):
        points.append("Its mean is the highest of the finalists', so it too is a little lucky.")
    if config["origin"] == "retrained":
        points.append(
            "The schedule of the learning rate is that of a training at full length, ended at the "
            "epoch given above."
        )
    return "\n".join(["## Limits", "", *(f"- {point}" for point in points)])


def _versions(config: Mapping[str, Any]) -> str:
    if "versions" not in config:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    commit = f"; git commit {config['commit']}" if config.get("commit") else ""
    return f"## Versions\n\n{versions}{commit}"
