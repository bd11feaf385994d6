"""The images of hubtool.yaml as a section of a README: the graph, and what each image is called."""

from __future__ import annotations

from hubtool.config import Config
from hubtool.errors import HubtoolError
from hubtool.plan.graph import Graph, Node
from hubtool.plan.picture import boxes, mermaid

BEGIN, END = "<!-- images of hubtool.yaml: hubtool plan --readme -->", "<!-- /images of hubtool.yaml -->"
MOST_BASES = 3  # that a cell names


def section(config: Config, graph: Graph) -> str:
    """The graph, and a table of the images that hubtool.yaml declares; the same for the same file, day after day."""
    lines = ["```mermaid", mermaid(boxes(graph, {})).rstrip(), "```", ""]
    lines += ["| image | built on | variants | tags |", "|---|---|---|---|"]
    for name in dict.fromkeys(node.image for node in graph.nodes.values()):
        nodes = graph.of([name])
        tags = config.images[name].tags
        shown = ", ".join(f"`{_cell(tag)}`" for tag in tags) or f"the {config.tag}"
        lines.append(f"| `{nodes[0].repository}` | {_built_on(nodes)} | {_variants(nodes)} | {shown} |")
    return "\n".join(lines)


def with_section(text: str, written: str, name: str) -> str:
    """TEXT, the file NAME, with WRITTEN between its two marks and nothing else changed; raises HubtoolError where it
    has not just these two."""
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin or text.count(BEGIN) > 1 or text.count(END) > 1:
        raise HubtoolError(
            f"{name} does not say where the images go", hint=f"put two lines where they shall: {BEGIN} and {END}"
        )
    return f"{text[: begin + len(BEGIN)]}\n\n{written}\n\n{text[end:]}"


def _built_on(nodes: list[Node]) -> str:
    parents = dict.fromkeys(f"`{node.parent.partition('[')[0]}`" for node in nodes if node.parent)
    bases = list(dict.fromkeys(f"`{_cell(node.base)}`" for node in nodes if node.base))
    more = [f"{len(bases) - MOST_BASES} more"] if len(bases) > MOST_BASES else []
    return ", ".join([*parents, *bases[:MOST_BASES], *more])


def _variants(nodes: list[Node]) -> str:
    axes: dict[str, dict[str, None]] = {}
    for node in nodes:
        for axis, value in node.point.items():
            axes.setdefault(axis, {})[value] = None
    skipped = sum(bool(node.skip) for node in nodes)
    left = f" ({skipped} of {len(nodes)} left out)" if skipped else ""
    return "; ".join(f"{axis} {', '.join(values)}" for axis, values in axes.items()) + left


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "")
