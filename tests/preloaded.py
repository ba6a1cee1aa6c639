"""What the server of tests.commands loads, and what loading it puts into the environment."""

import os

_BEFORE = dict(os.environ)

import analysis.page.contents  # noqa: E402
import analysis.page.files  # noqa: E402, F401
import cnnlib.running.sweep  # noqa: E402, F401

SET = {name: value for name, value in os.environ.items() if _BEFORE.get(name) != value}
