"""The report's sections of photographs: mistakes, confusions, and what the network looks for."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis import photo_figures
from analysis.folder import SweepFolder
from analysis.page import Block, Paragraph, Picture, Section
from analysis.pictures import find_photo
from analysis.predictions import confused_pairs, stratified_sample, surest_mistakes
from analysis.summary import counted, percent

if TYPE_CHECKING:
    from cnnlib.model import CustomCNN

NUM_MISTAKES = 20
NUM_PAIRS = 5
NUM_SEEN = 200  # photographs among which the neurons' favourites are sought
MAX_FILTERS = 128
MISSING = "The photographs are not where the test found them (--data says where they are now)"


def mistake_section(sweep: SweepFolder, figures: Path, folders: list[Path]) -> Section:
    """What the champion takes for what, and how sure it is."""
    title, predictions = "Its mistakes", sweep.predictions
    if predictions is None or not len(predictions):
        return Section(title, [])
    if predictions["correct"].all():
        n = counted(len(predictions), "test photograph")
        return Section(title, [Paragraph(f"None: all of {n} were recognised.")])
    blocks: list[Block] = []
    if predictions["confidence"].notna().any():
        blocks += [_confidence(predictions, figures)]
    if not are_found(predictions, folders):
        blocks.append(Paragraph(f"{MISSING}, so no mistakes are shown."))
        return Section(title, blocks)
    return Section(title, [*blocks, *_mistakes(predictions, figures, folders)])


def are_found(predictions: pd.DataFrame, folders: list[Path]) -> bool:
    """Whether any of the photographs can be shown."""
    return any(find_photo(file, folders) for file in predictions["file"].head(NUM_SEEN))


def _confidence(predictions: pd.DataFrame, figures: Path) -> Picture:
    photo_figures.save_confidence(predictions, figures / "confidence.png")
    sure = predictions[predictions["confidence"] >= 0.9]
    told = ""
    if len(sure):
        told = (
            f" Of {counted(len(sure), 'prediction')} with a confidence of 90% or more,"
            f" {percent(sure['correct'].mean())} are right."
        )
    return Picture(
        "confidence",
        "Cumulative share of right and of wrong predictions by confidence.",
        "How sure the champion is where it is right (solid) and where it is wrong (dashed): the"
        " share of predictions with at most that confidence. The farther the lines lie apart, the"
        f" more its confidence tells.{told}",
        small=True,
    )


def _mistakes(predictions: pd.DataFrame, figures: Path, folders: list[Path]) -> list[Block]:
    blocks: list[Block] = []
    mistakes = surest_mistakes(predictions, NUM_MISTAKES)
    if len(mistakes):
        photo_figures.save_mistakes(mistakes, folders, figures / "mistakes.png")
        blocks.append(
            Picture(
                "mistakes",
                f"The {counted(len(mistakes), 'wrong prediction')} of highest confidence.",
                f"The surest of {counted(int((~predictions['correct']).sum()), 'mistake')}, the"
                " surest first: look for wrong labels, and for several things in one photograph.",
            )
        )
    pairs = confused_pairs(predictions, NUM_PAIRS)
    if pairs:
        photo_figures.save_pairs(pairs, folders, figures / "pairs.png")
        said = "; ".join(f"{p.label} taken for {p.predicted}, {p.count} of {p.n}" for p in pairs)
        blocks.append(
            Picture(
                "pairs",
                f"The {counted(len(pairs), 'pair')} of classes that are confused most often.",
                f"The commonest confusions: {said}. On the left the surest of those mistakes, on"
                " the right a photograph of the class that it was taken for, rightly recognised"
                " with a confidence in the middle of that class.",
            )
        )
    return blocks


def network_section(sweep: SweepFolder, figures: Path, folders: list[Path]) -> Section:
    """The champion's first filters, and what its last neurons look for."""
    title = "What the network looks for"
    if not sweep.champion:
        return Section(title, [])
    if not (sweep.path / "champion" / "weights.safetensors").is_file():
        text = "The champion's weights are not in champion/, so its filters cannot be shown."
        return Section(title, [Paragraph(text)])
    try:
        from analysis import network  # loads torch
    except ImportError as error:
        text = f"Drawing the network needs {error.name}, which is not installed."
        return Section(title, [Paragraph(text)])
    try:
        model = network.read_network(sweep.path)
    except ValueError as error:
        return Section(title, [Paragraph(f"Not shown: {error}.")])
    filters = network.first_filters(model)
    photo_figures.save_filters(filters[:MAX_FILTERS], figures / "filters.png")
    side = filters.shape[1]
    some = f"The first {MAX_FILTERS} of" if len(filters) > MAX_FILTERS else "All"
    return Section(
        title,
        [
            Picture(
                "filters",
                f"{min(len(filters), MAX_FILTERS)} filters of the first convolution in colour.",
                f"{some} {len(filters)} filters of the first convolution, {side} x {side} pixels by"
                " red, green and blue, each stretched over the whole range by itself: edges,"
                " spots and colours that it answers to.",
            ),
            *_neurons(sweep, model, figures, folders),
        ],
    )


def _neurons(
    sweep: SweepFolder, model: "CustomCNN", figures: Path, folders: list[Path]
) -> list[Block]:
    from analysis import network

    predictions = sweep.predictions
    if predictions is None or not len(predictions):
        text = "Without test predictions no photographs are known that could excite its neurons."
        return [Paragraph(text)]
    sample = stratified_sample(predictions, num_photos=NUM_SEEN, seed=0)
    found = [(find_photo(row.file, folders), row.label) for row in sample.itertuples()]
    there = [(path, label) for path, label in found if path is not None]
    images, numbers = network.read_photographs([path for path, _ in there], model.image_size)
    if not len(images):
        return [Paragraph(f"{MISSING}, so what excites its neurons is not shown.")]
    neurons = network.strongest_neurons(model, images)
    if not neurons:
        return [Paragraph("No neuron of the last convolution answers to any test photograph.")]
    labels = [str(there[numbers[neuron.photograph]][1]) for neuron in neurons]
    photographs = [np.asarray(images[neuron.photograph]) for neuron in neurons]
    photo_figures.save_neurons(neurons, photographs, labels, figures / "neurons.png")
    return [
        Picture(
            "neurons",
            f"The {counted(len(neurons), 'neuron')} of the last convolution that answer most"
            " strongly, each with a photograph and its guided gradient.",
            "The strongest neurons of the last convolution, one a filter: of"
            f" {counted(len(images), 'test photograph')}, as evenly over the classes as possible,"
            " the one that excites it most, as the network sees it, with a ring where the neuron"
            " looks from. Beside it, under the true class, guided backpropagation: the pixels and"
            " colours that would excite it more, grey where nothing would.",
        )
    ]
