"""The report as one HTML file: drawings inside, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text, spans

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def render(paper: Paper) -> str:
    body = "\n".join(_block(block) for block in paper.blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="{paper.language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(paper.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(paper.title)}</h1>\n<p class="subtitle">{escape(paper.subtitle)}</p>\n{body}\n</main>\n'
        f"<footer>{escape(paper.footer)}</footer>\n</body>\n</html>\n"
    )


def inline(text: str) -> str:
    """Escaped, with strong words and code."""
    found = "".join(f"<strong>{escape(p)}</strong>" if strong else escape(p) for p, strong in spans(text))
    pieces = found.split("`")
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h2>{escape(block.text)}</h2>"
        case Text():
            return f"<p>{inline(block.text)}</p>"
        case Code():
            return f"<pre><code>{escape(block.text)}</code></pre>"
        case Bullets():
            return "<ul>\n" + "\n".join(f"<li>{inline(item)}</li>" for item in block.items) + "\n</ul>"
        case Answer():
            cells = "".join(
                f'<div><dt>{escape(label)}</dt><dd class="value">{escape(value)}</dd>'
                f'<dd class="remark">{escape(remark)}</dd></div>'
                for label, value, remark in block.figures
            )
            return f'<div class="answer"><p>{inline(block.text)}</p></div>\n<dl class="figures">{cells}</dl>'
        case Figure():
            svg = _named(block.svg, block.name)
            label = escape(block.alt, quote=True)
            svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
            return f"<figure>\n{svg}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
        case Table():
            return _table(block)


def _named(svg: str, name: str) -> str:
    """Drawings share a page: the identifiers of each get its name, so that none uses another's glyphs."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        right = ' class="n"'
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{right if i in table.numeric else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(row)
        )

    strong = ' class="strong"'
    rows = "\n".join(
        f"<tr{strong if i in table.strong else ''}>{cells(row, 'td')}</tr>" for i, row in enumerate(table.rows)
    )
    kind = ' class="fine"' if table.fine else ""
    return (
        f'<div class="wide" tabindex="0"><table{kind}>\n<thead><tr>{cells(table.header, "th")}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )
