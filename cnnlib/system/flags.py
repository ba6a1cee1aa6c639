"""The flags of a command, whose mistakes are one line on stderr and exit code 2."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cnnlib.system.redaction import without_secrets
from cnnlib.system.units import short


class Flags(argparse.ArgumentParser):
    """Says what is wrong with a flag in one line, without a page of usage before it."""

    def error(self, message: str) -> NoReturn:
        told = short(without_secrets(message), 300)
        self.exit(2, f"{self.prog}: {told}; --help lists the flags\n")

    def parse_known_args(  # type: ignore[override]  # two overloads there
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse does, which makes an empty list of `--name=--`."""
        given = sys.argv[1:] if args is None else args
        for argument in given:
            if re.fullmatch(r"--[\w-]+=--", argument):
                self.error(f"argument {argument[:-3]}: expected a value instead of --")
        return super().parse_known_args(given, namespace)


def number_or(word: str) -> Callable[[str], float | str]:
    """The type of a flag that is a number or this word."""

    def parsed(text: str) -> float | str:
        try:
            return text if text == word else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text} is not a number or {word}") from None

    return parsed


def weights_setting(place: str) -> str:
    """--weights PLACE as a --set: a file or folder by its whole path, as others look for it too."""
    words = ("pretrained", "none")
    return f"weights={place if place in words else os.path.abspath(os.path.expanduser(place))}"
