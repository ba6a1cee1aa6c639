"""A sweep's report in W&B: one run, beside the sweep's trials and in their group."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlib.tracking import RUN_SETTINGS
from cnnlib.wandb_names import refused_id, run_id
from cnnlib.wandb_service import connect, disconnect, one_line, resolved_mode

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
    the report is that run's newest. Without an account the run is kept under `folder`/wandb. Raises
    ValueError where W&B is switched off, and OSError where it cannot be reached.
    """
    mode = resolved_mode("auto")
    if mode == "off":
        raise ValueError("--wandb: W&B is switched off on this machine (WANDB_MODE)")
    folder.mkdir(parents=True, exist_ok=True)
    files = f"{shlex.quote(str(folder.absolute()))}/wandb"
    identifier = run_id(sweep, "report", started=started)
    with _one_line_errors():
        connect()
        run = _open(mode, identifier, folder, sweep, project)
        accepted = run is not None
        if not accepted:
            mode = "offline"
            run = _open(mode, refused_id(identifier), folder, sweep, project)
        run.log(_content(report))
        run.summary.update(dict(summary))
        url = run.url
        try:
            run.finish()
        except TimeoutError:
            send = f"wandb sync --include-online {files}/run-*"
            raise OSError(f"W&B does not answer; send the report with: {send}") from None
        if accepted:  # or the service would wait for what it cannot send
            disconnect()
    if mode == "online":
        return f"W&B: the report online: {url}"
    return f"W&B: the report offline; send it with: wandb sync {files}/offline-run-*"


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Whatever wandb raises is an OSError of one line."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"W&B: {one_line(error)}") from None


def _open(mode: Any, identifier: str, folder: Path, sweep: str, project: str) -> Any:
    """The run; None where the server does not take it."""
    import wandb

    try:
        return wandb.init(
            project=project,
            group=sweep,
            job_type="report",
            id=identifier,
            name="report",
            dir=str(folder.absolute()),
            mode=mode,
            reinit="create_new",
            resume="allow",
            settings=wandb.Settings(**RUN_SETTINGS),
        )
    except Exception as error:
        if mode == "offline":
            raise
        logger.warning("W&B: %s; the report goes offline", one_line(error))
        return None


def _content(report: Path) -> dict[str, Any]:
    """The figures and tables by their names."""
    import wandb

    figures = {f"figures/{p.stem}": wandb.Image(str(p)) for p in report.glob("figures/*.png")}
    tables = {
        f"tables/{path.stem}": wandb.Table(
            dataframe=pd.read_csv(path, dtype={"trial_id": str}), allow_mixed_types=True
        )
        for path in report.glob("tables/*.csv")
    }
    return figures | tables
