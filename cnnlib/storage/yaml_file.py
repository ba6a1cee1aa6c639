"""YAML and JSON files of the user's, read safely: whatever is wrong is one line with file and line.

More is refused than YAML itself refuses: a key twice in a mapping, of which the last would win in
silence, and anchors that stand for ever more values.
"""

from pathlib import Path
from typing import Any

import yaml

from cnnlib.storage.files import refuse_special
from cnnlib.system.units import short

MOST_BYTES = 4 * 2**20
MOST_VALUES = 200_000  # of a file, each anchor counted as often as it is used


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds: mappings, lists, texts, numbers, true and false, None.

    Raises OSError where it cannot be read, ValueError with its line where it is wrong.
    """
    refuse_special(path)
    with Path(path).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{path}: is larger than {MOST_BYTES // 2**20} MiB")
    try:
        return yaml.load(content.decode("utf-8"), _Loader)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path} is not YAML: line {line} is not UTF-8") from None
    except _RefusedError as error:
        raise ValueError(f"{path}: {_told(error)}") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"{path} is not YAML: {_told(error)}") from None
    except yaml.YAMLError as error:  # a character that YAML does not have
        raise ValueError(f"{path} is not YAML: {short(error, 200)}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deep") from None


class _RefusedError(yaml.MarkedYAMLError):
    """YAML, and no use to us."""


def _told(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    said = short(" ".join(filter(None, (error.context, error.problem))), 200)
    return f"line {mark.line + 1}: {said}" if mark else said


class _Loader(yaml.SafeLoader):
    """Counts values as they are composed, before anything is built of them."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}  # of the nodes that are complete, by their identity

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.peek_event().start_mark
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._sizes:
            raise _RefusedError(None, None, "an anchor holds itself", mark)
        children = getattr(node, "value", ())
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in children for part in pair]
            _refuse_twice(self, node)
        elif not isinstance(node, yaml.SequenceNode):
            children = []
        self._sizes[id(node)] = size = 1 + sum(self._sizes[id(child)] for child in children)
        if size > MOST_VALUES:
            raise _RefusedError(None, None, f"more than {MOST_VALUES:,} values", mark)
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """`!!int ''` and the like raise whatever they happen to: here it is the line's mistake."""
        try:
            return super().construct_object(node, deep)  # type: ignore[no-untyped-call]
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:
            what = f"{short(getattr(node, 'value', ''))} is not {node.tag.rpartition(':')[2]}"
            raise _RefusedError(None, None, what, node.start_mark) from error


def _refuse_twice(loader: _Loader, node: yaml.MappingNode) -> None:
    keys = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _RefusedError(None, None, "a key is no single word", key_node.start_mark)
        merges = key_node.tag == "tag:yaml.org,2002:merge"
        key = "<<" if merges else loader.construct_object(key_node)
        if key in keys:
            told = f"{short(key)}: this key is there twice"
            raise _RefusedError(None, None, told, key_node.start_mark)
        keys.add(key)
