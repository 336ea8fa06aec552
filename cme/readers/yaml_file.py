"""Reads YAML files.

An alias repeats a value, so a document of a few hundred bytes can expand to billions of values. The size of a document with its
aliases expanded is therefore checked before any value is constructed.
"""

import contextlib
import math
import re
from pathlib import Path
from typing import Any

import yaml

from cme.errors import CMEError
from cme.readers.bounded import has_surrogate, read_bounded
from cme.readers.limits import YAML_BYTES, YAML_DEPTH, YAML_DIGITS, YAML_NODES

__all__ = ["CardLoader", "RecipeLoader", "TaskLoader", "check_document", "parse_yaml", "read_yaml"]


_SHORT = 1_000
"""A document cannot be nested deeper than its number of lines, brackets, hyphens and question marks."""


class CardLoader(yaml.SafeLoader):
    """Loader for the metadata of a model card. It follows YAML 1.1 and supports dates."""


class TaskLoader(CardLoader):
    """Loader for task files. A date stays text, and ``!function a.b`` becomes the text ``a.b``."""


class RecipeLoader(TaskLoader):
    """Loader for recipes and options. ``2e-4`` is a number, although it would be text in YAML 1.1."""


def _whole_number(loader: yaml.SafeLoader, node: Any) -> Any:
    text = str(node.value)
    if len(text) > YAML_DIGITS:
        raise _problem(f"an integer with {len(text):,} digits; at most {YAML_DIGITS} are allowed", node)
    return loader.construct_yaml_int(node)


def _number(loader: yaml.SafeLoader, node: Any) -> Any:
    value = loader.construct_yaml_float(node)
    if not math.isfinite(value):
        raise _problem(f"{str(node.value)[:40]}, which is not a finite number", node)
    return value


def _text(loader: yaml.SafeLoader, node: Any) -> Any:
    return loader.construct_scalar(node)


CardLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)
CardLoader.add_constructor("tag:yaml.org,2002:float", _number)
TaskLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)
TaskLoader.add_constructor("!function", _text)
RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(
    path: Path, where: str, *, loader: type[CardLoader] = RecipeLoader, error: type[CMEError] = CMEError
) -> Any:
    """Read a YAML file within the limits of `parse_yaml`.

    Args:
        path: the file.
        where: description of the file for messages, such as ``"recipe demo.yaml"``.
        loader: class that determines how scalars are read.
        error: the class of error to raise.

    Raises:
        CMEError: (or ``error``) if the file is missing, cannot be read, is too large or is not valid YAML.
    """
    data = read_bounded(path, YAML_BYTES, error)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{where} is not valid YAML: {problem}") from problem
    return parse_yaml(text, where, loader=loader, error=error)


def parse_yaml(
    text: str, where: str, *, loader: type[CardLoader] = RecipeLoader, error: type[CMEError] = CMEError
) -> Any:
    """Parse one YAML document.

    Refused are repeated keys, numbers that are not finite, integers with more than `YAML_DIGITS` digits, values nested deeper
    than `YAML_DEPTH`, documents with more than `YAML_NODES` values, and documents that contain themselves.

    Args:
        text: the document.
        where: description of the document for messages, such as ``"recipe demo.yaml"``.
        loader: class that determines how scalars are read.
        error: the class of error to raise.

    Raises:
        CMEError: (or ``error``) if it is not valid YAML.
    """
    if len(text) > YAML_BYTES:
        raise error(f"{where} has {len(text):,} characters; {YAML_BYTES:,} are allowed.")
    if len(text.splitlines()) + sum(map(text.count, "[{-?")) < _SHORT:
        # The reader below describes what is wrong.
        with contextlib.suppress(
            yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
        ):
            return _constructed(_compiled(loader)(text))
    try:
        return _constructed(loader(text))
    except RecursionError:
        raise error(f"{where} is not valid YAML: it is nested more than {YAML_DEPTH} deep.") from None
    except yaml.YAMLError as problem:
        raise error(f"{where} is not valid YAML: {problem}") from problem
    # PyYAML raises these if an explicit tag does not fit its value, such as `!!int x`, and for dates that do not exist.
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise error(f"{where} is not valid YAML: a value does not fit its type ({problem}).") from problem


def _constructed(reader: Any) -> Any:
    """Construct the only document of a reader, after it was checked."""
    try:
        node = reader.get_single_node()
        if node is None:
            return None
        check_document(node)
        return reader.construct_document(node)
    finally:
        reader.dispose()


_made: dict[str, type[Any]] = {}


def _compiled(loader: type[CardLoader]) -> type[Any]:
    """Return a loader with the same rules on libyaml, which is about ten times as fast. Without libyaml, the loader itself.

    Its recursion is not limited by Python, so it must get documents only that cannot be nested deeply.
    """
    if not yaml.__with_libyaml__:
        return loader
    if loader.__name__ not in _made:
        rules = {key: getattr(loader, key) for key in ("yaml_constructors", "yaml_implicit_resolvers")}
        _made[loader.__name__] = type(f"Compiled{loader.__name__}", (yaml.CSafeLoader,), rules)
    return _made[loader.__name__]


def check_document(root: yaml.Node) -> None:
    """Check a composed document against the limits of `parse_yaml`.

    Raises:
        yaml.YAMLError: if a limit is exceeded.
    """
    measured: dict[int, tuple[int, int]] = {}
    inside: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        """Return the number of values and the depth, with aliases expanded."""
        if (known := measured.get(id(node))) is not None:
            return known
        if id(node) in inside:
            raise _problem("a value that contains itself", node)
        inside.add(id(node))
        size, depth = 1, 0
        for child in _children(node):
            more, deeper = measure(child)
            size, depth = size + more, max(depth, deeper)
        inside.discard(id(node))
        if depth >= YAML_DEPTH:
            raise _problem(f"values nested more than {YAML_DEPTH} deep", node)
        if size > YAML_NODES:
            raise _problem(f"more than {YAML_NODES:,} values after expanding aliases", node)
        measured[id(node)] = size, depth + 1
        return measured[id(node)]

    measure(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        if has_surrogate(node.value):
            raise _problem("a lone surrogate", node)
        return []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise _problem(f"the key {key.value[:100]!a} twice in one mapping", key)
                seen.add((key.tag, key.value))
        return [item for pair in node.value for item in pair]
    return list(node.value)


def _problem(what: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.YAMLError(f"line {node.start_mark.line + 1} contains {what}.")
