"""Takes passwords, keys and signatures of addresses out of what is written, printed or raised."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cnnlib.system.units import short

MOST_LETTERS = 1000  # of what an exception says

ADDRESS = re.compile(
    # Where a word begins, and no secret without an end: or long texts would take hours.
    r"""((?<![a-z0-9+.-])[a-z0-9+.-]+:// | (?:https?|s3|gs):/) # a Path has one stroke
    (?: [^\s/?\#'"<>]*@                                       # user:password@
      | [^\s/?\#@:'"<>]*:(?!\d*(?:[/?\#\s'"<>]|$))[^'"<>]{0,4096}@ # KEY:SEC/RET@, not host:80/a@b
    )?
    ([^\s?\#'"<>]*)
    ([?\#][^\s'"<>]*)?""",
    re.IGNORECASE | re.VERBOSE,
)
REQUESTED = re.compile(r"(with url: [^\s?]*)\?\S*")  # as requests says it, without the host


def without_secrets(text: str) -> str:
    """The text with each URL in it, `s3://KEY:SECRET@bucket` too, without user info and query."""
    return REQUESTED.sub(r"\1", ADDRESS.sub(_public, text))


def command(arguments: Iterable[str]) -> str:
    """A command line for the record; of an argument with a URL nothing from its query on stays."""
    return " ".join(without_secrets(_cut(argument)) for argument in arguments)


def one_line(error: BaseException) -> str:
    """What an exception says, in one line that can be read and holds no secret; or its class."""
    return short(without_secrets(str(error)), MOST_LETTERS) or type(error).__name__


def named(error: BaseException) -> str:
    """The class of an exception and what it says: `ValueError: ...`, as `one_line` does."""
    return f"{type(error).__name__}: {one_line(error)}"


@contextmanager
def secrets_withheld() -> Iterator[None]:
    """What is raised in here says nothing secret, nor does what caused it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            cause.args = tuple(
                without_secrets(str(part)) if isinstance(part, str | Exception) else part
                for part in cause.args
            )
            cause = cause.__cause__ or cause.__context__
        raise


def _public(found: re.Match[str]) -> str:
    query = found[3] or ""
    return found[1] + found[2] + query[len(query.rstrip(":;,.)")) :]


def _cut(argument: str) -> str:
    """A query may hold spaces, which end an address within a text."""
    scheme, mark, rest = argument.partition("://")
    return scheme + mark + re.split("[?#]", rest)[0] if mark else argument
