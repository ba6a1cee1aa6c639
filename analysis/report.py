"""Writes a sweep's report: `python analysis/report.py FOLDER [--data DATA] [--claims FILE]`."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # as a script: see the project's root, not this folder's modules
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.page.sending import send
from analysis.reading.columns import Choice, add_choice, chosen
from analysis.reading.folder import SweepFolder, read_folder
from analysis.reading.place import Place, opened
from analysis.reading.report_folder import check_ours, replaced_report
from analysis.reading.shapes import SETTINGS, read_mapping
from analysis.statistics.claims import FINETUNING, SHIPPED, Claim, read_claims
from analysis.statistics.several import sweeps_in
from analysis.watch import watch
from cnnlib.journal.events import journal_exists
from cnnlib.journal.tables import read_results
from cnnlib.system.flags import Flags
from cnnlib.system.redaction import one_line


def write_report(
    folder: Path,
    *,
    data: str | None = None,
    claims: Path | None = None,
    report: Path | None = None,
    choice: Choice | None = None,
) -> Path:
    """The path of the page `report`/index.html, which is new, as is all that it shows.

    `data` is a folder below which the test photographs may lie, `claims` a YAML file of claims to
    be judged with those of the published study; the report goes to `folder`/report by default.
    `choice` says which columns of tables from elsewhere are hyperparameters. Raises ValueError
    where the report's place holds other files; until the new report is whole the old one stays.
    """
    judged = _judged(claims)
    sweep = read_folder(Path(folder), choice)
    # matplotlib takes a second to load: not before the folder is known to be readable
    from analysis.page.contents import build_page
    from analysis.page.files import write_page
    from analysis.page.sections.test import tested_tables
    from analysis.page.sections.trials import trials_table
    from analysis.statistics.findings import find

    report = report or Path(folder) / "report"
    with replaced_report(report) as new:
        findings = find(sweep, judged)
        findings.write(new)
        for name, table in {"trials": trials_table(sweep), **tested_tables(sweep)}.items():
            table.to_csv(new / "tables" / f"{name}.csv", index=False)
        page = build_page(sweep, findings, photo_folders=_photo_folders(sweep, data))
        write_page(page, new)
    return report / "index.html"


def _refuse_no_trials(folder: Path) -> None:
    """Raises ValueError where there is nothing to report; a sweep with a journal may have begun."""
    if not journal_exists(folder) and not len(read_results(folder).trials):
        raise ValueError(f"{folder / 'trials.csv'} has a header and no rows: nothing to report")


def _judged(claims: Path | None) -> list[Claim]:
    shipped = [*read_claims(SHIPPED), *read_claims(FINETUNING)]
    return shipped + (read_claims(claims) if claims else [])


def _photo_folders(sweep: SweepFolder, data: str | None) -> list[Path]:
    """Where the paths of test_predictions.csv may start."""
    stated = sweep.settings.get("data")
    source = stated.get("source") if isinstance(stated, dict) else None
    folders = [Path(place) for place in (data, source) if isinstance(place, str)]
    near = [parent for folder in folders for parent in (folder, folder.parent)]
    return [*near, sweep.path / "champion", sweep.path]


def _test_if_untested(folder: Path, data: str | None, reason: str | None) -> None:
    """Let the champion predict the test photographs, unless it has, or there are none.

    Where they were opened for another champion, that takes a reason; without, a line says so.
    """
    champion = folder / "champion"
    if not (champion / "config.json").exists() or (champion / "test_predictions.csv").exists():
        return
    settings = read_mapping(folder / "sweep.json", SETTINGS)
    stated = settings.get("data")
    if data is None and isinstance(stated, dict) and stated.get("test") == 0:
        return
    if settings.get("interrupted") and not reason:  # another may be champion in the end
        text = "the sweep has not ended, so its champion is not tested; --open-test-again tests it"
        print(text, file=sys.stderr)
        return
    from cnnlib.champion.final_test import OpenedBeforeError, test_champion  # loads torch

    try:
        test_champion(folder, data=data, reason=reason)
    except OpenedBeforeError as error:
        print(error, file=sys.stderr)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{error} (--no-test writes the report without the test)") from None


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = Flags(
        prog="analysis/report.py",
        description="Write the report of a sweep into FOLDER/report and print the page's path.",
    )
    flags.add_argument(
        "folder",
        metavar="FOLDER",
        help="the sweep's folder, or one of several sweeps to be compared; s3:// and gs:// too",
    )
    flags.add_argument(
        "--data",
        help="where the photographs are, if the sweep's own record of it does not hold here",
    )
    flags.add_argument(
        "--claims", type=Path, metavar="FILE.yaml", help="claims of your own to be judged as well"
    )
    flags.add_argument("--no-test", action="store_true", help="do not test an untested champion")
    flags.add_argument(
        "--open-test-again",
        metavar="REASON",
        help="test this champion although the test photographs were opened for another",
    )
    add_choice(flags)
    _add_flags_of_other_ways(flags)
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 done, 2 a mistake of the user's, 130 interrupted."""
    flags = parser().parse_args(arguments)
    try:
        _refuse_what_watching_ignores(flags)
        with opened(flags.folder, flags.out) as place:
            return _report(place, flags)
    except (ValueError, OSError) as error:
        print(f"analysis/report.py: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _add_flags_of_other_ways(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, metavar="FOLDER", help="where the report goes instead")
    add("--upload", action="store_true", help="copy the report of a sweep in a bucket there too")
    add("--watch", action="store_true", help="serve the report on loopback while the sweep runs")
    add("--port", type=int, default=8765, metavar="N", help="for --watch (8765; 0: a free one)")
    add("--wandb", action="store_true", help="send the report to a run of the sweep in W&B")
    add("--wandb-project", default="cnnlib", metavar="NAME", help="W&B project (cnnlib)")


def _refuse_what_watching_ignores(flags: argparse.Namespace) -> None:
    for name in ("wandb", "upload", "out"):
        if flags.watch and getattr(flags, name):
            raise ValueError(f"--{name}: --watch writes no report; do this without it")


def _report(place: Place, flags: argparse.Namespace) -> int:
    write = partial(
        write_report, place.folder, data=flags.data, claims=flags.claims, choice=chosen(flags)
    )
    if flags.upload and not place.remote:
        raise ValueError("--upload: FOLDER is on this disk, and so is its report")
    if sweeps_in(place.folder):
        if flags.watch or flags.wandb:
            raise ValueError(f"{place.folder} holds several sweeps: --watch and --wandb take one")
        from analysis.page.sections.several import write_comparison

        name = "comparison"
        with replaced_report(place.report(name)) as new:
            write_comparison(place.folder, new, _judged(flags.claims))
        page = place.report(name) / "index.html"
    elif flags.watch:
        return watch(place, lambda into: write(report=into), port=flags.port)
    else:
        check_ours(place.report("report"))  # before a test, which takes a while
        _refuse_no_trials(place.folder)
        if not (flags.no_test or place.remote):  # a test is recorded where the sweep is
            _test_if_untested(place.folder, flags.data, flags.open_test_again)
        name = "report"
        page = write(report=place.report(name))
        if flags.wandb:
            print(send(place, page.parent, project=flags.wandb_project))
    if flags.upload:
        place.upload(page.parent, name)
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
