"""How a command refuses its flags: in one line, without a page of usage before it."""

import argparse
from typing import NoReturn

from cnnlib.config import short


class Flags(argparse.ArgumentParser):
    """A parser that says what is wrong with a flag, and which flag lists the others."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2."""
        self.exit(2, f"{self.prog}: {short(message, 300)}; --help lists the flags\n")
