"""What makes a page a live view: a bar at its foot that asks the watch for newer pages.

Only pages that are served get it; the report on disk asks for nothing.
"""

import time

from analysis.page.templating import allowing, environment, text


def live(page: str) -> tuple[str, str]:
    """The page with the bar, and the version by which the bar knows it from later ones."""
    version = str(time.time_ns())
    before, end, after = page.rpartition("</body>")
    bar = environment().get_template("live.html.j2").render(version=version)
    return f"{allowing(before, text('live.js'))}{bar}{end}{after}", version


def waiting_page(name: str) -> str:
    """What is shown until there is a sweep to report on."""
    template = environment().get_template("waiting.html.j2")
    return template.render(name=name)
