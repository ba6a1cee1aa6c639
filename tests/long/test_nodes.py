"""A sweep on several nodes, simulated on this machine: trials that start together decode once."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnnlib.journal.events import read_events
from cnnlib.journal.replay import replay
from cnnlib.journal.tables import read_results
from cnnlib.photos.sources import find_dataset
from tests.conftest import HANG, write_photos
from tests.long.nodes import simulated

TRIALS = 6
SMALL = ["first_layer_filters=2,4,8", "conv_layers=2,3", "num_neurons_dense=8"]


def test_each_node_decodes_once_though_its_trials_start_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))  # the head's
    photos = write_photos(tmp_path / "photos", train=40)
    settings = {
        "data": str(photos), "storage": str(tmp_path), "name": "nodes", "trials": TRIALS,
        "max_epochs": 1, "image_size": 8, "wandb": "off", "finalists": 0,
        "set": [*SMALL, "use_augmentation=true"],
    }  # fmt: skip
    command = [sys.executable, "-c", f"from cnnlib import Sweep; Sweep(**{settings!r}).run()"]
    with simulated(tmp_path, [3, 3]) as nodes:
        driver = subprocess.Popen(
            command, env=nodes.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            nodes.meet(find_dataset(photos), TRIALS, driver)
            said, complained = driver.communicate(timeout=HANG)
        finally:
            driver.kill()
        assert driver.returncode == 0, complained
        assert f"{TRIALS} trials at once" in said
        decodings, once_each = nodes.decodings(), nodes.once_each()
    assert [sorted(node) for node in once_each.values()] == [
        ["decoding 120 photographs to 8 px", "decoding 120 photographs to 9 px"]
    ] * 2
    assert decodings == once_each
    results = read_results(tmp_path / "nodes")
    assert list(results.trials["status"]) == ["completed"] * TRIALS
    assert list(results.epochs["epoch"]) == [1] * TRIALS
    assert replay(read_events(tmp_path / "nodes"))[0] is None
