"""What makes a page a live view: a bar at its foot that asks the watch for newer pages.

Only pages that are served get it; the report on disk asks for nothing.
"""

import html
import time

from analysis.web import allowing, security

BAR = """
<style>
body { padding-bottom: 7rem; }
#watch { position: fixed; right: .75rem; bottom: .75rem; max-width: calc(100vw - 1.5rem);
  display: flex; gap: .75rem; align-items: center; padding: .45rem .5rem .45rem .9rem; z-index: 9;
  background: #1b1f24; color: #fff; border-radius: 8px; font: .85rem/1.4 system-ui, sans-serif; }
#watch button { font: inherit; color: #1b1f24; background: #fff; border: 0; border-radius: 5px;
  padding: .25rem .7rem; cursor: pointer; }
#watch button:focus-visible { outline: 3px solid #56b4e9; }
@media print { #watch { display: none; } }
</style>
<aside id="watch" aria-label="Live view"><span role="status"></span>
<button type="button" aria-pressed="false">Hold</button></aside>
"""
SCRIPT = """
(() => {
  const kept = JSON.parse(sessionStorage.getItem('watch') ?? '{"open": []}');
  const [note, button] = document.querySelector('#watch').children;
  const folds = () => [...document.querySelectorAll('details')];
  const hold = on => {
    button.setAttribute('aria-pressed', on);
    button.textContent = on ? 'Go on' : 'Hold';
    kept.hold = on;
    sessionStorage.setItem('watch', JSON.stringify(kept));
  };
  folds().forEach((fold, i) => { fold.open = kept.open.includes(i); });
  if ('top' in kept) {
    const top = kept.top;
    delete kept.top;
    addEventListener('load', () => scrollTo({ top, behavior: 'instant' }));
  }
  button.addEventListener('click', () => hold(!kept.hold));
  hold(!!kept.hold);
  const isBusy = () => kept.hold || document.hidden
    || document.activeElement.matches('input, select, textarea');
  const reload = () => {
    kept.top = scrollY;
    kept.open = folds().flatMap((fold, i) => fold.open ? [i] : []);
    hold(kept.hold);
    location.reload();
  };
  const ask = async () => {
    try {
      const answer = await (await fetch('version', { cache: 'no-store' })).json();
      if (note.textContent !== answer.note) note.textContent = answer.note;
      if (answer.version !== 'VERSION' && !isBusy()) return reload();
    } catch {
      note.textContent = 'The watch has ended; this is its last page.';
    }
    setTimeout(ask, 2000);
  };
  ask();
})();
"""


def live(page: str) -> tuple[str, str]:
    """The page with the bar, and the version by which the bar knows it from later ones."""
    version = str(time.time_ns())
    before, end, after = page.rpartition("</body>")
    script = SCRIPT.replace("VERSION", version)
    return f"{allowing(before, script)}{BAR}<script>{script}</script>{end}{after}", version


def waiting_page(name: str) -> str:
    """What is shown until there is a sweep to report on."""
    title = html.escape(name)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{security()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title></head>'
        "<body style='font: 1.1rem/1.6 system-ui, sans-serif; margin: 3rem 1.5rem'>"
        f"<main><h1>{title}</h1><p>Waiting for the sweep to begin: there is no journal yet.</p>"
        "</main></body></html>\n"
    )
