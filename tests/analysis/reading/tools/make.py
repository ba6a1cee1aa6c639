"""Wrote data/: a small search as each of these tools logs it. To be run by hand, not by tests.

    python tests/analysis/reading/tools/make.py FOLDER

The files there are of optuna 5.0.0, pytorch-lightning 2.6.6 with torch 2.15.0 and tensorboard
2.21.0, and ray 2.60.0, on Python 3.11. Of Ray's trials params.json, result.json (without the
machine's name and address), the last line of error.txt and the states in
experiment_state are kept, of Optuna's database its gzip.
"""

import gzip
import sys
from pathlib import Path
from typing import Any

NUM_EPOCHS = 3


def accuracy(learning_rate: float, activation: str, epoch: int) -> float:
    return round(0.2 + 0.1 * (activation == "relu") + 0.05 * epoch - learning_rate, 4)


def write_optuna(out: Path) -> None:
    """Five trials: the third is pruned at its second report, the fourth raises."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    def objective(trial: Any) -> float:
        learning_rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        activation = trial.suggest_categorical("activation", ["relu", "gelu"])
        trial.suggest_int("conv_layers", 2, 4)
        if trial.number == 3:
            raise RuntimeError("out of memory")
        value = 0.0
        for epoch in range(NUM_EPOCHS):
            value = accuracy(learning_rate, activation, epoch)
            trial.report(value, epoch)
            if trial.number == 2 and epoch == 1:
                raise optuna.TrialPruned()
        return value

    database = out / "optuna.db"
    journal = JournalStorage(JournalFileBackend(str(out / "optuna.log")))
    for storage in (f"sqlite:///{database}", journal):
        study = optuna.create_study(
            study_name="cnn",
            storage=storage,
            direction="maximize",
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        study.optimize(objective, n_trials=5, catch=RuntimeError)
    study.trials_dataframe().to_csv(out / "optuna.csv")
    (out / "optuna.db.gz").write_bytes(gzip.compress(database.read_bytes(), mtime=0))
    database.unlink()


def write_lightning(out: Path) -> None:
    """Two runs by each logger."""
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, TensorDataset

    class Net(pl.LightningModule):
        def __init__(self, learning_rate: float, activation: str) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, 2)

        def training_step(self, batch: Any, number: int) -> Any:
            loss = cross_entropy(self.layer(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, number: int) -> None:
            self.log("val_loss", cross_entropy(self.layer(batch[0]), batch[1]))
            reached = accuracy(
                self.hparams.learning_rate, self.hparams.activation, self.current_epoch
            )
            self.log("val_acc", reached)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.hparams.learning_rate)

    data = DataLoader(TensorDataset(torch.randn(8, 2), torch.randint(0, 2, (8,))), batch_size=4)
    for name, logger in (("csv", CSVLogger), ("tensorboard", TensorBoardLogger)):
        for learning_rate, activation in ((0.01, "relu"), (0.05, "gelu")):
            pl.seed_everything(0)
            trainer = pl.Trainer(
                max_epochs=NUM_EPOCHS,
                logger=logger(str(out), name=f"lightning_{name}"),
                accelerator="cpu",
                enable_checkpointing=False,
                log_every_n_steps=1,
            )
            trainer.fit(Net(learning_rate, activation), data, data)


def write_ray(out: Path) -> None:
    """Six trials: those with a learning rate of 0.05 are stopped, those with 1.0 raise at once."""
    import ray
    from ray import tune

    def train(config: dict[str, Any]) -> None:
        if config["learning_rate"] > 0.9:
            raise RuntimeError("no memory")
        for epoch in range(NUM_EPOCHS):
            reached = accuracy(config["learning_rate"], config["model"]["activation"], epoch)
            loss = float("nan") if epoch == 0 else 1.0 / (epoch + 1)
            tune.report({"val_acc": reached, "val_loss": loss})

    class StopSome(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            is_slow = result["config"]["learning_rate"] == 0.05
            return is_slow and result["training_iteration"] >= 2

        def stop_all(self) -> bool:
            return False

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    space = {
        "learning_rate": tune.grid_search([0.01, 0.05, 1.0]),
        "model": {"activation": tune.grid_search(["relu", "gelu"])},
    }
    where = tune.RunConfig(name="ray_tune", storage_path=str(out.resolve()), stop=StopSome())
    tune.Tuner(train, param_space=space, run_config=where).fit()
    ray.shutdown()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for write in (write_optuna, write_lightning, write_ray):
        write(folder)
