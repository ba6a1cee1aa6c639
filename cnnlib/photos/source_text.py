"""What --data names, with how it is to be read: `labels.csv#label=species,min_per_class=20`.

The flags --columns and --min-per-class become the part behind the `#`, so that one text tells every
machine and every later command the whole.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cnnlib.system.units import short

# The names of columns that say what one is, the likeliest first, in small letters and digits.
ROLES = {
    "path": (
        "path", "filepath", "filename", "file", "imagepath", "imagefile", "imagefilename",
        "imagename", "image", "images", "img", "imgpath", "imgname", "photo", "photograph",
        "paths", "filenames", "files", "relpath", "imageid", "id",
    ),
    "label": (
        "label", "labels", "classname", "class", "category", "categoryname", "target", "species",
        "classlabel", "labelname", "classes", "y", "classid", "labelid", "categoryid",
    ),
    "split": ("split", "set", "subset", "partition", "fold", "usage", "datasplit"),
    "group": (
        "group", "groupid", "groups", "patient", "patientid", "subject", "subjectid",
        "individual", "individualid", "specimen", "specimenid",
    ),
    "time": (),  # never guessed: the latest photographs are tested with only where one asks
}  # fmt: skip

_PAIR = re.compile(r"(\w+)=([^,=]+)")
_MIN = "min_per_class"


@dataclass(frozen=True)
class SourceText:
    """A place of photographs and how to read it."""

    place: str
    columns: Mapping[str, str] = field(default_factory=dict)
    min_per_class: int | None = None

    @classmethod
    def parse(cls, text: str | Path) -> "SourceText":
        """ValueError where what stands behind the `#` is no such option."""
        place, mark, rest = str(text).rpartition("#")
        if not mark or os.path.exists(text) or not all(map(_PAIR.fullmatch, rest.split(","))):
            return cls(str(text))
        options = dict(pair.split("=", 1) for pair in rest.split(","))
        least = options.pop(_MIN, None)
        for name in options:
            if name not in ROLES:
                known = ", ".join((*ROLES, _MIN))
                raise ValueError(f"data: {place} is read by {known}, not by {short(name)}")
        if least is not None and not re.fullmatch(r"[1-9]\d{0,8}", least):
            raise ValueError(f"--min-per-class: {short(least)} is not a whole number of at least 1")
        return cls(place, options, None if least is None else int(least))

    def __str__(self) -> str:
        options = dict(self.columns)
        if self.min_per_class is not None:
            options[_MIN] = str(self.min_per_class)
        return (
            f"{self.place}#{','.join(f'{n}={v}' for n, v in options.items())}"
            if options
            else (self.place)
        )

    @property
    def absolute(self) -> str:
        """The same for a program that runs in another folder."""
        if self.place == "sample" or not os.path.exists(os.path.expanduser(self.place)):
            return str(self)
        place = os.path.abspath(os.path.expanduser(self.place))
        return str(SourceText(place, self.columns, self.min_per_class))


def read_by(data: str | Path, columns: str | None, min_per_class: int | None) -> str | Path:
    """`data` with the options of the flags; ValueError where they are none."""
    if columns is None and min_per_class is None:
        return data
    source = SourceText.parse(data)
    given = {}
    for pair in str(columns).split(",") if columns is not None else []:
        found = _PAIR.fullmatch(pair.strip())
        if not found or found[1] not in ROLES:
            raise ValueError(
                f"--columns: {short(pair)} is not like path=file,label=species; "
                f"known are {', '.join(ROLES)}"
            )
        given[found[1]] = found[2].strip()
    least = source.min_per_class if min_per_class is None else min_per_class
    return str(SourceText(source.place, {**source.columns, **given}, least))
