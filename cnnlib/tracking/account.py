"""The user's account with W&B, and which mode it allows.

wandb is asked in a process of its own, because importing and asking it changes the environment and
the way in which a process ends.
"""

import logging
import os
from typing import Any, NoReturn

from cnnlib.system.redaction import one_line
from cnnlib.tracking.service import answer, asked_elsewhere, is_silence, quieten

logger = logging.getLogger(__name__)

MODES = ("auto", "online", "offline", "off")
WANDB_MODES = {"offline": "offline", "dryrun": "offline", "disabled": "off"}  # theirs: ours
NO_ACCOUNT = "no account is configured"


def resolved_mode(mode: str) -> str:
    """The mode on this machine: its account and its W&B settings decide what `auto` means.

    Raises ValueError where `online` is asked for and there is no account.
    """
    if mode not in MODES:
        raise ValueError(f"wandb: {mode!r} is not one of {', '.join(MODES)}")
    if mode == "auto" and os.environ.get("WANDB_MODE") == "online":
        mode = "online"
    if mode in ("off", "offline"):
        return mode
    found = _ask("--online" if mode == "online" else "--auto")
    configured, problem = found["mode"], found["problem"]
    if mode == "auto" and configured in WANDB_MODES:  # by WANDB_MODE or by `wandb offline`
        return WANDB_MODES[configured]
    if mode == "online" and problem:
        remedy = "run `wandb login`, set WANDB_API_KEY, or choose --wandb offline"
        raise ValueError(f"wandb: cannot be online, {problem}; {remedy}")
    if problem not in ("", NO_ACCOUNT):
        logger.warning("W&B: %s; runs are offline", problem)
    return "offline" if problem else "online"


def check_account() -> str | None:
    """Why W&B's server does not take this account, with the remedy; None where it does."""
    found = _ask("--verify")
    if not found["problem"]:
        return None
    return f"{found['problem']}; run `wandb login`, or choose --wandb offline"


def _ask(question: str) -> dict[str, str]:
    """What wandb's settings say and what is wrong with the account ("" if nothing is)."""
    return {"mode": "", **asked_elsewhere(f"from {__name__} import tell; tell({question!r})")}


def _look(question: str) -> dict[str, Any]:
    """As `_ask`, in this process. Only `--verify` needs the network, and nobody is asked."""
    quieten()
    if question != "--auto":
        os.environ["WANDB_MODE"] = "online"  # asked for, whatever the settings say
    import wandb

    configured = server = ""
    try:
        settings = wandb.setup().settings
        configured, server = str(settings.mode), str(settings.base_url)
        if configured in WANDB_MODES:
            return {"mode": configured, "problem": ""}
        has_account = wandb.login(prompt=False, verify=question == "--verify")
    except Exception as error:  # a malformed key or URL, a server that refuses
        problem = f"{server} does not answer" if is_silence(error) else one_line(error)
        return {"mode": configured, "problem": problem}
    return {"mode": configured, "problem": "" if has_account else NO_ACCOUNT}


def tell(question: str) -> NoReturn:
    """Prints what `_look` finds, and ends the process."""
    answer(_look(question))
