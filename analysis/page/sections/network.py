"""The section on the champion's network: its first filters, and what its last neurons look for."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.page.blocks import Block, Paragraph, Picture, Section
from analysis.page.sections.test import MISSING, NUM_SEEN
from analysis.plots import photographs
from analysis.reading.folder import SweepFolder
from analysis.reading.predictions import stratified_sample
from cnnlib.networks.cnn.family import CNN
from cnnlib.system.units import counted

if TYPE_CHECKING:
    from torch import nn

MAX_FILTERS = 128
LEAST_SIDE = 5  # pixels of a filter, for it to be drawn


def network_section(sweep: SweepFolder, folders: list[Path]) -> Section:
    """The champion's first filters, and what its last neurons look for."""
    title = "What the network looks for"
    if not sweep.champion or sweep.network != CNN.name:  # others' layers are not drawn
        return Section(title, [])
    if not (sweep.path / "champion" / "weights.safetensors").is_file():
        text = "The champion's weights are not in champion/, so its filters cannot be shown."
        return Section(title, [Paragraph(text)])
    try:
        from analysis.plots import network  # loads torch
    except ImportError as error:
        text = f"Drawing the network needs {error.name}, which is not installed."
        return Section(title, [Paragraph(text)])
    try:
        layers = network.read_network(sweep.path)
    except ValueError as error:
        return Section(title, [Paragraph(f"Not shown: {error}.")])
    filters = network.first_filters(layers)
    side = filters.shape[1]
    if side < LEAST_SIDE:
        text = (
            f"The {len(filters)} filters of the first convolution are {side} x {side} pixels, too"
            " few to be recognised as anything, so they are not drawn."
        )
        return Section(title, [Paragraph(text), *_neurons(sweep, layers, folders)])
    some = f"The first {MAX_FILTERS} of" if len(filters) > MAX_FILTERS else "All"
    drawn = Picture(
        "filters",
        photographs.filters_picture(filters[:MAX_FILTERS]),
        f"{min(len(filters), MAX_FILTERS)} filters of the first convolution in colour.",
        f"{some} {len(filters)} filters of the first convolution, {side} x {side} pixels by"
        " red, green and blue, each stretched over the whole range by itself: edges,"
        " spots and colours that it answers to.",
    )
    return Section(title, [drawn, *_neurons(sweep, layers, folders)])


def _neurons(sweep: SweepFolder, layers: "nn.Sequential", folders: list[Path]) -> list[Block]:
    from analysis.plots import network

    predictions = sweep.predictions
    if predictions is None or not len(predictions):
        text = "Without test predictions no photographs are known that could excite its neurons."
        return [Paragraph(text)]
    sample = stratified_sample(predictions, num_photos=NUM_SEEN, seed=0)
    found = [(photographs.find_photo(row.file, folders), row.label) for row in sample.itertuples()]
    there = [(path, label) for path, label in found if path is not None]
    size = sweep.champion["image_size"]
    images, numbers = network.read_photographs([path for path, _ in there], size)
    if not len(images):
        return [Paragraph(f"{MISSING}, so what excites its neurons is not shown.")]
    neurons = network.strongest_neurons(layers, images)
    if not neurons:
        return [Paragraph("No neuron of the last convolution answers to any test photograph.")]
    labels = [str(there[numbers[neuron.photograph]][1]) for neuron in neurons]
    seen = [np.asarray(images[neuron.photograph]) for neuron in neurons]
    return [
        Picture(
            "neurons",
            photographs.neurons_picture(neurons, seen, labels),
            f"The {counted(len(neurons), 'neuron')} of the last convolution that answer most"
            " strongly, each with a photograph and its guided gradient.",
            "The strongest neurons of the last convolution, one a filter: of"
            f" {counted(len(images), 'test photograph')}, as evenly over the classes as possible,"
            " the one that excites it most, as the network sees it, with a ring where the neuron"
            " looks from. Beside it, under the true class, guided backpropagation: the pixels and"
            " colours that would excite it more, grey where nothing would. Read it as a sharpened"
            " view of the photograph: with random weights in the last layers guided"
            " backpropagation looks much the same (Adebayo et al. 2018), so it is no proof of what"
            " the network uses.",
        )
    ]
