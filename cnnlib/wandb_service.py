"""wandb's own process and the user's account with W&B: which mode is possible, and who sends."""

from __future__ import annotations

import logging
import os

logger = logging.getLogger(__name__)

MODES = ("auto", "online", "offline", "off")
WANDB_MODES = {"offline": "offline", "dryrun": "offline", "disabled": "off"}  # theirs: ours
NO_ACCOUNT = "no account is configured"
SERVER_TIMEOUT = 10  # seconds
SERVICE_IDLE = 3  # seconds that wandb's service stays when the sweep's process is gone


def one_line(error: Exception) -> str:
    """The error's text in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def resolved_mode(mode: str) -> str:
    """The mode on this machine: its account and its W&B settings decide what `auto` means."""
    if mode not in MODES:
        raise ValueError(f"wandb: {mode!r} is not one of {', '.join(MODES)}")
    if mode == "auto" and os.environ.get("WANDB_MODE") == "online":
        mode = "online"
    if mode in ("off", "offline"):
        return mode
    configured, problem = _account()
    if mode == "auto" and configured in WANDB_MODES:  # by WANDB_MODE or by `wandb offline`
        return WANDB_MODES[configured]
    if mode == "online" and problem:
        remedy = "run `wandb login`, set WANDB_API_KEY, or choose --wandb offline"
        raise ValueError(f"wandb: cannot be online, {problem}; {remedy}")
    if problem not in ("", NO_ACCOUNT):
        logger.warning("W&B: %s; runs are offline", problem)
    return "offline" if problem else "online"


def _account() -> tuple[str, str]:
    """The mode in wandb's settings, and why no account can be used ("" if one can).

    Looks where wandb looks (environment, netrc, settings), without the network and without asking.
    """
    _quieten()
    configured = ""
    try:
        from wandb.sdk import wandb_setup
        from wandb.sdk.lib import wbauth

        settings = wandb_setup.singleton().settings
        configured = settings.mode
        host = wbauth.HostUrl(settings.base_url, app_url=settings.app_url)
        account = wbauth.authenticate_session(
            host=host, source="", prompt=False, update_session=False
        )
    except Exception as error:  # a malformed key or URL
        return configured, one_line(error)
    return configured, "" if account else NO_ACCOUNT


def check_account() -> str | None:
    """Why W&B's server does not take this account, with the remedy; None where it does."""
    _quieten()
    import requests
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib import wbauth

    url = wandb_setup.singleton().settings.base_url.rstrip("/")
    account = wbauth.authenticate_session(
        host=wbauth.HostUrl(url), source="", prompt=False, update_session=False
    )
    try:
        answer = requests.post(
            f"{url}/graphql",
            auth=("api", getattr(account, "api_key", "")),
            json={"query": "query { viewer { id } }"},
            timeout=SERVER_TIMEOUT,
        )
        refused = answer.status_code in (401, 403)
        if not refused:
            answer.raise_for_status()
        viewer = None if refused else (answer.json().get("data") or {}).get("viewer")
    except (requests.RequestException, ValueError) as error:
        return f"{url} does not answer ({type(error).__name__}); choose --wandb offline"
    if viewer:
        return None
    return f"{url} does not know the API key; run `wandb login`, or choose --wandb offline"


def _quieten() -> None:
    """Before wandb is imported: nothing on the screen, and no reports to its makers at exit."""
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def connect() -> None:
    """Start a wandb service that is detached, as `wandb beta core start` does, and connect to it.

    The one that wandb starts by itself replaces sys.exit and sys.excepthook, and holds up the
    process's exit until every run is sent.
    """
    _quieten()
    import wandb
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.service import service_connection, service_process

    if "WANDB_SERVICE" in os.environ:  # the user's own service
        return
    setup = wandb_setup.singleton()
    service = service_process.start_detached(wandb.Settings(), idle_timeout=f"{SERVICE_IDLE}s")
    client = service.token.connect(asyncer=setup.asyncer)
    setup._connection = service_connection.ServiceConnection(setup.asyncer, client, service)


def disconnect() -> None:
    """End wandb's service, which writes the last rows to disk as it goes."""
    import wandb

    wandb.teardown()
