"""Batches on the CPU: gathered, augmented and normalised by compiled loops in one pass.

Does what `normalised(shown(...))` of `augment` does, within a twentieth of a grey level. Unsigned
places in arrays spare a check for each, which lets the compiler use vectors.
"""

import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cnnlib.pixels.augment import LUMINANCE, MEAN, STD, Crops, Seen, Views
from cnnlib.system.compiled import compiled, inlined

SCALE = (1 / (255 * np.array(STD))).astype(np.float32)
OFFSET = (-np.array(MEAN) / np.array(STD)).astype(np.float32)
RED, GREEN, BLUE = (np.float32(weight) for weight in LUMINANCE)


class Buffers:
    """Memory for batches, used again when nobody holds the batch that lay there before.

    Fresh memory for each batch costs more than filling it.
    """

    def __init__(self) -> None:
        self._used: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def array(self, num_bytes: int) -> np.ndarray:
        """(num_bytes,) uint8; a tensor made of it keeps it from being used again."""
        free = [b for b, last in self._used if last() is None and len(b) >= num_bytes]
        buffer = free[0] if free else np.empty(num_bytes, np.uint8)
        view = buffer[:num_bytes]
        others = [(b, last) for b, last in self._used if b is not buffer]
        self._used = [*others, (buffer, weakref.ref(view))]
        return view


def batch(
    pixels: np.ndarray,
    chosen: Tensor,
    seen: Seen,
    image_size: int,
    *,
    dtype: torch.dtype = torch.float32,
    buffers: Buffers | None = None,
) -> Tensor:
    """Chosen images of `pixels` (all, H, W, 3) uint8, seen so and normalised.

    (N, 3, image_size, image_size), channels last, of float32 or bfloat16.
    """
    N, (H, W) = len(chosen), pixels.shape[1:3]
    shape = (N, image_size, 3 * image_size)
    plain = np.float32 if dtype == torch.float32 else np.uint16  # numpy has no bfloat16
    raw = (buffers or Buffers()).array(int(np.prod(shape)) * plain().itemsize)
    out = raw.view(plain).reshape(shape)
    rows = np.asarray(pixels).reshape(len(pixels), H, 3 * W)
    if isinstance(seen, Crops):
        arguments = [values.numpy() for values in seen]
        _in_threads(_crop, rows, chosen.numpy(), *arguments, out=out, least=1 << 23)
    else:
        parameters = _in_pixels(seen, image_size, H, W)
        _in_threads(_view, rows, chosen.numpy(), parameters, out=out, least=1 << 19)
    images = torch.from_numpy(raw).view(dtype).view(N, image_size, image_size, 3)
    return images.permute(0, 3, 1, 2)


def _in_pixels(views: Views, size: int, H: int, W: int) -> np.ndarray:
    """(N, 9) float32: the place of the first pixel, its steps to the right and down; colours."""
    half = torch.tensor([[W / 2], [H / 2]])
    steps = views.where[:, :, :2] * (2 * half / size)  # a pixel of the view in pixels of the image
    corner = views.where[:, :, :2].sum(2) * (1 / size - 1) + views.where[:, :, 2]
    first = (corner + 1) * half[:, 0] - 0.5
    rows = torch.cat([first[:, :, None], steps], 2).flatten(1)
    return torch.cat([rows, views.colours], 1).numpy().astype(np.float32)


@lru_cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="batch")


def _in_threads(kernel, rows, *arguments, out, least):  # type: ignore[no-untyped-def]
    """Runs `kernel` on parts of the batch in as many threads as torch has.

    Where `out` has fewer than `least` bytes one thread is done before others have begun.
    """
    num_threads = min(torch.get_num_threads(), len(out)) if out.nbytes >= least else 1
    ends = np.linspace(0, len(out), num_threads + 1).astype(int)
    parts = [slice(*pair) for pair in pairwise(ends)]

    def run(part: slice) -> None:
        kernel(rows, *(values[part] for values in arguments), SCALE, OFFSET, out[part])

    if num_threads == 1:
        run(parts[0])
    else:
        list(_pool(num_threads).map(run, parts))


@inlined
def _store(line, out):  # type: ignore[no-untyped-def]
    """Copies a line of float32 into one of float32, or of bfloat16 held as uint16."""
    if out.itemsize == 4:
        for i in range(len(line)):
            out[i] = line[i]
    else:
        bits = line.view(np.uint32)
        for i in range(len(line)):
            even = (bits[i] >> np.uint32(16)) & np.uint32(1)  # rounds ties to even, as torch
            out[i] = np.uint16((bits[i] + np.uint32(0x7FFF) + even) >> np.uint32(16))


@compiled
def _crop(rows, chosen, top, left, mirror, scale, offset, out):  # type: ignore[no-untyped-def]
    """Gathers squares of rows[chosen], mirrored or not, and normalises them into `out`."""
    length = out.shape[2]
    line, mirrored = np.empty(length, np.float32), np.empty(length, np.uint8)
    scales, offsets = np.empty(length, np.float32), np.empty(length, np.float32)
    for c in range(3):
        scales[c::3], offsets[c::3] = scale[c], offset[c]
    last, pixel = np.uint64(length - 3), np.uint64(3)
    red, green, blue = np.uint64(0), np.uint64(1), np.uint64(2)
    for n in range(len(out)):
        for y in range(out.shape[1]):
            row = rows[chosen[n], top[n] + y][3 * left[n] : 3 * left[n] + length]
            if mirror[n]:
                for x in range(out.shape[1]):
                    o = pixel * np.uint64(x)
                    i = last - o
                    mirrored[o + red] = row[i + red]
                    mirrored[o + green] = row[i + green]
                    mirrored[o + blue] = row[i + blue]
                row = mirrored
            for place in range(length):
                line[place] = np.float32(row[place]) * scales[place] + offsets[place]
            _store(line, out[n, y])


@compiled
def _view(rows, chosen, parameters, scale, offset, out):  # type: ignore[no-untyped-def]
    """Gathers rows[chosen], shows each as its parameters say and normalises it into `out`."""
    size, length = out.shape[1], out.shape[2]
    full, none, one = np.float32(255), np.float32(0), np.float32(1)
    red, green, blue, pixel = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
    view, line = np.empty((size, length), np.float32), np.empty(length, np.float32)
    for n in range(len(out)):
        brightness, contrast, saturation = parameters[n, 6:]
        if parameters[n, 2] == 0 and parameters[n, 4] == 0:
            _sample_upright(rows[chosen[n]], parameters[n], view)
        else:
            _sample_turned(rows[chosen[n]], parameters[n], view)
        greys = none
        for y in range(size):
            row_grey = none  # of its own, or its sum would be too coarse
            for x in range(size):
                i = pixel * np.uint64(x)
                r = min(view[y, i + red] * brightness, full)
                g = min(view[y, i + green] * brightness, full)
                b = min(view[y, i + blue] * brightness, full)
                view[y, i + red], view[y, i + green], view[y, i + blue] = r, g, b
                row_grey += RED * r + GREEN * g + BLUE * b
            greys += row_grey
        mean = greys / np.float32(size * size) * (one - contrast)
        for y in range(size):
            for x in range(size):
                i = pixel * np.uint64(x)
                r = min(max(view[y, i + red] * contrast + mean, none), full)
                g = min(max(view[y, i + green] * contrast + mean, none), full)
                b = min(max(view[y, i + blue] * contrast + mean, none), full)
                grey = (RED * r + GREEN * g + BLUE * b) * (one - saturation)
                r = min(max(r * saturation + grey, none), full)
                g = min(max(g * saturation + grey, none), full)
                b = min(max(b * saturation + grey, none), full)
                line[i + red] = r * scale[0] + offset[0]
                line[i + green] = g * scale[1] + offset[1]
                line[i + blue] = b * scale[2] + offset[2]
            _store(line, out[n, y])


@compiled
def _sample_upright(rows, parameters, view):  # type: ignore[no-untyped-def]
    """Resamples an image whose lines stay lines: mixes two rows, then neighbours in them."""
    x_first, x_right, _, y_first, _, y_down = parameters[:6]
    none, size, length = np.float32(0), len(view), rows.shape[1]
    bottom, right = _last(len(rows)), _last(length // 3)
    red, green, blue, pixel = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
    columns, parts = np.empty(size, np.uint64), np.empty(size, np.float32)
    line = np.empty(length, np.float32)
    for x in range(size):
        at_x = np.float32(min(max(x_first + x_right * np.float32(x), none), right))
        columns[x] = 3 * np.int32(at_x)
        parts[x] = at_x - np.float32(np.int32(at_x))
    for y in range(size):
        at_y = np.float32(min(max(y_first + y_down * np.float32(y), none), bottom))
        row = np.int32(at_y)
        lower = at_y - np.float32(row)
        first, second = rows[row], rows[row + 1]
        for place in range(length):
            value = np.float32(first[place])
            line[place] = value + (np.float32(second[place]) - value) * lower
        for x in range(size):
            i, o, part = columns[x], pixel * np.uint64(x), parts[x]
            j = i + pixel
            view[y, o + red] = line[i + red] + (line[j + red] - line[i + red]) * part
            view[y, o + green] = line[i + green] + (line[j + green] - line[i + green]) * part
            view[y, o + blue] = line[i + blue] + (line[j + blue] - line[i + blue]) * part


@compiled
def _sample_turned(rows, parameters, view):  # type: ignore[no-untyped-def]
    """Resamples an image: each pixel of the view from four of the image."""
    x_first, x_right, x_down, y_first, y_right, y_down = parameters[:6]
    none, one, size, length = np.float32(0), np.float32(1), len(view), rows.shape[1]
    bottom, right = _last(len(rows)), _last(length // 3)
    next_colour, pixel, below = np.uint64(1), np.uint64(3), np.uint64(length)
    image = rows.reshape(-1)
    places = np.empty(size, np.int64)
    parts_x, parts_y = np.empty(size, np.float32), np.empty(size, np.float32)
    for y in range(size):
        x_start = x_first + x_down * np.float32(y)
        y_start = y_first + y_down * np.float32(y)
        for x in range(size):
            at_x = np.float32(min(max(x_start + x_right * np.float32(x), none), right))
            at_y = np.float32(min(max(y_start + y_right * np.float32(x), none), bottom))
            column, row = np.int32(at_x), np.int32(at_y)
            parts_x[x], parts_y[x] = at_x - np.float32(column), at_y - np.float32(row)
            places[x] = row * length + 3 * column
        for x in range(size):
            part_x, part_y = parts_x[x], parts_y[x]
            w11 = part_x * part_y
            w10, w01 = part_y - w11, part_x - w11
            w00 = one - part_x - w10
            i, o = np.uint64(places[x]), pixel * np.uint64(x)
            j, k = i + pixel, i + below
            m = j + below
            view[y, o] = image[i] * w00 + image[j] * w01 + image[k] * w10 + image[m] * w11
            i, j, k, m, o = (
                i + next_colour,
                j + next_colour,
                k + next_colour,
                m + next_colour,
                o + next_colour,
            )
            view[y, o] = image[i] * w00 + image[j] * w01 + image[k] * w10 + image[m] * w11
            i, j, k, m, o = (
                i + next_colour,
                j + next_colour,
                k + next_colour,
                m + next_colour,
                o + next_colour,
            )
            view[y, o] = image[i] * w00 + image[j] * w01 + image[k] * w10 + image[m] * w11


@inlined
def _last(side):  # type: ignore[no-untyped-def]
    """The last place of a side that has a neighbour to mix with."""
    return np.nextafter(np.float32(side - 1), np.float32(0))
