"""The sentences of the diagnosis, as the installed package says them of runs that went wrong.

A sentence typed by hand goes stale the day its wording changes, so each is made by `diagnose` from
the numbers of an example. A name that no example provokes fails the build.
"""

from docutils import nodes
from glo_examples import examples
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class FindingDirective(SphinxDirective):
    """Print the sentence of one finding and its name: `frozen_codes`, `saturated` and so on."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name, known = self.arguments[0], examples()
        if name not in known:
            raise self.error(f"No example provokes '{name}'; there are {', '.join(known)}.")
        sentence = nodes.paragraph(text=known[name].sentence)
        label = nodes.paragraph("", "", nodes.literal(text=name))
        return [nodes.block_quote("", sentence), label]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("glo-finding", FindingDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
