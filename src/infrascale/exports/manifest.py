"""YAML as clusters read it: documents under a commented header, keys in the order they were thought of."""

from __future__ import annotations

from typing import Any

from infrascale.errors import ExportError
from infrascale.exports.header import commented, header
from infrascale.exports.serving import Serving


def manifest(serving: Serving, *documents: dict[str, Any], in_cluster: bool = True) -> str:
    try:
        import yaml
    except ImportError:
        raise ExportError(
            "this target needs PyYAML", why="not installed", fix="pip install 'infrascale[export]'"
        ) from None

    class Plain(yaml.SafeDumper):
        """Lists indented under their key, long strings in blocks, no aliases."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            return super().increase_indent(flow, False)

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Plain.add_representer(str, text)
    body = [
        yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=1000, default_flow_style=False)
        for document in documents
    ]
    return commented(header(serving, in_cluster=in_cluster)) + "---\n" * (len(body) > 1) + "---\n".join(body)
