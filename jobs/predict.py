"""Says what photographs show: a trained network's folder and photographs in, a table out."""

import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where nothing was installed

from cnnlib.photos.folders import shown
from cnnlib.system.flags import Flags
from cnnlib.system.redaction import MOST_LETTERS
from cnnlib.system.units import short
from jobs.tune import exit_after, mistake


def parser() -> Flags:
    """The flags."""
    flags = Flags(description="Predicts the classes of photographs.", allow_abbrev=False)
    flags.add_argument(
        "folder", metavar="FOLDER", help="of a sweep, its champion, or jobs/train.py"
    )
    flags.add_argument("photos", metavar="PHOTO", nargs="+", help="files, or folders of files")
    flags.add_argument("--network", metavar="NAME", help="file.py:NAME, where it is your own")
    flags.add_argument("--csv", action="store_true", help="print the table as CSV")
    return flags


def main() -> int:
    """Predicts; returns the exit code, 2 where no photograph could be read."""
    asked = parser().parse_args()
    from cnnlib.system.surroundings import check_surroundings

    try:
        check_surroundings()
    except OSError as error:
        return mistake(error)
    from cnnlib.champion.champion import read_champion
    from cnnlib.champion.prediction import GUESSES, find_photos, predict
    from cnnlib.networks.own_code import family_asked

    try:
        family = family_asked(asked.network) if asked.network else None
        champion, files = read_champion(asked.folder, family), find_photos(asked.photos)
        if not files:
            raise FileNotFoundError(f"no files in {', '.join(asked.photos)}")
        table, unreadable = predict(champion, files)
    except (ValueError, OSError) as error:
        return mistake(error)
    for file, reason in unreadable.items():
        print(short(f"{shown(file)}: {reason}", MOST_LETTERS), file=sys.stderr)
    if table.empty:
        return 2
    if asked.csv:
        print(table.to_csv(index=False), end="")
        return 0
    for name in GUESSES:
        if name in table:
            shares = table.pop(f"{name}_confidence")
            table[name] = [
                f"{share:.3f} {guess}" for share, guess in zip(shares, table[name], strict=True)
            ]
    print_table(table)
    return 0


def print_table(table: Any) -> None:
    """Prints a table of texts, its columns to the left."""
    rows = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        )


def command() -> NoReturn:
    """What `cnnlib-predict` runs."""
    exit_after(main)


if __name__ == "__main__":
    command()
