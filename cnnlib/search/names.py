"""Whose a name of a sweep file is: lr is learning_rate, epochs is max_epochs."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cnnlib.networks.hyperparameter import Hyperparameter
from cnnlib.networks.words import OF_DENSE, key, keys, plain
from cnnlib.system.units import short

# Settings of the whole sweep that W&B's users keep among the parameters, with their aliases.
SETTINGS: dict[str, tuple[str, ...]] = {
    "max_epochs": ("epoch", "num epoch", "max epoch", "train epoch", "num train epoch",
                   "max num epoch", "epoch num"),
    "image_size": ("image size", "input size", "image shape", "input shape", "resolution",
                   "image resolution", "input resolution", "input image size", "resize",
                   "image resize", "resize size", "image width", "image height", "target size",
                   "train image size", "image input shape", "image side", "crop size",
                   "image crop size"),
    "finalists": (),
    "seeds": (),
}  # fmt: skip
# What is one for the whole sweep, whatever a file searches, and the flag that says it.
WHOLE = {
    "--seed; --seeds trains the finalists on new ones": (
        "seed", "random seed", "manual seed", "global seed", "torch seed", "random state",
    ),
    "--patience": (
        "patience", "early stopping patience", "early stop patience", "early stopping",
        "stopping patience", "es patience", "max patience",
    ),
}  # fmt: skip
FEW = {"iteration", "train iteration", "num iteration", "max iteration"}  # epochs, if they are few
MOST_FEW = 200  # more iterations than this are steps
STEPS = {"max step", "num step", "train step", "max train step", "num train step"}

# Names of what people tune elsewhere, by a word of them, and what to do about it here.
_ELSEWHERE = (
    ("freeze unfreeze frozen unfrozen freezed unfreezed freezing unfreezing trainable finetune "
     "finetuning fine tune pretrain pretrained transfer backbone",
     "fine-tunes a pretrained network, which --network pretrained does; here it means nothing"),
    ("mixup cutmix cutout jitter rotation flip erasing randaugment autoaugment brightness hue crop "
     "cropping contrast saturation shear translate blur transform transforms rotate flips gray "
     "hflip vflip color colour degrees trivialaugment augmix randomcrop noise",
     "is no augmentation by itself here; search augmentation (light, standard, strong)"),
    ("warmup warm",
     "is not counted in steps here; search warm_up: a share below 1, else epochs"),
    ("keep", "says what stays; search dropout, which says what is dropped: 0.2 where 0.8 stay"),
    ("split fold folds", "is one for the whole sweep, or its trials could not be compared"),
    ("accumulate accumulation", "is not there; search batch_size"),
    ("location loc position placement",
     "is not searched: batch norm stands before the activation, dropout after it"),
    ("dilation groups residual skip attention depthwise squeeze heads embedding embed patch "
     "transformer encoder decoder",
     "is not there in this network; --network tunes one of your own"),
    ("swa sam lookahead", "is not there; ema is, the weights' moving average"),
    ("sampler sampling", "is not there; class_weights is"),
    ("loss criterion focal", "is not searched, as the loss is cross-entropy; label_smoothing is"),
    ("schedule gamma milestones",
     "is not there; decay_factor, decay_epochs and warm_up are what a schedule has"),
    ("stochastic", "is not there; dropout and conv_dropout are"),
    ("model arch architecture network backbone",
     "would choose a network; a sweep here has one: --network names it"),
    ("class", "is not searched; the classes are the folders of --data"),
)  # fmt: skip
_FREEZES = re.compile(r"freez|frozen|fine[ _-]?tun|feature[ _-]?extract|transfer[ _-]?learn")
# Where a constant that is left out can be said.
_INSTEAD = (
    ("seed", "--seed"), ("patience", "--patience"), ("project", "--wandb-project"),
    ("workers worker", "--cpus-per-trial"), ("dir path root folder data", "--data"),
    ("device gpu gpus accelerator cuda", "--gpus-per-trial"),
)  # fmt: skip
# Constants that change what is trained: without them another network would be tuned.
_PRETRAINED = re.compile(
    r"resnet|resnext|vgg|vit|swin|deit|efficientnet|mobilenet|densenet|inception|googlenet|convnext"
    r"|squeezenet|shufflenet|regnet|mnasnet|xception|alexnet|clip|dino|beit|nasnet|bert|mixer"
)
NETWORKS = {"model", "arch", "architecture", "backbone", "network", "net"}  # words that choose one
_GENERIC = frozenset((
    "num", "size", "layer", "first", "data", "max", "min", "model", "input", "rate", "value",
    "type", "train", "learning", "step", "class", "test", "depth", "weight", "mode", "total", "1",
    "2", "3", "4", "5", "ratio",
))  # fmt: skip


def _words(said: str) -> frozenset[str]:
    """All words that a name may have."""
    return frozenset().union(*keys(said))


@dataclass(frozen=True)
class Names:
    """The hyperparameters of a kind of network by all their names."""

    known: Mapping[str, Hyperparameter]

    @cached_property
    def _aliases(self) -> dict[frozenset[str], list[str]]:
        found: dict[frozenset[str], list[str]] = {}
        named = [(n, alias) for n, h in self.known.items() for alias in (n, *h.aliases)]
        named += [(n, alias) for n, h in self.known.items() for alias in h.perhaps]
        named += [(n, alias) for n, aliases in SETTINGS.items() for alias in (n, *aliases)]
        for name, alias in named:
            owners = found.setdefault(key(alias), [])
            if name not in owners:
                owners.append(name)
        return found

    @cached_property
    def _of_a_layer(self) -> dict[frozenset[str], str]:
        return {
            key(alias): name
            for name, hyperparameter in self.known.items()
            for alias in hyperparameter.of_a_layer
        }

    def owners(self, said: str) -> list[str]:
        """The hyperparameters and settings that a name may mean; its values tell which."""
        exact = [said] if said in self.known or said in SETTINGS else []
        for words in keys(said):
            if words in self._aliases:
                return list(dict.fromkeys([*exact, *self._aliases[words]]))
        return exact

    def by_values(self, said: str, values: Sequence[object]) -> list[str]:
        """Whose a name is that nobody has, where its values leave no doubt: relu, adam, double."""
        words = _words(said)
        plains = {plain(value) for value in values}
        if not plains or words & {"output", "final", "last"}:
            return []
        owners = [
            name
            for name, hyperparameter in self.known.items()
            if plains & set(hyperparameter.telling) and plains <= hyperparameter.meanings.keys()
        ]
        of_dense = [name for name in owners if _words(name) & OF_DENSE]
        others = [name for name in owners if name not in of_dense]
        return (of_dense if words & OF_DENSE else others)[:1]

    def of_a_layer(self, said: str) -> tuple[str, int] | None:
        """(filters, 2) for nf2 and conv2_filters; None for a name that is of no single layer."""
        for words in keys(said):
            numbers = [word for word in words if word.isdigit()]
            owner = self._of_a_layer.get(words - set(numbers))
            if len(numbers) == 1 and owner:
                return owner, int(numbers[0])
        return None

    def is_length(self, said: str) -> bool:
        """Whether a name says how long trials train, counted in steps."""
        return any(words in map(key, STEPS) for words in keys(said))

    def of_the_whole(self, said: str) -> str | None:
        """The flag of what is one for the whole sweep; None for other names."""
        for flag, names in WHOLE.items():
            if any(words in map(key, names) for words in keys(said)):
                return flag
        return None

    def is_few(self, said: str) -> bool:
        """Whether a name says epochs as long as there are few of them."""
        return any(words in map(key, FEW) for words in keys(said))

    def misspelt(self, said: str) -> str | None:
        """The hyperparameter or setting that a name is a letter or two away from."""
        close = difflib.get_close_matches(
            short(said).lower(), [*self.known, "max_epochs", "image_size"], n=1, cutoff=0.85
        )
        return close[0] if close else None

    def hint(self, said: str, values: Sequence[object] = ()) -> str:
        """What to do about a searched name that nobody here has."""
        words = _words(said)
        text = " ".join(map(str, values)).lower()
        if _FREEZES.search(text) or words == {"k", "layer"}:  # the last k, of a pretrained one
            words |= {"freeze"}
        elif words & NETWORKS and _PRETRAINED.search(text):
            return "names pretrained networks, which --network pretrained fine-tunes; leave it out"
        if owner := self._all_layers(words):
            return (
                f"is one layer's; {owner} is one for all layers here: leave it out, or --rename "
                f"{short(said)}={owner}"
            )
        for some, advice in _ELSEWHERE:
            if words & set(some.split()):
                return f"{advice}; leave it out"
        near = self._nearest(said, words)
        rename = f"--rename {short(said)}="
        if near:
            return f"no such hyperparameter; did you mean {near}? {rename}{near} says so"
        return (
            f"no such hyperparameter, and nothing here is like it; if it is one by another name "
            f"write {rename}KNOWN, else leave it out or fix it to one value"
        )

    def _all_layers(self, words: frozenset[str]) -> str | None:
        """The hyperparameter of all layers that activation_2 says of one."""
        numbers = {word for word in words if word.isdigit()}
        owners = self._aliases.get(words - numbers - {"layer"}) if len(numbers) == 1 else None
        return owners[0] if owners and owners[0] in self.known else None

    def _nearest(self, said: str, words: frozenset[str]) -> str | None:
        """The hyperparameter that shares most of these words, spelled as badly as they are."""
        vocabulary = sorted({word for alias in self._aliases for word in alias if len(word) > 2})
        meant = {
            (difflib.get_close_matches(word, vocabulary, n=1, cutoff=0.82) or [word])[0]
            for word in words
        }

        def likeness(alias: frozenset[str]) -> float:
            shared = meant & alias
            if not any(len(word) > 1 for word in shared - _GENERIC):
                return 0.0
            return len(shared) / len(meant | alias)

        best = max(self._aliases, key=likeness)
        if likeness(best) >= 0.3:
            return self._aliases[best][0]
        close = difflib.get_close_matches(short(said).lower(), self.known, n=1, cutoff=0.7)
        return close[0] if close else None


def foreign(said: str, value: object) -> str | None:
    """Why a constant cannot be left out: it asks for another network or loss; None where it can."""
    words = _words(said)
    text = str(value).lower()
    if words & {"loss", "criterion"} and not words - {"loss", "criterion"}:
        loss = re.sub(r"[^a-z]", "", text)
        if "crossentropy" not in loss and loss not in ("ce", "nll", "nllloss", "celoss"):
            return (
                f"{said}: {short(value)} is not cross-entropy, which networks here are trained by"
            )
    if words & NETWORKS and _PRETRAINED.search(text):
        return (
            f"{said}: {short(value)} is another network than the one that is tuned here; "
            "--network names it, or leave it out"
        )
    freezes = words & {"strategy", "mode"} and _FREEZES.search(text)
    freezes = freezes or words & {"pretrained", "freeze", "finetune"}
    if freezes and text not in ("false", "0", "none", "no"):
        return (
            f"{said}: {short(value)}: networks here are trained from their beginning; "
            "--network pretrained fine-tunes"
        )
    return None


def instead(said: str) -> str:
    """' (--seed says it here)' for a constant that has a flag of its own."""
    words = _words(said)
    for some, flag in _INSTEAD:
        if words & set(some.split()):
            return f" ({flag} says it here)"
    return ""
