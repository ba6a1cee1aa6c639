"""Classifier: any network as Lightning trains it by the recipe, and what is measured then."""

import math
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from cnnlib.networks import recipe, schedules
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.summary import summary


class Classifier(LightningModule):
    """A network that gives class scores, trained as its configuration's recipe says.

    Logs train_loss, train_acc, val_loss, val_acc, test_loss and test_acc once an epoch, each
    counted over images, and of validation and test the balanced accuracy and the macro F1
    (val_balanced_acc, val_f1), as scikit-learn has them. All but the losses are NaN where any
    output, loss or weight is not finite: such a network predicts nothing, though argmax would make
    it the first class.
    """

    def __init__(
        self, network: nn.Module, config: Recipe, *, num_classes: int, image_size: int
    ) -> None:
        """`image_size` is the side in pixels: images are square."""
        super().__init__()
        self.save_hyperparameters(
            {**asdict(config), "num_classes": num_classes, "image_size": image_size}
        )
        self.config = config
        self.image_size = image_size
        self.network = network
        self._average = recipe.MovingAverage(self.network, config.ema) if config.ema else None
        self._totals: dict[str, list[Tensor]] = {}
        self._class_weights: Tensor | None = None  # in the loss of training
        self.class_counts = torch.zeros(3, num_classes)
        """Validation images of the last epoch by class: recognised, all, taken for it."""

    def forward(self, images: Tensor) -> Tensor:
        """Class scores before softmax, (N, num_classes), for normalised images (N, 3, H, W)."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("test", batch)

    def scores_and_loss(self, stage: str, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The class scores, and the mean loss."""
        scores = self(images)
        return scores, self.loss(stage, scores, labels)

    def loss(self, stage: str, scores: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy; training weighs the classes and smooths the labels, if asked."""
        if stage != "train":
            return F.cross_entropy(scores, labels)
        smoothing, weights = self.config.label_smoothing, self._class_weights
        return F.cross_entropy(scores, labels, weight=weights, label_smoothing=smoothing)

    def _step(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The mean loss of a batch; sums are kept on the device, so that no step waits for them."""
        images, labels = batch
        scores, loss = self.scores_and_loss(stage, images, labels)
        with torch.no_grad():
            guesses = scores.argmax(1)
            hits = (guesses == labels).float()
            # The sum of all scores is finite only if each is: no step has to wait for the answer.
            shown = scores.sum(dtype=torch.float32)
            sums = torch.stack([loss.detach().float() * len(labels), hits.sum(), shown])
            if stage != "train":
                ones = torch.ones_like(hits)
                self.class_counts[:2].index_add_(1, labels, torch.stack([hits, ones]))
                self.class_counts[2].index_add_(0, guesses, ones)
        total = self._totals.setdefault(stage, [torch.zeros_like(sums), sums.new_zeros(())])
        total[0] += sums
        total[1] += len(labels)
        return loss

    def _log_epoch(self, stage: str) -> None:
        sums, num_images = self._totals.pop(stage)
        loss, acc, _ = sums / num_images
        weights = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        # 0 if losses, scores and weights are finite, else NaN, which a sum hands on.
        nothing = 0 * (sums.sum() + get_total_norm(weights, math.inf))
        acc = acc + nothing
        self._follow_plateau(stage, loss)
        # Lightning needs a batch size to weigh with, and there is one value an epoch.
        self.log(f"{stage}_loss", loss, batch_size=1)
        self.log(f"{stage}_acc", acc, batch_size=1, prog_bar=True)
        if stage != "train":
            self.class_counts[0] += nothing
            balanced_acc, f1 = class_means(self.class_counts)
            self.log(f"{stage}_balanced_acc", balanced_acc, batch_size=1)
            self.log(f"{stage}_f1", f1, batch_size=1)

    def on_fit_start(self) -> None:
        """Warns where a callback takes the worst epoch for the best: Lightning's default mode."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if not isinstance(callback, EarlyStopping | ModelCheckpoint):
                continue
            kind, monitor, mode = type(callback).__name__, callback.monitor or "", callback.mode
            meant = {"acc": "max", "loss": "min"}.get(monitor.rpartition("_")[2], mode)
            if mode != meant:
                rank_zero_warn(
                    f'{kind}(monitor="{monitor}") has the mode "{mode}", so it takes the '
                    f"{'lowest' if mode == 'min' else 'highest'} {monitor} for the best; "
                    f'write mode="{meant}"'
                )

    def on_train_start(self) -> None:
        if self.config.class_weights == "balanced":
            labels = recipe.training_labels(self.trainer.train_dataloader)
            weights = recipe.balanced_weights(labels, self.class_counts.shape[1])
            self._class_weights = weights.to(self.device)

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")

    def on_validation_epoch_start(self) -> None:
        self.class_counts = torch.zeros_like(self.class_counts, device=self.device)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test")

    def configure_optimizers(self) -> Any:
        return self.scheduled(recipe.optimizer(self.config, self.parameters()))

    def scheduled(self, optimizer: torch.optim.Optimizer) -> Any:
        """The optimiser, with the schedule of its learning rate where that is not constant."""
        if self.config.learning_rate_schedule == "constant" and not self.config.warm_up:
            return optimizer
        schedule = schedules.schedule(self.config, optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def _follow_plateau(self, stage: str, loss: Tensor) -> None:
        """Tells the schedule a fit's loss of validation, or of training where nothing validates."""
        if self.config.learning_rate_schedule != "plateau" or self.trainer.state.fn != "fit":
            return
        validates = sum(self.trainer.num_val_batches) > 0  # type: ignore[arg-type]
        if stage == ("val" if validates else "train") and not self.trainer.sanity_checking:
            schedules.after_epoch(self.lr_schedulers(), loss.item())

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by the norm that the configuration says, else as the trainer says."""
        if self.config.gradient_clip_val:
            gradient_clip_val, gradient_clip_algorithm = self.config.gradient_clip_val, "norm"
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def configure_callbacks(self) -> list[Callback]:
        """The moving average of the weights, where it is asked for and not there already."""
        there = self._average in self.trainer.callbacks  # type: ignore[attr-defined]
        return [self._average] if self._average and not there else []

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        if self._average:
            self._average.update(self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._average:
            self._average.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._average:
            self._average.load(checkpoint)

    @property
    def trained_parameters(self) -> list[nn.Parameter]:
        """Those that train in the end."""
        return [p for p in self.network.parameters() if p.requires_grad]

    @property
    def num_parameters(self) -> tuple[int, int]:
        """In all, and those that train."""
        sizes = [(p.numel(), p.requires_grad) for p in self.network.parameters()]
        return sum(n for n, _ in sizes), sum(n for n, trains in sizes if trains)

    def summary(self) -> str:
        """A table of the layers: name, output shape without N, number of parameters."""
        return summary(self.network, self.image_size)


def class_means(class_counts: Tensor) -> tuple[Tensor, Tensor]:
    """Balanced accuracy and macro F1 of (recognised, all, taken for it) by class.

    A class counts in the first where there are images of it, and in the second also where any
    image was taken for it: classes of few images as much as those of many.
    """
    hits, there, taken = class_counts
    counts = there > 0
    recall = hits / there.clamp(min=1)
    balanced_acc = (recall * counts).sum() / counts.sum()
    f1 = 2 * hits / (there + taken).clamp(min=1)
    return balanced_acc, f1.sum() / (there + taken > 0).sum()
