"""Trains one configuration, from a file or --set, and keeps its best weights."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where nothing was installed

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.families import told
from cnnlib.networks.family import Family
from cnnlib.networks.metric import MAXIMIZE, MINIMIZE, VAL_ACC, read_metric
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.values import Choice, Space
from cnnlib.photos.sources import find_dataset
from cnnlib.planning.make_plan import default_size
from cnnlib.planning.settings import check_flags
from cnnlib.search.reference import read_hyperparameters
from cnnlib.search.space import constants, with_set
from cnnlib.system.flags import Flags, weights_setting
from cnnlib.system.surroundings import check_surroundings
from cnnlib.tracking.account import resolved_mode
from jobs.tune import exit_after, mistake


def parser() -> Flags:
    """The flags."""
    flags = Flags(description="Trains one configuration of the CNN.", allow_abbrev=False)
    add = flags.add_argument
    add("--config", metavar="FILE", help="JSON or YAML: hyperparameters, or a champion's config")
    add(
        "--network",
        default=CNN.name,
        metavar="NAME",
        help="cnn (default), or file.py:NAME of your own",
    )
    add("--set", action="append", default=[], metavar="NAME=V", help="one hyperparameter")
    add(
        "--weights", dest="set", action="append", type=weights_setting, metavar="PATH",
        help="pretrained weights: a file or folder of them, or none (default: where they are)",
    )  # fmt: skip
    add("--metric", default=VAL_ACC.name, metavar="NAME", help="the best epoch's (default val_acc)")
    add("--goal", choices=(MAXIMIZE, MINIMIZE), help="of a metric whose name does not say it")
    add("--data", default="sample", help="sample (default), or a folder, zip or URL")
    add("--image-size", type=int, metavar="PX", help="side of the images (default 224; sample 32)")
    add("--max-epochs", type=int, default=50, metavar="N", help="default 50")
    add("--patience", type=int, default=5, metavar="N", help="epochs without progress (default 5)")
    add("--seed", type=int, default=42, metavar="N", help="of the split and the training")
    add("--wandb", choices=("auto", "online", "offline", "off"), default="off", help="default off")
    add("--wandb-project", default="cnnlib", metavar="NAME", help="W&B project (default cnnlib)")
    add("--out", required=True, metavar="FOLDER", help="a new folder for weights and metrics")
    return flags


def main() -> int:
    """Trains; returns the exit code."""
    flags = parser().parse_args()
    try:
        check_surroundings()
        check_flags(flags)
        out = Path(flags.out)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"--out: {out} exists; nothing is overwritten: choose a new folder")
        metric, notes = read_metric(flags.metric, flags.goal, field="--metric")
        family = family_asked(flags.network)
        config = configuration(flags.config, flags.set, family)
        image_size = default_size(family) if flags.data != "sample" else 32
        if flags.image_size is not None:
            image_size = flags.image_size
        if reason := family.impossible(config, image_size):
            raise ValueError(reason)
        dataset = find_dataset(flags.data)
        if family.digest is not None:
            from cnnlib.planning.trial_run import try_out

            fixed: Space = {name: Choice((value,)) for name, value in vars(config).items()}
            try_out(family, fixed, num_classes=len(dataset.classes), image_size=image_size)
        check_memory(config, num_classes=len(dataset.classes), image_size=image_size, family=family)
        # From here on it takes time: W&B, PyTorch, decoding.
        flags.wandb = resolved_mode(flags.wandb)
        from cnnlib.pixels.pixels import decode_ahead
        from cnnlib.system.limits import cores
        from cnnlib.training.trial import Task

        decode_ahead(dataset, image_size, augmented=config.use_augmentation, test=False)
        out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        return mistake(error)
    for note in (*notes, *dataset.notes):
        print(f"note: {note}", flush=True)
    task = Task(
        dataset,
        image_size,
        flags.max_epochs,
        flags.patience,
        flags.seed,
        cores(),
        family=family,
        metric=metric,
    )
    return _train(config, task, out, flags)


def configuration(file: str | None, settings: list[str], family: Family = CNN) -> Any:
    """The configuration of a file, with those of --set in place of its values."""
    values = read_hyperparameters(file) if file is not None else {}
    fixed = with_set({}, settings, family)
    if several := fixed.keys() - constants(fixed).keys():
        raise ValueError(f"--set: one value each, please; {', '.join(several)} has more")
    return family.configuration({**values, **constants(fixed)})


def check_memory(
    config: Configuration, *, num_classes: int, image_size: int, family: Family = CNN
) -> None:
    """Raises ValueError where the network does not fit into what trains it: the GPU, or memory."""
    import torch

    from cnnlib.planning.cost import training_bytes
    from cnnlib.system.limits import free_memory
    from cnnlib.system.units import byte_size

    try:
        needed = training_bytes(
            config, num_classes=num_classes, image_size=image_size, family=family
        )
    except RuntimeError:  # a layer of more numbers than can be counted
        needed = sys.maxsize
    there, what = free_memory(), "machine"
    if torch.cuda.is_available():
        there, what = torch.cuda.get_device_properties(0).total_memory, "GPU"
    if needed > there:
        raise ValueError(
            f"the network needs about {byte_size(needed)} to train, and the {what} has "
            f"{byte_size(there)}; "
            "take fewer filters or neurons, a smaller batch_size or --image-size"
        )


def _train(config: Configuration, task: Any, out: Path, flags: argparse.Namespace) -> int:
    """Trains and keeps what came out; 1 where no epoch's network predicts anything."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    import pandas as pd
    from pytorch_lightning.callbacks import ModelCheckpoint

    from cnnlib.champion.champion import Champion, write_champion
    from cnnlib.journal.columns import CLASS_COUNTS
    from cnnlib.journal.events import Journal
    from cnnlib.networks.saved_files import WEIGHTS
    from cnnlib.networks.summary import scorer, summary
    from cnnlib.planning.provenance import provenance
    from cnnlib.search.decision import divergence
    from cnnlib.tracking import Tracking
    from cnnlib.training.trial import best_epoch, train

    model: Any = task.family.build(config, len(task.dataset.classes), task.image_size)
    print(summary(scorer(model), task.image_size), flush=True)
    # What W&B follows; below wandb/, because the folder is no sweep's.
    journal = Journal(out / "wandb") if flags.wandb != "off" else None
    note = journal.append if journal else lambda *_, **__: None
    tracking = Tracking(
        out,
        mode=flags.wandb,
        project=flags.wandb_project,
        sweep=out.name,
        started=datetime.now(UTC).isoformat(),
    )
    note("proposed", trial_id="train", config=told(asdict(config), network=task.family.name))
    note("started", trial_id="train")
    rows: list[dict[str, Any]] = []
    metric = task.metric

    def on_epoch(metrics: dict[str, Any]) -> None:
        metrics = {name: value for name, value in metrics.items() if name != CLASS_COUNTS}
        rows.append(metrics)
        note("epoch", trial_id="train", **metrics)
        names = dict.fromkeys(("train_loss", "train_acc", "val_loss", "val_acc", metric.name))
        shown = "".join(f"  {name} {metrics[name]:.3f}" for name in names if name in metrics)
        print(f"epoch {metrics['epoch']:>3}{shown}  {metrics['seconds']:.1f} s", flush=True)

    best_model = ModelCheckpoint(
        dirpath=out, monitor=metric.name, mode=metric.goal[:3], filename="best_model"
    )
    try:
        train(config, task, on_epoch=on_epoch, weights=out / WEIGHTS, callbacks=[best_model])
    except SystemExit:  # what Lightning makes of Ctrl-C
        tracking.close()
        raise KeyboardInterrupt from None
    pd.DataFrame(rows).to_csv(out / "epochs.csv", index=False)
    if metric.diverged(rows[-1]):
        print(divergence(len(rows)) + "; lower the learning_rate", file=sys.stderr)
    able = [row for row in rows if not metric.diverged(row)]
    note("failed" if metric.diverged(rows[-1]) else "finished", trial_id="train")
    if journal:
        journal.close()
    tracking.close()
    if not able:
        (out / "best_model.ckpt").unlink(missing_ok=True)  # such weights serve nobody
        return 1
    best = able[best_epoch(able, metric) - 1]
    champion = Champion(
        folder=out,
        trial_id="train",
        config=config,
        classes=task.dataset.classes,
        image_size=task.image_size,
        epoch=best["epoch"],
        val_acc=best.get("val_acc"),
        metric=metric,
        value=None if metric == VAL_ACC else best[metric.name],
        origin="train",
        seed=task.seed,
        levels=task.dataset.levels,
        family=task.family,
    )
    write_champion(champion, about=provenance(flags.data, task.dataset, task.seed))
    if flags.wandb != "off":
        print(tracking.line)
    print(f"best: {champion.said} at epoch {best['epoch']}; weights: {out}/{WEIGHTS}")
    return 0


def command() -> NoReturn:
    """What `cnnlib-train` runs."""
    exit_after(main)


if __name__ == "__main__":
    command()
