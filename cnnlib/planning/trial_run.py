"""A network of the user's own tried out before a sweep: one step of a few configurations."""

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from cnnlib.networks.classifier import Classifier
from cnnlib.networks.family import Family
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.networks.values import Space
from cnnlib.planning.cost import sampled
from cnnlib.system.redaction import named
from cnnlib.system.units import short
from cnnlib.training.own_metrics import our_names

TRIED = 3  # configurations; where one of them trains, the others may fail in their trials
IMAGES = 2


def try_out(
    family: Family,
    space: Space,
    *,
    num_classes: int,
    image_size: int,
    metric: Metric = VAL_ACC,
) -> None:
    """Raises ValueError, in one line, where the network cannot be trained as it is.

    One that fails for some configurations only is none of these: such trials fail.
    """
    reasons = []
    for config in sampled(space, image_size, family)[:TRIED]:
        try:
            model = family.build(config, num_classes, image_size)
            scores = model.eval()(torch.zeros(IMAGES, 3, image_size, image_size))
        except Exception as error:
            reasons.append(named(error))
            continue
        _check_scores(scores, family.name, num_classes, image_size)
        try:
            _step(model, family.name, num_classes, image_size, metric)
        except NoMetricError:
            raise
        except Exception as error:
            reasons.append(named(error))
            continue
        return
    raise ValueError(f"network: {family.name} does not train: {short(reasons[0], 300)}")


class NoMetricError(ValueError):
    """A LightningModule does not log what the sweep goes by."""


def _check_scores(scores: Any, name: str, num_classes: int, image_size: int) -> None:
    wanted = (IMAGES, num_classes)
    there = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if there != wanted:
        raise ValueError(
            f"network: {name} answers {there} to {IMAGES} images of {image_size} px; a score for "
            f"each of the {num_classes} classes is needed, {wanted}"
        )


def _step(model: Any, name: str, num_classes: int, image_size: int, metric: Metric) -> None:
    """One step of training, and of a LightningModule of the user's own one of validation."""
    images = torch.randn(IMAGES, 3, image_size, image_size)
    labels = torch.arange(IMAGES) % num_classes
    if isinstance(model, Classifier):
        F.cross_entropy(model.train()(images), labels).backward()
        return
    data = DataLoader(TensorDataset(images, labels), batch_size=IMAGES)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(model, train_dataloaders=data, val_dataloaders=data)
    logged = our_names(trainer.callback_metrics)
    if metric.name not in logged:
        there = ", ".join(trainer.callback_metrics) or "nothing"
        raise NoMetricError(
            f"network: {name} logs no {metric.said}, it logs {short(there, 200)}; write "
            f'self.log("{metric.name}", ...) in validation_step'
        )
