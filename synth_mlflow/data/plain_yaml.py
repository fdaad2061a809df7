"""YAML as people write it: no aliases, which can make a small file expand without bound, no tags, no key twice."""

from __future__ import annotations

from typing import Any

import yaml


def read_plain(text: str) -> Any:
    """The value of a YAML text.

    Raises
    ------
    ValueError
        If it is not plain YAML; says where.

    Examples
    --------
    >>> read_plain("seed: 7")
    {'seed': 7}
    """
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).replace('in "<unicode string>", line', "in line")) from error


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (`*name`) are not read here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [str(key.value) for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys stand twice: {', '.join(sorted(twice))}")
        return super().construct_mapping(node, deep)
