"""The report as Markdown, its drawings as SVG files beside it."""

from __future__ import annotations

from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text

SPECIAL = "\\|<>[]#_"


def render(paper: Paper, name: str, stem: str) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        f"{stem}-{block.name}.svg": block.svg for block in paper.blocks if isinstance(block, Figure)
    }
    body = "\n\n".join(_block(block, stem) for block in paper.blocks)
    text = f"# {plain(paper.title)}\n\n{plain(paper.subtitle)}\n\n{body}\n\n---\n\n{plain(paper.footer)}\n"
    return {name: text} | files


def plain(text: str) -> str:
    """Text in which no sign is markup but ** and `."""
    out, code = [], False
    for sign in text:
        code ^= sign == "`"
        out.append(f"\\{sign}" if sign in SPECIAL and not code else sign)
    return "".join(out)


def _block(block: Block, stem: str) -> str:
    match block:
        case Heading():
            return f"## {plain(block.text)}"
        case Text():
            return plain(block.text)
        case Code():
            return f"```sh\n{block.text}\n```"
        case Bullets():
            return "\n".join(f"- {plain(item)}" for item in block.items)
        case Answer():
            rows = "\n".join(f"| {plain(k)} | **{plain(v)}** | {plain(r)} |" for k, v, r in block.figures)
            return f"> {plain(block.text)}\n\n| | | |\n|---|--:|---|\n{rows}"
        case Figure():
            return f"![{plain(block.alt)}]({stem}-{block.name}.svg)\n\n*{plain(block.caption)}*"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], strong: bool = False) -> str:
        return "| " + " | ".join(f"**{plain(c)}**" if strong and c else plain(c) for c in cells) + " |"

    rule = "|" + "|".join("--:" if i in table.numeric else "---" for i in range(len(table.header))) + "|"
    rows = [row(cells, i in table.strong) for i, cells in enumerate(table.rows)]
    return "\n".join([row(table.header), rule, *rows])
