"""A sweep in W&B, the only room that knows wandb: one run a trial, and one of the report.

`Tracking` is what a driver starts: it follows the journal in a process of its own
(`python -m cnnlib.tracking FOLDER`), which also sends a sweep that ran without W&B.
"""

from cnnlib.tracking.account import resolved_mode
from cnnlib.tracking.process import Tracking

__all__ = ["Tracking", "resolved_mode"]
