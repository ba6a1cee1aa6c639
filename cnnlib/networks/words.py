"""Words as people write them: nn.ReLU() and relu are one value, lr and learning_rate one name."""

import re
from contextlib import suppress
from functools import cache
from numbers import Real

from cnnlib.system.units import short


def plain(word: object) -> str:
    """A word in its plain form: nn.LeakyReLU() and leaky_relu are leakyrelu, None is none.

    Nothing for what is no word and no number.
    """
    if not (word is None or isinstance(word, str | Real)):
        return ""
    text = short(word).strip().lower().removesuffix("()")
    with suppress(ValueError):
        return f"{float(text):g}"
    return re.sub(r"[^a-z0-9+]", "", text.rpartition(".")[2])


# Words of a name, each by the one that stands for it; several for a compound.
SPELLINGS = {
    "filters": "filter", "filt": "filter", "filts": "filter", "fil": "filter", "fils": "filter",
    "channels": "channel",
    "chan": "channel", "ch": "channel", "kernels": "kernel", "ker": "kernel",
    "kernal": "kernel", "kernals": "kernel", "maps": "map",
    "neurons": "neuron", "unit": "neuron", "units": "neuron", "node": "neuron", "nodes": "neuron",
    "features": "feature", "feat": "feature", "layers": "layer", "block": "layer",
    "blocks": "layer", "lyr": "layer", "lyrs": "layer",
    "number": "num", "no": "num", "n": "num", "nb": "num", "nr": "num", "count": "num",
    "counts": "num", "nums": "num", "total": "num",
    "sizes": "size", "dim": "size", "dims": "size", "dimension": "size", "dimensions": "size",
    "fc": "dense", "fcs": "dense", "linear": "dense", "hidden": "dense", "mlp": "dense",
    "ffn": "dense", "fcn": "dense", "fcl": "dense", "fully": "dense", "denses": "dense",
    "dnn": "dense", "nfc": "num dense", "nf": "num filter", "ndense": "num dense",
    "cnn": "conv", "convs": "conv", "convolution": "conv", "convolutional": "conv",
    "convolutions": "conv", "convnet": "conv", "nconv": "num conv",
    "normalization": "norm", "normalisation": "norm", "normalize": "norm", "normalise": "norm",
    "norma": "norm", "norms": "norm", "batchnorm": "batch norm", "bn": "batch norm",
    "bnorm": "batch norm", "batchnormalization": "batch norm", "batchnormalisation": "batch norm",
    "aug": "augment", "augs": "augment", "augmentation": "augment", "augmentations": "augment",
    "augmented": "augment", "augmenting": "augment", "augm": "augment", "dataaug": "data augment",
    "dataaugment": "data augment", "dataaugmentation": "data augment", "dataset": "data",
    "augum": "augment", "augument": "augment", "augumentation": "augment",
    "agumentation": "augment", "augmention": "augment", "augmentaion": "augment",
    "act": "activation", "activations": "activation", "activ": "activation", "acti": "activation",
    "actn": "activation", "actv": "activation", "activationfn": "activation",
    "activationfunction": "activation",
    "nonlinearity": "activation", "nonlin": "activation", "nonlinear": "activation",
    "organisation": "organization", "org": "organization", "organize": "organization",
    "organise": "organization", "orgs": "organization",
    "optimiser": "optimizer", "optim": "optimizer", "opt": "optimizer", "optimizers": "optimizer",
    "lr": "learning rate", "learningrate": "learning rate", "learn": "learning",
    "lrate": "learning rate", "wd": "weight decay", "weightdecay": "weight decay",
    "regularisation": "regularization", "regularizer": "regularization", "reg": "regularization",
    "drop": "dropout", "dropouts": "dropout", "drp": "dropout", "dropoutrate": "dropout rate",
    "probability": "prob", "probabilities": "prob", "p": "prob", "rate": "rate", "rates": "rate",
    "ratio": "ratio", "epochs": "epoch", "nepochs": "num epoch", "numepochs": "num epoch",
    "maxepochs": "max epoch", "ep": "epoch",
    "img": "image", "images": "image", "im": "image", "imgs": "image", "imgsize": "image size",
    "imagesize": "image size", "modelname": "model", "imsize": "image size",
    "imgsz": "image size", "imsz": "image size",
    "pooling": "pool", "pools": "pool", "strides": "stride", "pad": "padding",
    "paddings": "padding", "scheduler": "schedule", "sched": "schedule", "schedulers": "schedule",
    "mom": "momentum", "base": "first", "initial": "first", "start": "first", "starting": "first",
    "init": "first", "bs": "batch size", "batchsize": "batch size", "minibatch": "mini batch",
    "kernelsize": "kernel size", "ksize": "kernel size", "actfn": "activation",
    "kernelsizes": "kernel size", "filtersizes": "filter size", "poolsize": "pool size",
    "denselayer": "dense layer", "denselayers": "dense layer", "fclayer": "dense layer",
    "fclayers": "dense layer", "hiddenlayer": "dense layer", "hiddenlayers": "dense layer",
    "convlayer": "conv layer", "convlayers": "conv layer", "densesize": "dense size",
    "fcsize": "dense size", "denseunits": "dense neuron", "denseneurons": "dense neuron",
    "droprate": "dropout", "filtersize": "filter size", "numfilters": "num filter",
    "nfilters": "num filter", "numlayers": "num layer", "nlayers": "num layer",
    "hiddensize": "dense size", "epsilon": "eps", "betas": "beta", "iterations": "iteration",
    "iters": "iteration", "steps": "step", "labels": "label", "training": "train",
}  # fmt: skip
FILLERS = frozenset(
    [
        "the",
        "of",
        "for",
        "to",
        "use",
        "using",
        "used",
        "do",
        "is",
        "with",
        "apply",
        "enable",
        "enabled",
        "type",
        "name",
        "value",
        "values",
        "fn",
        "func",
        "function",
        "functions",
        "fun",
        "fu",
        "alg",
        "algo",
        "algorithm",
        "attribute",
        "attributes",
        "default",
        "add",
        "choice",
        "option",
        "at",
        "on",
        "per",
        "each",
        "my",
        "a",
        "an",
        "and",
        "in",
        "list",
        "connected",
        "flag",
    ]
)
# What stands before a name and says where in a program it belongs.
PREFIXES = frozenset(
    [
        "model",
        "models",
        "network",
        "net",
        "cnn",
        "conv",
        "optimizer",
        "optim",
        "opt",
        "hparams",
        "hparam",
        "hyperparameters",
        "hp",
        "hps",
        "hyperparams",
        "hyper",
        "config",
        "cfg",
        "conf",
        "args",
        "arg",
        "params",
        "param",
        "parameters",
        "train",
        "training",
        "trainer",
        "data",
        "dataset",
        "dataloader",
        "datamodule",
        "loader",
        "loss",
        "criterion",
        "regularization",
        "regularisation",
        "init_args",
        "architecture",
        "arch",
        "global",
        "general",
        "experiment",
        "fit",
        "lit",
        "module",
    ]
)
OF_DENSE = {"dense", "head", "classifier"}  # words of names that say that it is the dense layers'
# What people write for values, and other names of one thing that several hyperparameters have.
ORGANIZATIONS = {
    "same": 1.0, "all_same": 1.0, "constant": 1.0, "const": 1.0, "equal": 1.0, "uniform": 1.0,
    "fixed": 1.0, "identical": 1.0, "unchanged": 1.0, "same_each_layer": 1.0,
    "double": 2.0, "doubling": 2.0, "doubled": 2.0, "doubles": 2.0, "incr": 2.0, "increase": 2.0,
    "increasing": 2.0, "inc": 2.0, "ascending": 2.0, "x2": 2.0, "2x": 2.0, "twice": 2.0, "up": 2.0,
    "half": 0.5, "halve": 0.5, "halving": 0.5, "halved": 0.5, "halves": 0.5, "decr": 0.5,
    "decrease": 0.5, "decreasing": 0.5, "dec": 0.5, "descending": 0.5, "down": 0.5,
    "config_same": 1.0, "config_all_same": 1.0, "config_incr": 2.0, "config_decr": 0.5,
    "double_each_layer": 2.0, "doubled_each_layer": 2.0, "half_each_layer": 0.5,
    "halve_each_layer": 0.5, "halved_each_layer": 0.5,
    "same_in_all_layers": 1.0, "doubling_in_each_layer": 2.0, "halving_in_each_layer": 0.5,
}  # fmt: skip
KERNELS = (
    "kernel", "filter size", "filter dim", "filter shape", "conv kernel size", "kernel shape",
    "kernel width", "filter width", "k", "ks", "conv kernel", "conv filter size",
    "kernel size layer",
    "kernel size conv", "kernel list", "filter kernel size", "kernel filter size", "kernel layer",
    "kernel organization", "conv kernel layer", "kernel config", "filter side", "receptive field",
)  # fmt: skip
TELLING_ACTIVATIONS = ("relu", "gelu", "silu", "selu", "mish", "leakyrelu")
ACTIVATION_WORDS = {
    "swish": "silu", "lrelu": "leaky_relu", "none": "identity", "linear": "identity",
    "hswish": "hardswish", "parametric_relu": "prelu", "log_sigmoid": "logsigmoid",
}  # fmt: skip
# With filters or channels these say how their number changes from layer to layer.
_ORGANIZATIONS = frozenset(
    [
        "strategy",
        "scheme",
        "pattern",
        "growth",
        "progression",
        "mode",
        "arrangement",
        "structure",
        "scaling",
        "scale",
        "config",
        "configuration",
        "layout",
        "setup",
        "design",
        "distribution",
        "style",
        "trend",
        "policy",
        "method",
        "architecture",
        "arch",
        "variation",
        "multiplier",
        "factor",
        "ratio",
        "expansion",
        "change",
        "organization",
        "increment",
        "order",
        "orders",
        "multiply",
        "mult",
    ]
)
_COMPOUNDS = (
    (r"fully[ _-]?connected", "dense"),
    (r"\bbase[ _-]?(model|network|net)(?![a-z])", "backbone"),
    (r"(conv|pool|norm)(olution)?[ _-]?2d", r"\1"),
    (r"drop(out)?[ _-]?2d", "conv dropout"),
    (r"\bk[ _-]size", "kernel size"),
    (r"drop[ _-]out", "dropout"),
    (r"\bin[ _-](channels?|features?|dims?|depth|size|shape)", r"input \1"),
    (r"feature[ _-]?maps?", "filter"),
    (r"(max|avg|average)[ _-]?pool", r"\1 pool"),
)


@cache
def key(name: str) -> frozenset[str]:
    """The words of a name, in one spelling and without fillers: n_filters is {num, filter}."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text).lower()
    for pattern, instead in _COMPOUNDS:
        text = re.sub(pattern, instead, text)
    words = " ".join(SPELLINGS.get(word, word) for word in re.findall(r"[a-z]+|\d+", text)).split()
    found = {word for word in words if word not in FILLERS}
    if found & {"filter", "channel"} and found & _ORGANIZATIONS:
        found = found - _ORGANIZATIONS | {"organization"}
    if "dense" in found and found & {"neuron", "size", "feature", "width", "out", "output"}:
        found = found - {"size", "feature", "width", "out", "output"} | {"neuron"}
    if "dropout" in found:
        found -= {"rate", "prob", "ratio", "percent", "pct", "fraction", "factor", "amount"}
    return frozenset(found)


def keys(name: str) -> list[frozenset[str]]:
    """What a name may mean: as a whole, and without what says where in a program it belongs."""
    parts = re.split(r"[./:]|__", name)
    whole = [key(name)]
    while len(parts) > 1 and parts[0].lower() in PREFIXES:
        parts = parts[1:]
        whole.append(key(".".join(parts)))
    bare = key(parts[-1] if len(parts) == 1 else ".".join(parts))
    whole.append(bare - {"model", "network", "net", "train", "hparam", "hp", "param", "config"})
    return [found for found in dict.fromkeys(whole) if found]
