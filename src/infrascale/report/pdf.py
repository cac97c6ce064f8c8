"""The report as a tagged PDF on A4, set by Typst (one library, no system fonts needed)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from infrascale.errors import ExportError
from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text, spans

MOST_KEPT = 24  # rows of a table that stay on one page

PREAMBLE = """
#set document(title: TITLE, author: "InfraScale")
#set page(paper: "a4", margin: (x: 2cm, top: 1.6cm, bottom: 1.7cm), footer: context [
  #set text(8pt, fill: luma(35%))
  #FOOTER #h(1fr) #counter(page).display("1 / 1", both: true)
])
#set text(font: "Libertinus Serif", size: 10pt, lang: LANG)
#set par(leading: 0.58em, spacing: 0.85em, justify: false)
#show heading.where(level: 1): it => block(below: 0.5em, text(16pt, weight: "bold", it.body))
#show heading.where(level: 2): it => block(above: 1.15em, below: 0.6em, sticky: true,
  text(11.5pt, weight: "bold", fill: rgb("#00598c"), it.body))
#show raw: set text(font: "DejaVu Sans Mono", size: 7.6pt)
#show figure.caption: it => text(8.5pt, fill: luma(30%), it.body)
#set figure(gap: 0.4em)
#set table(stroke: none, inset: (x: 4pt, y: 2.6pt))
#set list(spacing: 0.55em)
"""


def render(paper: Paper) -> bytes:
    try:
        import typst
    except ImportError:
        raise ExportError(
            "a PDF needs Typst", why="it is not installed", fix="pip install 'infrascale[report]', or --to html"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        for block in paper.blocks:
            if isinstance(block, Figure):
                Path(folder, f"{block.name}.svg").write_text(block.svg, encoding="utf-8")
        main = Path(folder, "main.typ")
        main.write_text(source(paper), encoding="utf-8")
        return typst.compile(str(main), root=folder, ignore_system_fonts=True)


def source(paper: Paper) -> str:
    """The Typst text. Words enter as string literals, so no sign of theirs is markup."""
    head = PREAMBLE.replace("TITLE", quoted(paper.title)).replace("LANG", quoted(paper.language))
    head = head.replace("FOOTER", f"text({quoted(paper.footer)})")
    following = (*paper.blocks[1:], None)
    body = "\n\n".join(_block(block, after) for block, after in zip(paper.blocks, following, strict=True))
    title = f"#heading(level: 1, {content(paper.title)})\n#text(9pt, fill: luma(35%), {content(paper.subtitle)})"
    return f"{head}\n{title}\n\n{body}\n"


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def content(text: str) -> str:
    """A text as Typst code: strong words and code told apart."""
    pieces = []
    for piece, strong in spans(text):
        for i, part in enumerate(piece.split("`")):
            if part:
                value = f"box(raw({quoted(part)}))" if i % 2 else f"text({quoted(part)})"
                pieces.append(f"strong({value})" if strong else value)
    return "(" + " + ".join(pieces or ['text("")']) + ")"


def _block(block: Block, after: Block | None) -> str:
    match block:
        case Heading():
            return f"#heading(level: 2, {content(block.text)})"
        case Text():
            sticky = "true" if isinstance(after, Table | Code) else "false"
            return f"#block(sticky: {sticky}, {content(block.text)})"
        case Code():
            return f"#block(fill: luma(95%), inset: 6pt, width: 100%, raw(block: true, {quoted(block.text)}))"
        case Bullets():
            return "#list(" + ", ".join(content(item) for item in block.items) + ")"
        case Answer():
            return _answer(block)
        case Figure():
            image = f"image({quoted(f'{block.name}.svg')}, width: 100%, alt: {quoted(block.alt)})"
            return f"#figure({image}, caption: {content(block.caption)}, numbering: none, supplement: none)"
        case Table():
            return _table(block)


def _answer(answer: Answer) -> str:
    cells = ", ".join(
        f"stack(spacing: 4pt, text(8pt, fill: luma(35%), {content(label)}), "
        f'text(15pt, weight: "bold", {content(value)}), text(8pt, fill: luma(35%), {content(remark)}))'
        for label, value, remark in answer.figures
    )
    return (
        '#block(fill: rgb("#f3f7fa"), stroke: (left: 3pt + rgb("#00598c")), inset: 9pt, width: 100%, '
        f"text(11pt, {content(answer.text)}))\n"
        f"#block(above: 1em, below: 1em, grid(columns: (1fr,) * {len(answer.figures)}, gutter: 8pt, {cells}))"
    )


def _table(table: Table) -> str:
    def cell(text: str, strong: bool) -> str:
        return f"strong({content(text)})" if strong else content(text)

    align = ["right" if i in table.numeric else "left" for i in range(len(table.header))]
    header = ", ".join(f"strong({content(text)})" for text in table.header)
    rows = ",\n  ".join(", ".join(cell(text, i in table.strong) for text in row) for i, row in enumerate(table.rows))
    size, breaks = "7.4pt" if table.fine else "9.2pt", "true" if len(table.rows) > MOST_KEPT else "false"
    widths = ", ".join(_columns(table))
    return (
        f"#block(breakable: {breaks}, text({size}, table(columns: ({widths}), align: ({', '.join(align)}),\n"
        f"  table.header({header}), table.hline(stroke: 0.8pt),\n  {rows},\n  table.hline(stroke: 0.4pt))))"
    )


def _columns(table: Table) -> list[str]:
    """Widths: small print gives room to its last column, a table of figures to its longest words."""
    if table.fine:
        return ["24%", "22%", "54%"]
    longest = max(range(len(table.header)), key=lambda i: max(len(row[i]) for row in table.rows))
    wide = len(table.header) > 4
    return ["1.6fr" if i == longest else "auto" if wide else "1fr" for i in range(len(table.header))]
