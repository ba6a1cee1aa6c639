import math
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from cnnlib.networks.classifier import class_means
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.cnn.layers import ACTIVATIONS, RISING, network
from cnnlib.pixels.datamodule import Batches

STUDY = {
    "first_layer_filters": 64,
    "filter_org": 1.0,
    "conv_layers": 5,
    "num_neurons_dense": 256,
    "batch_norm": False,
}


def test_the_summary_of_the_studys_network_has_its_parameters_and_shapes() -> None:
    rows = [line.split(maxsplit=2) for line in CustomCNN(**STUDY).summary().splitlines()]
    table = {f"{index} {layer}": rest for index, layer, rest in rows[1:-1]}
    assert table["0 Conv2d"].split() == ["(64,", "224,", "224)", "1,792"]
    assert table["1 MaxPool2d"].split() == ["(64,", "112,", "112)", "0"]
    assert table["16 Linear"].split() == ["(256)", "803,072"]
    assert table["19 Linear"].split() == ["(10)", "2,570"]


def test_the_summary_counts_every_parameter_and_leaves_the_network_as_it_was() -> None:
    model = CustomCNN(conv_layers=3, image_size=32)
    model.train()
    total = sum(p.numel() for p in model.parameters())
    assert model.summary().splitlines()[-1].split() == ["total", f"{total:,}"]
    assert model.training
    assert int(model.network[1].num_batches_tracked) == 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_a_score_for_each_class(activation: str) -> None:
    model = CustomCNN(activation=activation, conv_layers=2, image_size=16, num_classes=4)
    assert model(torch.rand(3, 3, 16, 16)).shape == (3, 4)


def test_sizes_that_do_not_halve_evenly_fit_the_dense_layer() -> None:
    config = TrialConfig(conv_layers=3, first_layer_filters=4)
    for image_size in (8, 9, 15, 30, 33):
        assert network(config, 2, image_size)(torch.rand(1, 3, image_size, image_size)).shape == (
            1,
            2,
        )


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_convolutions_of_every_size_keep_the_images_size(kernel_size: int) -> None:
    model = CustomCNN(conv_layers=3, image_size=8, kernel_size=kernel_size, first_layer_filters=4)
    assert model.network[0].weight.shape == (4, 3, kernel_size, kernel_size)
    rows = [line.split(maxsplit=2) for line in model.summary().splitlines()]
    shapes = {f"{i} {layer}": rest.rsplit(maxsplit=1)[0] for i, layer, rest in rows[1:-1]}
    assert shapes["0 Conv2d"] == "(4, 8, 8)"
    assert shapes["4 Conv2d"] == "(4, 4, 4)"
    assert shapes["10 MaxPool2d"] == "(4, 1, 1)"


def test_global_average_pooling_gives_the_dense_layer_the_mean_of_each_channel() -> None:
    model = CustomCNN(conv_layers=2, image_size=22, head="gap", first_layer_filters=4, dropout=0.0)
    pooling = len(model.network) - 6
    dense = model.network[pooling + 2]
    assert dense.in_features == 4
    before = model.eval().network[:pooling](torch.rand(2, 3, 22, 22))  # (2, 4, 5, 5)
    after = model.network[pooling : pooling + 2](before)
    torch.testing.assert_close(after, before.mean((2, 3)))
    assert "AvgPool2d     (4, 1, 1)" in model.summary()
    assert "AvgPool2d" not in CustomCNN(conv_layers=2, image_size=22).summary()


def test_one_pixel_is_enough_for_global_average_pooling() -> None:
    model = CustomCNN(conv_layers=3, image_size=8, head="gap", kernel_size=7, num_classes=4)
    assert model.eval()(torch.rand(2, 3, 8, 8)).shape == (2, 4)


def test_batch_norm_and_dropout_are_there_when_asked_for() -> None:
    kinds = [type(layer).__name__ for layer in CustomCNN(batch_norm=True, dropout=0.25).network]
    assert kinds.count("BatchNorm2d") == 5
    assert "BatchNorm2d" not in [type(x).__name__ for x in CustomCNN(**STUDY).network]
    [dropout] = [x for x in CustomCNN(dropout=0.25).network if isinstance(x, torch.nn.Dropout)]
    assert dropout.p == 0.25


def test_a_network_that_cannot_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="conv_layers: 5 poolings leave nothing of 16 px"):
        CustomCNN(image_size=16)
    with pytest.raises(ValueError, match="no such hyperparameter; did you mean dropout"):
        CustomCNN(droput=0.1)
    with pytest.raises(ValueError, match="give a TrialConfig or dropout, not both"):
        CustomCNN(TrialConfig(), dropout=0.1)


def trainer(**settings: object) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,  # type: ignore[arg-type]
    )


def batches(num_images: int, batch_size: int) -> Batches:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (num_images, 8, 8, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, (num_images,), generator=generator)
    return Batches(
        images.numpy(),
        labels.numpy(),
        torch.arange(num_images).numpy(),
        batch_size=batch_size,
        image_size=8,
        device=torch.device("cpu"),
        seed=0,
        shuffle=False,
    )


def test_accuracy_and_loss_are_counted_over_images_not_averaged_over_batches() -> None:
    torch.manual_seed(0)
    model = CustomCNN(conv_layers=2, first_layer_filters=4, image_size=8, num_classes=3)
    data = batches(10, 7)  # batches of 7 and 3 weigh differently
    [metrics] = trainer().test(model, data, verbose=False)
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(images) for images, _ in data])
    labels = torch.cat([labels for _, labels in data])
    assert metrics["test_acc"] == pytest.approx((scores.argmax(1) == labels).float().mean().item())
    loss = torch.nn.functional.cross_entropy(scores, labels).item()
    assert metrics["test_loss"] == pytest.approx(loss, rel=1e-5)


def spoilt(model: CustomCNN, value: float, where: str) -> CustomCNN:
    """The model with that value among its outputs, for all images, for some, or in a weight."""
    if where == "outputs":
        model.network.append(Spoils(slice(None), value))
    elif where == "one output of one image":
        model.network.append(Spoils((0, 2), value))
    else:  # after batch norm of an infinite variance each image looks alike
        model.network[1].running_var[0] = value
    return model


class Spoils(torch.nn.Module):
    """Puts a value into scores, in evaluation."""

    def __init__(self, place: Any, value: float) -> None:
        super().__init__()
        self.place, self.value = place, value

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        if not self.training:
            scores = scores.clone()
            scores[self.place] = self.value
        return scores


@pytest.mark.parametrize("where", ["outputs", "one output of one image", "a weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_network_that_is_not_finite_has_no_accuracy(value: float, where: str) -> None:
    model = CustomCNN(conv_layers=2, first_layer_filters=4, image_size=8, num_classes=3)
    fit = trainer()
    [metrics] = fit.test(spoilt(model, value, where), batches(10, 7), verbose=False)
    assert math.isnan(metrics["test_acc"])
    [metrics] = fit.validate(model, batches(10, 7), verbose=False)
    assert all(math.isnan(metrics[name]) for name in ("val_acc", "val_balanced_acc", "val_f1"))
    assert model.class_counts[0].isnan().all(), "nor a recall of a class"


def test_balanced_accuracy_and_macro_f1_are_those_of_the_counts() -> None:
    recognised, there, taken = [6.0, 1.0, 0.0, 0.0], [8.0, 2.0, 0.0, 0.0], [7.0, 2.0, 1.0, 0.0]
    balanced_acc, f1 = class_means(torch.tensor([recognised, there, taken]))
    assert balanced_acc.item() == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert f1.item() == pytest.approx((12 / 15 + 2 / 4 + 0) / 3), "none of the third is right"


def test_what_counts_classes_alike_is_logged_of_validation_and_test() -> None:
    model = CustomCNN(conv_layers=2, first_layer_filters=4, image_size=8, num_classes=3)
    data, fit = batches(10, 4), trainer()
    with torch.no_grad():
        guesses = torch.cat([model.eval()(images).argmax(1) for images, _ in data])
    labels = torch.cat([labels for _, labels in data])
    recalls = [(guesses[labels == n] == n).float().mean().item() for n in labels.unique()]
    for stage, [metrics] in (
        ("val", fit.validate(model, data, verbose=False)),
        ("test", fit.test(model, data, verbose=False)),
    ):
        assert metrics[f"{stage}_balanced_acc"] == pytest.approx(sum(recalls) / len(recalls))
        assert model.class_counts[2].tolist() == torch.bincount(guesses, minlength=3).tolist()


@pytest.mark.parametrize("value", [1e30, -1e30])
def test_a_network_that_is_finite_has_an_accuracy_however_large(value: float) -> None:
    model = CustomCNN(conv_layers=2, first_layer_filters=4, image_size=8, num_classes=3)
    model = spoilt(model, value, "one output of one image")
    [metrics] = trainer().test(model, batches(10, 7), verbose=False)
    assert 0 <= metrics["test_acc"] <= 1


def test_training_that_diverges_has_no_accuracy_either() -> None:
    model = CustomCNN(conv_layers=2, first_layer_filters=4, image_size=8, num_classes=3)
    torch.nn.init.constant_(model.network[0].bias, math.nan)
    fit = trainer(max_epochs=1)
    fit.fit(model, batches(8, 8), batches(8, 8))
    assert math.isnan(fit.callback_metrics["train_acc"])
    assert math.isnan(fit.callback_metrics["val_acc"])


def test_the_studys_names_say_what_ours_do() -> None:
    settings: dict[str, Any] = {"conv_layers": 2, "first_layer_filters": 4}
    model = CustomCNN(input_shape=(3, 16, 16), optimizer_name="SGD", **settings)
    assert (model.image_size, model.config.optimizer) == (16, "sgd")
    assert CustomCNN(image_size=(16, 16), **settings).image_size == 16
    assert CustomCNN(input_shape=[3, 16, 16], image_size=16, **settings).image_size == 16


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_shape": (3, 16, 12)}, r"image_size: \(16, 12\) is not square"),
        ({"input_shape": (1, 16, 16)}, r"input_shape: \(1, 16, 16\) is not \(3, height, width\)"),
        ({"input_shape": (16, 16, 3)}, r"input_shape: \(16, 16, 3\) is not \(3, height, width\)"),
        ({"input_shape": 16}, r"input_shape: 16 is not \(3, height, width\)"),
        ({"input_shape": (3, 16, 16), "image_size": 8}, "is not of image_size 8; give one"),
        ({"optimizer_name": "lion"}, "optimizer: lion is not one of adam, adamw, sgd"),
        (
            {"optimizer_name": "sgd", "optimizer": "adam"},
            "optimizer_name: sgd is not the optimizer",
        ),
    ],
)
def test_the_studys_names_are_checked_as_ours_are(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CustomCNN(conv_layers=2, **settings)


def test_eight_images_are_learnt_by_heart() -> None:
    torch.manual_seed(0)
    model = CustomCNN(
        conv_layers=2, first_layer_filters=8, image_size=8, num_classes=3, dropout=0.0
    )
    fit = trainer(max_epochs=30)
    fit.fit(model, batches(8, 8), batches(8, 8))
    assert fit.callback_metrics["train_acc"] == 1.0
    assert fit.callback_metrics["train_loss"] < 0.1
    assert {"train_loss", "train_acc", "val_loss", "val_acc"} <= set(fit.callback_metrics)


def test_a_lightning_checkpoint_gives_the_network_back(tmp_path) -> None:
    model = CustomCNN(conv_layers=2, image_size=8, num_classes=3, batch_norm=False)
    fit = trainer(max_epochs=1)
    fit.fit(model, batches(8, 8), batches(8, 8))
    fit.save_checkpoint(tmp_path / "last.ckpt")
    again = CustomCNN.load_from_checkpoint(tmp_path / "last.ckpt")
    assert again.config == model.config
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(again.eval()(images), model.eval()(images))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_pooling_before_a_rising_activation_changes_nothing(name: str) -> None:
    activation, pool = ACTIVATIONS[name](), torch.nn.MaxPool2d(2)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    same = torch.equal(pool(activation(images)), activation(pool(images)))
    assert same is (name in RISING or name == "prelu")  # whose slope may become negative


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        # Of the second convolution's weights, 144 inputs and 144 outputs each.
        ("xavier_uniform", (2 / 288) ** 0.5),
        ("xavier_normal", (2 / 288) ** 0.5),
        ("kaiming_uniform", (2 / 144) ** 0.5),
        ("kaiming_normal", (2 / 144) ** 0.5),
        ("default", (1 / 3 / 144) ** 0.5),
    ],
)
def test_weights_begin_as_asked_for(name: str, spread: float) -> None:
    torch.manual_seed(0)
    config = TrialConfig(conv_layers=2, first_layer_filters=16, weight_init=name, batch_norm=False)
    convolutions = [m for m in network(config, 4, 16) if isinstance(m, torch.nn.Conv2d)]
    weight, bias = convolutions[1].weight, convolutions[1].bias
    assert weight.std().item() == pytest.approx(spread, rel=0.06)
    assert weight.abs().max() > 3 * spread or not name.endswith("normal")
    assert (bias.abs().sum() == 0) == (name != "default")


def test_weights_that_begin_orthogonal_are() -> None:
    config = TrialConfig(conv_layers=2, first_layer_filters=4, weight_init="orthogonal")
    weight = network(config, 4, 16)[-1].weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(4))
    with torch.device("meta"):
        network(config, 4, 16)  # as costs are counted
