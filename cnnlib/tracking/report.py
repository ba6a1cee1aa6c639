"""A sweep's report in W&B: one run, beside the sweep's trials and in their group.

wandb sends it from a process of its own, which ends where the server does not answer.
"""

import json
import logging
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from cnnlib.system.redaction import one_line
from cnnlib.tracking.account import resolved_mode
from cnnlib.tracking.names import run_id
from cnnlib.tracking.service import (
    answer,
    asked_elsewhere,
    finish,
    is_silence,
    quieten,
    run_settings,
)

logger = logging.getLogger(__name__)


def send_report(
    report: Path,
    *,
    folder: Path,
    sweep: str,
    started: str,
    project: str,
    summary: Mapping[str, object],
) -> str:
    """Sends a report's figures, tables and summary; a line about where they are.

    The run's id follows from the sweep's name and its start ("" if that is not known): sent again,
    the report is that run's newest. Without an account, or where the server does not take it, the
    run is kept under `folder`/wandb. Raises ValueError where W&B is switched off, and OSError where
    wandb cannot write.
    """
    mode = resolved_mode("auto")
    if mode == "off":
        raise ValueError("--wandb: W&B is switched off on this machine (WANDB_MODE)")
    folder.mkdir(parents=True, exist_ok=True)
    asked: dict[str, Any] = {
        "report": str(report.absolute()),
        "folder": str(folder.absolute()),
        "id": run_id(sweep, "report", started=started),
        "group": sweep,
        "project": project,
        "summary": dict(summary),
    }
    said = _ask(asked, mode)
    if "problem" in said and mode == "online":
        logger.warning("W&B: %s; the report goes offline", said["problem"])
        mode = "offline"
        said = _ask(asked, mode)
    if "problem" in said:
        raise OSError(f"W&B: {said['problem']}")
    if mode == "online":
        return f"W&B: the report online: {said['url']}"
    files = f"{shlex.quote(asked['folder'])}/wandb/offline-run-*"
    return f"W&B: the report offline; send it with: wandb sync {files}"


def _ask(asked: dict[str, Any], mode: str) -> dict[str, str]:
    """What a process that sends it says: its url, or the problem."""
    given = json.dumps({**asked, "mode": mode})
    return asked_elsewhere(f"from {__name__} import tell; tell()", given)


def tell() -> NoReturn:
    """Sends what is asked for on the input, prints what came of it, and ends the process."""
    asked = json.loads(sys.stdin.read())
    quieten()
    try:
        said = {"url": _send(asked)}
    except Exception as error:
        what = "the server does not answer" if is_silence(error) else one_line(error)
        said = {"problem": what}
    answer(said)


def _send(asked: dict[str, Any]) -> str | None:
    import wandb

    run = wandb.init(
        project=asked["project"],
        group=asked["group"],
        job_type="report",
        id=asked["id"],
        name="report",
        dir=asked["folder"],
        mode=asked["mode"],
        reinit="create_new",
        resume="allow",
        settings=run_settings(),
    )
    run.log(_content(Path(asked["report"])))
    run.summary.update(asked["summary"])
    url = run.url
    finish(run, asked["mode"])
    return url


def _content(report: Path) -> dict[str, Any]:
    """The figures and tables by their names."""
    import pandas as pd
    import wandb

    figures = {f"figures/{p.stem}": wandb.Image(str(p)) for p in report.glob("figures/*.png")}
    tables = {
        f"tables/{path.stem}": wandb.Table(
            dataframe=pd.read_csv(path, dtype={"trial_id": str}), allow_mixed_types=True
        )
        for path in report.glob("tables/*.csv")
    }
    return figures | tables
