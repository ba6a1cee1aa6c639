"""Searches hyperparameters: flags in, a sweep's folder with champion and report out."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # where nothing was installed

from cnnlib.search.gain import MORE
from cnnlib.search.searchers import SEARCHERS
from cnnlib.system.flags import Flags, number_or, weights_setting
from cnnlib.system.mistakes import each
from cnnlib.system.redaction import named


def parser() -> Flags:
    """The flags; each is a field of cnnlib.planning.settings.Settings by the same name."""
    flags = Flags(
        description="Tunes a CNN on photographs in class folders, and reports.",
        allow_abbrev=False,
    )
    add = flags.add_argument
    add("--data", metavar="DATA", help="sample (default), or folder, table, zip, shards or URL")
    add("--columns", metavar="C=NAME,...", help="of a table: path, label, split, group or time")
    add("--min-per-class", type=int, metavar="N", help="leave smaller classes out")
    add("--sweep", metavar="FILE", help="a W&B sweep file (default: the one that fits the data)")
    add("--network", metavar="NAME", help="cnn (default), pretrained, or file.py:NAME of your own")
    add("--rename", action="append", metavar="NAME=KNOWN", help="whose a name of the sweep file is")
    add(
        "--metric",
        metavar="NAME",
        help="what is optimised: val_acc (default), val_loss, val_f1 ...",
    )
    add("--goal", choices=("maximize", "minimize"), help="of a metric whose name does not say it")
    add("--set", action="append", metavar="NAME=V[,V]", help="fix or narrow a hyperparameter")
    add(
        "--weights", dest="set", action="append", type=weights_setting, metavar="PATH",
        help="pretrained weights: a file or folder of them, or none (default: where they are)",
    )  # fmt: skip
    add("--trials", type=int, metavar="N", help="how many configurations to try")
    add("--max-epochs", type=int, metavar="N", help="epochs of a trial that is not stopped")
    add("--image-size", type=int, metavar="PX", help="side of the images")
    add(
        "--gpus-per-trial",
        type=number_or("auto"),
        metavar="F",
        help="share of a GPU for a trial, or auto",
    )
    add("--cpus-per-trial", type=int, metavar="N", help="CPU cores for a trial (default 1)")
    add("--max-concurrent", type=int, metavar="N", help="trials at once (default: what fits)")
    add("--time-budget", metavar="TIME", help="2h, 90m or 1h30m, the last quarter for the finals")
    add("--audit", type=float, metavar="SHARE", help="of the trials to stop that run on (0)")
    add("--patience", type=int, metavar="N", help="epochs without progress that end a trial (5)")
    add("--seed", type=int, metavar="N", help="of the split, the search and the training (42)")
    add("--finalists", type=int, metavar="N", help="trials that are trained again at the end (3)")
    add("--seeds", type=int, metavar="N", help="new seeds for each of them (3); 0: no finals")
    add("--no-retrain", action="store_false", dest="retrain", help="no champion on all photographs")
    add(
        "--reference", metavar="FILE", help="what the champion is compared with; none (the study's)"
    )
    add("--storage", metavar="PLACE", help="folder or s3://bucket/path for sweeps (results/)")
    add("--name", metavar="NAME", help="of this sweep's folder (default: data and time)")
    add("--resume", action="store_true", help="go on with the sweep of this --name")
    add("--warm-start", metavar="FOLDER", help="begin with what another sweep found")
    add(
        "--past", nargs="+", metavar="FOLDER",
        help="earlier sweeps that --search curves begins with, or none (default: public ones)",
    )  # fmt: skip
    add("--first", metavar="FILE", help="configurations to try first, or a trials.csv")
    add("--prior", action="append", metavar="NAME=V[,V]", help="values that you believe in")
    add(
        "--stop-when", type=number_or("noise"), metavar="GAIN",
        help=f"end where {MORE} more trials are expected to gain less: 0.003 of val_acc, or noise",
    )  # fmt: skip
    add("--explore", type=float, metavar="SHARE", help="of the proposals balanced at random (0)")
    add("--search", choices=tuple(SEARCHERS), help="who proposes (default: the file's method, tpe)")
    add("--wandb", choices=("auto", "online", "offline", "off"), help="W&B (default auto)")
    add("--wandb-project", metavar="NAME", help="W&B project (default cnnlib)")
    add("--open-test-again", metavar="REASON", help="test a new champion of a tested sweep too")
    add("--rungs", nargs="+", metavar="auto", help="and folders: what rungs did there; then ends")
    add("--plan", action="store_true", help="check everything, print the plan, start nothing")
    add("--verbose", action="store_true", help="show what Ray prints too")
    return flags


def main() -> int:
    """Runs the sweep; returns the exit code."""
    flags = vars(parser().parse_args())
    only_plan, reason = flags.pop("plan"), flags.pop("open_test_again")
    rungs = flags.pop("rungs")
    signal.signal(signal.SIGTERM, _interrupt)  # `ray job stop` sends it
    from cnnlib.system.surroundings import check_surroundings

    try:
        check_surroundings()  # before libraries that would stumble over them
    except OSError as error:
        return mistake(error)
    if rungs:
        return _tell_rungs(rungs)
    from cnnlib.planning.make_plan import make_plan
    from cnnlib.planning.settings import Settings
    from cnnlib.storage.folder_lock import LockedError

    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
        plan = make_plan(settings)
        print(plan, flush=True)
    except (ValueError, OSError) as error:
        return mistake(error)
    if only_plan:
        return _examine(plan)
    try:
        return _run(plan, reason)
    except (LockedError, OSError) as error:
        return mistake(error)


def _tell_rungs(asked: list[str]) -> int:
    """Prints what rungs would have saved and lost in earlier sweeps, and starts nothing."""
    from cnnlib.planning.past_rungs import past_rungs

    word, *folders = asked
    try:
        if word != "auto" or not folders:
            raise ValueError("--rungs: write auto and the folders of earlier sweeps")
        for line in past_rungs(folders):
            print(line, flush=True)
    except (ValueError, OSError) as error:
        return mistake(error)
    return 0


def _examine(plan: Any) -> int:
    """Prints what the doctor finds; 2 where something has to be mended first."""
    from cnnlib.running.doctor import examine

    faults = 0
    for check in examine(plan):
        print(check, flush=True)
        faults += not check.ok
    return 2 if faults else 0


def _run(plan: Any, reason: str | None) -> int:
    from analysis.report import write_report
    from cnnlib.champion.final_test import test_champion
    from cnnlib.running.sweep import run

    result = run(plan)
    if result.trouble:
        print(f"{result.trouble}; go on by the same command with --resume", file=sys.stderr)
        return 1
    if result.interrupted:
        reached = f"; what was reached: python analysis/report.py {result.folder}"
        print(
            "interrupted; go on by the same command with --resume"
            + (reached if len(result.epochs) else "")
        )
        return 130
    champion = result.champion
    if champion is None:
        print(
            f"no trial reached a {plan.terms.metric.said}; see {result.folder}/trials.csv",
            file=sys.stderr,
        )
        return 1
    tested = ""
    if plan.dataset.test:
        try:
            metrics = test_champion(
                result.folder, dataset=plan.dataset, reason=reason, family=plan.family
            )
            tested = (
                f", test {metrics['test_acc']:.3f} ({metrics['test_low']:.3f} to "
                f"{metrics['test_high']:.3f}, {metrics['test_n']:,} photographs)"
            )
        except ValueError as error:  # it was opened before, or the network predicts nothing
            print(error)
    page = write_report(result.folder)
    if plan.mirror and (problem := plan.mirror.close()):
        print(problem, file=sys.stderr)
    on_seeds = "" if champion.origin == "search" else " on new seeds"
    print(f"champion: trial {champion.trial_id}, {champion.said}{on_seeds}{tested}; report: {page}")
    return 0


def mistake(error: Exception) -> int:
    """A line on stderr for each thing that the user can mend, and the exit code for it."""
    for one in each(error):
        print(named(one), file=sys.stderr)
    return 2


def _interrupt(signal_number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def exit_after(main: Callable[[], int]) -> NoReturn:
    """Runs a job and ends the process with its exit code, 130 after Ctrl-C."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def command() -> NoReturn:
    """What `cnnlib-tune` runs."""
    exit_after(main)


if __name__ == "__main__":
    command()
