"""What a worker of Ray runs: a trial with its photographs and checkpoints, told to Tune."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cnnlib.networks.hyperparameter import TrialConfig, hyperparameters
from cnnlib.storage import traffic
from cnnlib.storage.traffic import MOVED
from cnnlib.storage.training_files import BEST, LAST
from cnnlib.training.on_machine import WAITING, kept, photographs
from cnnlib.training.trial import Task, failure, train


def ray_trial(
    config: dict[str, Any], task: Task, checkpoints: Path, bucket: str | None = None
) -> None:
    """What Ray Tune runs; <checkpoints>/<trial_id>/ holds its best weights and its last state.

    With a `bucket` it is <bucket>/<trial_id>/, which every node sees. Epochs up to
    config["after_epoch"] are known. A trial that raises reports the reason and ends, so that Ray
    starts lost workers again only; a fault of the disk or the storage is not the trial's. One that
    breaks the GPU for its process takes the process with it.
    """
    from ray import tune

    from cnnlib.running import dashboard

    node, name = os.uname().nodename, f"{config['trial_id']} {config['name']}"
    values = {name: config[name] for name in hyperparameters()}

    try:
        with kept(checkpoints, config["trial_id"], bucket) as (folder, keep):

            def report(row: dict[str, Any]) -> None:
                keep()
                if row["epoch"] > config["after_epoch"]:
                    tune.report({**row, "node": node, MOVED: traffic.since()})
                    dashboard.name_process(name)
                    dashboard.show(name, row)

            dataset = photographs(
                task.dataset,
                task.source,
                lambda text: tune.report({WAITING: text, "node": node}),
            )
            dashboard.name_process(name)
            train(
                TrialConfig.from_mapping(values),
                replace(task, max_epochs=config["max_epochs"], dataset=dataset),
                on_epoch=report,
                weights=folder / BEST,
                last=folder / LAST,
            )
    except torch.AcceleratorError:  # CUDA fails from now on in this process, which Ray would reuse
        logging.getLogger(__name__).exception("trial %s ends its process", config["trial_id"])
        os._exit(1)
    except Exception as error:
        tune.report(failure(error, f"trial {config['trial_id']}"))
