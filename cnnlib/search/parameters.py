"""The parameters of a sweep file, by the names and values that people write, as a search space."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import Hyperparameter, Value, hyperparameters
from cnnlib.networks.said import Said, reconcile_recipe
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.networks.words import OF_DENSE, key
from cnnlib.search.bounds import whole
from cnnlib.search.distributions import read_values
from cnnlib.search.names import MOST_FEW, SETTINGS, Names, foreign, instead
from cnnlib.system.mistakes import Collected
from cnnlib.system.units import short

MOST_COMBINED = 10_000  # lists that a number for each layer is combined to
LEAST = 8  # of a list's numbers beside words: smaller ones say how a list grows
UP_TO = ("max_epochs", "image_size")  # settings of which the largest value counts


@dataclass
class Parameters:
    """What the parameters of a sweep file mean."""

    space: Space = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # ours: what the file calls it
    notes: list[str] = field(default_factory=list)


def read_parameters(
    entries: Mapping[str, object],
    family: Family,
    *,
    method: str,
    rename: Mapping[str, str],
    found: Collected,
) -> Parameters:
    """What the entries mean; what is wrong with them is told to `found`, all of it."""
    reader = _Reader(family, method, rename, found)
    flat = dict(_flattened(entries))
    for said in rename:
        if said not in flat:
            found.lines.append(f"--rename {short(said)}: no such name in the sweep file")
    for said, entry in flat.items():
        with found.kept():
            reader.read(said, entry)
    with found.kept():
        reader.combine()
    return reader.read_so_far


def _flattened(entries: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """W&B's nested `parameters` as names with dots."""
    for name, entry in entries.items():
        said = short(f"{above}{name}", 100)
        inside = entry.get("parameters") if isinstance(entry, Mapping) else None
        if isinstance(inside, Mapping) and len(entry) == 1:  # type: ignore[arg-type]
            yield from _flattened(inside, f"{said}.")
        else:
            yield said, entry


class _Reader:
    """Reads one entry after another."""

    def __init__(
        self,
        family: Family,
        method: str,
        rename: Mapping[str, str],
        found: Collected,
    ) -> None:
        self.read_so_far = Parameters()
        self._family, self._method, self._rename, self._found = family, method, rename, found
        self._known = hyperparameters(family.config) | {h.name: h for h in family.said_only}
        self._names = Names(self._known)
        self._read: dict[str, list[tuple[str, Choice | Interval]]] = {}  # by our name
        self._layers: dict[str, dict[int, tuple[str, Choice]]] = {}
        self._switches: dict[str, tuple[str, Choice]] = {}  # whether there is one, by our name

    def read(self, said: str, entry: object) -> None:
        """Takes one entry; ValueError where it cannot be honoured."""
        owners = self._owners(said) or self._names.by_values(said, _values_of(entry) or ())
        if not owners and (layer := self._names.of_a_layer(said)) and said not in self._rename:
            self._read_layer(said, entry, *layer)
        elif owners and owners[0] in SETTINGS:
            self._set(owners[0], said, entry)
        elif owners:
            self._choose(said, entry, owners)
        elif self._names.is_length(said):
            self._note(
                f"{said}: left out; trials train up to --max-epochs, and early stopping ends them "
                "sooner"
            )
        elif (
            (values := _values_of(entry))
            and len(values) > 1
            and (flag := self._names.of_the_whole(said))
        ):
            self._note(f"{said}: left out, as it is one for the whole sweep: {flag}")
        elif key(said) == key("betas") and values and all(map(_is_pair, values)):
            self._read_betas(said, [tuple(map(float, pair)) for pair in values])
        else:
            self._leave_out(said, entry)

    def _read_betas(self, said: str, pairs: list[tuple[float, ...]]) -> None:
        """Adam's two as pairs, where these are all combinations of their numbers."""
        columns = [tuple(dict.fromkeys(column)) for column in zip(*pairs, strict=True)]
        if set(itertools.product(*columns)) != set(pairs):
            raise ValueError(
                f"{said}: these pairs are not all combinations of their numbers; write beta1 and "
                "beta2, each with its values"
            )
        for name, column in zip(("beta1", "beta2"), columns, strict=True):
            if name not in self._known:
                raise ValueError(f"{said}: no such hyperparameter")
            self._choose(said, {"values": list(column)}, [name])

    def _owners(self, said: str) -> list[str]:
        target = self._rename.get(said)
        if target is None:
            return self._names.owners(said)
        if target not in self._known and target not in SETTINGS:
            near = Names(self._known).owners(target)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"--rename {said}={short(target)}: no such hyperparameter{hint}")
        return [target]

    def _note(self, line: str) -> None:
        self.read_so_far.notes.append(line)

    def _leave_out(self, said: str, entry: object) -> None:
        """A name that nobody has: plumbing where it is fixed, else a mistake."""
        values = _values_of(entry)
        if self._names.is_few(said) and values and all(_few(value) for value in values):
            return self._set("max_epochs", said, entry)
        if values is None or len(values) != 1:
            raise ValueError(f"{said}: {self._names.hint(said, values or ())}")
        if near := self._names.misspelt(said):
            raise ValueError(f"{said}: no such hyperparameter; did you mean {near}?")
        if fault := foreign(said, values[0]):
            raise ValueError(fault)
        self._note(f"{said}: {short(values[0])}: left out, as it is fixed{instead(said)}")

    def _choose(self, said: str, entry: object, owners: list[str]) -> None:
        """The first of the hyperparameters that a name may mean whose values these are."""
        if self._is_image_channels(said, entry):
            self._note(f"{said}: left out, as it is fixed; photographs have three channels")
            return
        fault: ValueError | None = None
        for name in owners:
            if name in SETTINGS:  # input_size is a pretrained network's too
                return self._set(name, said, entry)
            notes: list[str] = []
            try:
                values = self._values(name, said, entry, notes)
            except ValueError as error:
                fault = fault or error
                continue
            self._add(name, said, entry, values, notes)
            return
        raw = _values_of(entry) or []
        for name in owners:
            known = self._known[name]
            if known.switched and raw and all(_switch(v) is not None for v in raw):
                self._switches[name] = said, Choice(tuple(bool(_switch(v)) for v in raw))
                return
            if known.grows and self._organizations(said, raw, known):
                return
        assert fault is not None
        raise fault

    def _is_image_channels(self, said: str, entry: object) -> bool:
        values = _values_of(entry)
        return "channel" in said.lower() and values in ([3], [1])

    def _values(self, name: str, said: str, entry: object, notes: list[str]) -> Choice | Interval:
        named = replace(self._known[name], name=said)  # messages speak the file's words
        if named.layered and any(isinstance(v, int | float) for v in _values_of(entry) or [0]):
            raise ValueError(f"{said}: is {named.rule}: write values: [[..], [..]]")
        return read_values(named, entry, method=self._method, notes=notes)

    def _add(
        self, name: str, said: str, entry: object, values: Choice | Interval, notes: list[str]
    ) -> None:
        self._read.setdefault(name, []).append((said, values))
        if line := _reading(name, said, entry, values):
            self._note(line)
        self.read_so_far.notes.extend(notes)

    def _read_layer(self, said: str, entry: object, name: str, layer: int) -> None:
        """A number for one layer: all of a kind become the lists of their combinations."""
        values = self._of_one_layer(name, said, entry)
        layers = self._layers.setdefault(name, {})
        if layer in layers:
            raise ValueError(f"{said}: {layers[layer][0]} says this too; leave out one")
        if not isinstance(values, Choice):
            raise ValueError(f"{said}: a layer's own number is searched by values: [..]")
        layers[layer] = said, values

    def _of_one_layer(self, name: str, said: str, entry: object) -> Choice | Interval:
        whole_numbers = replace(self._known[name], name=said, type=int, layered=False, squares=True)
        return read_values(whole_numbers, entry, method=self._method, notes=[])

    def _organizations(self, said: str, values: list[Any], listed: Hyperparameter) -> bool:
        """Reads words like doubling beside lists of filters, and texts that hold lists."""
        most = int(listed.high or 0)
        lists, words, own = [], [], []
        depth = _depth_of(values)
        for value in values:
            inside = re.findall(r"\[[\d\s,]+\]", value) if isinstance(value, str) else []
            if isinstance(value, Sequence) and not isinstance(value, str):
                lists.append(listed.parse(value))
            elif inside:
                lists += [listed.parse(text) for text in inside]
            elif depth and not isinstance(value, bool) and _number(value) in range(LEAST, most + 1):
                lists.append("-".join([str(_number(value))] * depth))
            elif isinstance(value, str) and re.search(OWN_PATTERN, value, re.IGNORECASE):
                own.append(value)
            else:
                words.append(self._organization(said, value, self._known[listed.grows]))
        if own and not lists:
            raise ValueError(_unknown_pattern(said, own[0]))
        if not lists:
            return False
        if own:
            self._note(
                f"{said}: without {' and '.join(map(short, own))}, which only its program knows; "
                "write lists of filters for them"
            )
        self._read.setdefault(listed.name, []).append((said, Choice(tuple(dict.fromkeys(lists)))))
        if words:
            self._read.setdefault(listed.grows, []).append((said, Choice(tuple(words))))
        else:
            self._note(f"{said} is {listed.name}, {_some(lists)}")
        return True

    def _organization(self, said: str, value: object, organization: Hyperparameter) -> Value:
        try:
            return replace(organization, name=said).parse(value)
        except ValueError as error:
            if not isinstance(value, str) or not value.strip().isidentifier():
                raise
            raise ValueError(_unknown_pattern(said, value)) from error

    def _set(self, name: str, said: str, entry: object) -> None:
        """A setting of the whole sweep; of epochs and sizes of images the largest counts."""
        settings, other = self.read_so_far.settings, self.read_so_far.names.get(name, name)
        if name not in UP_TO:
            if not isinstance(entry, Mapping) or list(entry) != ["value"]:
                raise ValueError(
                    f"{said}: is a setting of the whole sweep; write {said}: {{value: N}}"
                )
            self._set_once(name, said, other, whole(said, entry["value"], name))
            return
        values = _values_of(entry, ends=True)
        if values is None:
            raise ValueError(f"{said}: is a setting of the whole sweep; write {said}: {{value: N}}")
        numbers = [whole(said, _side(value) if name == "image_size" else _number(value), name)
                   for value in values]  # fmt: skip
        self._set_once(name, said, other, max(numbers))
        if said != name:
            self.read_so_far.names[name] = said
        if len(set(numbers)) > 1:
            why = (
                "a trial trains up to the largest, and early stopping ends it sooner"
                if name == "max_epochs"
                else "all trials see the largest"
            )
            self._note(f"{said} is {name}, {settings[name]}: {why}")
        elif said != name or list(entry) != ["value"]:  # type: ignore[call-overload]
            self._note(f"{said} is {name}, {settings[name]}")

    def _set_once(self, name: str, said: str, other: str, value: int) -> None:
        if self.read_so_far.settings.setdefault(name, value) != value:
            raise ValueError(f"{said}: {other} is {name} too; leave out one")

    def combine(self) -> None:
        """Puts together what several entries say, and tells what contradicts."""
        self._combine_layers()
        self._combine_switches()
        for known in self._known.values():
            if known.of_convolutions:
                self._tell_apart(known.name, known.of_convolutions)
        space = self.read_so_far.space
        for name, read in self._read.items():
            said = [said for said, _ in read]
            if len(said) > 1:
                self._found.lines.append(
                    f"{' and '.join(said)}: all of them are {name}; leave out "
                    f"{'one' if len(said) == 2 else 'all but one'}, or --rename it"
                )
            space[name] = read[0][1]
            if said[0] != name:
                self.read_so_far.names[name] = said[0]
        order = {name: number for number, name in enumerate(self._known)}
        given = [name for name in self._read]
        names = {name: self.read_so_far.names.get(name, name) for name in space}
        together = Said(space, names, self._found.lines)
        if self._family.reconcile:
            self._family.reconcile(together)
        reconcile_recipe(together)
        self.read_so_far.space = {
            name: space[name]
            for name in sorted(
                space, key=lambda n: given.index(n) if n in given else 999 + order[n]
            )
        }
        self.read_so_far.notes += together.notes

    def _combine_layers(self) -> None:
        for name, layers in self._layers.items():
            said = ", ".join(said for said, _ in layers.values())
            first = min(layers)
            missing = set(range(first, first + len(layers))) - set(layers)
            if missing or first > 1:
                self._found.lines.append(
                    f"{said}: {name} of layer {min(missing) if missing else 1} is not there"
                )
                continue
            columns = [values.values for _, (_, values) in sorted(layers.items())]
            if len(layers) == 1 and (one := self._known[name].one):
                self._read.setdefault(one, []).append((said, Choice(columns[0])))
                self._note(f"{said} is {one}")
                continue
            if math.prod(map(len, columns)) > MOST_COMBINED:
                self._found.lines.append(
                    f"{said}: more than {MOST_COMBINED:,} combinations; write lists of them"
                )
                continue
            lists = tuple("-".join(map(str, point)) for point in itertools.product(*columns))
            self._read.setdefault(name, []).append((said, Choice(lists)))
            self._note(f"{said} are {name}, {_some(lists)}")

    def _tell_apart(self, name: str, of_convolutions: str) -> None:
        """A dropout beside one that says that it is the dense layers' is the convolutions'."""
        read = self._read.get(name, [])
        plain = [entry for entry in read if key(entry[0]) == key(name)]
        dense = [entry for entry in read if key(entry[0]) & OF_DENSE]
        if not len(plain) == len(dense) == 1 or of_convolutions in self._read:
            return
        (said, values), (other, _) = plain[0], dense[0]
        if said in self._rename:
            return
        self._read |= {name: dense, of_convolutions: [(said, values)]}
        notes = self.read_so_far.notes
        notes[:] = [note for note in notes if not note.startswith(f"{said} is {name}")]
        self._note(f"{said} is {of_convolutions}, as {other} is the dense layers'")

    def _combine_switches(self) -> None:
        """Whether there is dropout, and how much where there is."""
        for name, (said, switch) in self._switches.items():
            shares = self._read.pop(name, [])
            values = shares[0][1] if len(shares) == 1 else None
            if not isinstance(values, Choice):
                self._found.lines.append(
                    f"{said}: {_some(switch.values)} is no share; write values: [0, 0.3]"
                )
                continue
            other = shares[0][0]
            both = (0.0,) * (False in switch.values) + values.values * (True in switch.values)
            self._read[name] = [(said, Choice(tuple(dict.fromkeys(both))))]
            self._note(f"{said} and {other} are {name}, {_some(dict.fromkeys(both))}")


# Words of patterns that no list can be derived from.
OWN_PATTERN = r"(^|[^a-z])(alt|alternat\w*|mixed|random|zigzag|pattern\w*)([^a-z]|$)"


def _values_of(entry: object, *, ends: bool = False) -> list[Any] | None:
    """The values of an entry; None where it is a range, but for its ends if these are asked for."""
    if not isinstance(entry, Mapping):
        return None
    if "value" in entry:
        return [entry["value"]]
    values = entry.get("values")
    if isinstance(values, Sequence) and not isinstance(values, str) and values:
        distinct: list[Any] = []
        for value in values:
            if value not in distinct:
                distinct.append(value)
        return distinct
    if "min" in entry and "max" in entry and (ends or entry["min"] == entry["max"]):
        return [entry["min"], entry["max"]] if ends else [entry["min"]]
    return None


def _unknown_pattern(said: str, word: str) -> str:
    return (
        f"{said}: what {short(word)} is only its program knows; write lists of filters for it, "
        "values: [[32, 64, 128], ..]"
    )


def _depth_of(values: list[Any]) -> int:
    """How long the lists among the values are; 0 where there is none, or not one length."""
    lengths = {len(v) for v in values if isinstance(v, Sequence) and not isinstance(v, str)}
    return lengths.pop() if len(lengths) == 1 else 0


def _switch(value: object) -> bool | None:
    text = str(value).strip().lower()
    return {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}.get(
        text
    )


def _is_pair(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return all(isinstance(number, int | float) for number in value)


def _few(value: object) -> bool:
    try:
        return float(value) <= MOST_FEW  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _number(value: object) -> object:
    """10 for '10' and 10.0, anything else as it is."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return value
    if isinstance(value, bool) or not number.is_integer():
        return value
    return int(number)


def _side(value: object) -> object:
    """224 for [224, 224], (224, 224, 3) and (3, 224, 224)."""
    if isinstance(value, str):
        numbers = re.fullmatch(
            r"[\[(]?\s*(\d+)\s*[,x]\s*(\d+)(\s*,\s*\d+)?\s*[\])]?", value.lower()
        )
        value = [int(text) for text in re.findall(r"\d+", value)] if numbers else value
    if isinstance(value, Sequence) and not isinstance(value, str):
        sides = list(value)
        if len(sides) == 3:
            sides = sides[1:] if sides[0] in (1, 3) else sides[:2]
        return sides[0] if len(set(sides)) == 1 and len(sides) <= 2 else value
    return _number(value)


def _reading(name: str, said: str, entry: object, values: Choice | Interval) -> str | None:
    """What was read as what, where the file says it in other words."""
    raw = _values_of(entry)
    changed = ""
    if raw is not None and isinstance(values, Choice):
        parsed = list(values.values)
        others = [value for value in raw if not _is_written(value, parsed)]
        if others:
            changed = (
                f": {_some(raw)} as {_some(parsed)}" if _some(raw).lower() != _some(parsed) else ""
            )
    if said == name and not changed:
        return None
    return f"{said} is {name}{changed}"


def _is_written(raw: object, parsed: list[Value]) -> bool:
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return "-".join(map(str, raw)) in parsed
    try:
        return raw in parsed or float(raw) in parsed  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def _some(values: Any, most: int = 7) -> str:
    """'1, 2 and 0.5', and how many there are beyond the first few."""
    listed = [
        str(v).lower()
        if isinstance(v, bool)
        else short(f"{v:g}" if isinstance(v, float) else v, 40)
        for v in values
    ]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
