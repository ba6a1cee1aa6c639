"""The page's style sheet, its script, and plotly packed; nothing is loaded from anywhere."""

import base64
import gzip
import hashlib
from functools import cache
from pathlib import Path

SCRIPT = Path(__file__).with_name("page.js").read_text("utf-8")


def security(*scripts: str) -> str:
    """The page's Content-Security-Policy: no request to any host, and no script but these."""
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src "
        f"{' '.join(map(_digest, scripts))}; base-uri 'none'; form-action 'none'"
    )


def allowing(page: str, script: str) -> str:
    """The page with a policy that lets this script run too, and ask the page's own server."""
    page = page.replace("script-src ", f"script-src {_digest(script)} ", 1)
    return page.replace("form-action 'none'", "form-action 'none'; connect-src 'self'", 1)


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def plotly() -> str:
    """The source of plotly.js as plotly's package ships it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@cache
def packed_plotly() -> str:
    """The same, a fifth as large for the page to unpack: gzip in base64."""
    packed = gzip.compress(plotly().encode(), 9, mtime=0)
    return base64.b64encode(packed).decode()


STYLE = """
:root { --ink: #1b1f24; --quiet: #57606a; --line: #d8dee4; --soft: #f6f8fa; --accent: #0072b2; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem; color: var(--ink);
  background: #fff; font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.2; margin: 0; letter-spacing: -.02em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 3.2rem 0 .8rem; padding-top: .9rem; border-top: 1px solid
  var(--line); letter-spacing: -.01em; }
p { max-width: 44rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
.quiet, figcaption { color: var(--quiet); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin-top: 1rem; font-size: .9rem; }
nav a { color: var(--accent); text-decoration: none; padding: .2rem 0; }
nav a:hover { text-decoration: underline; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  margin: 0 0 1.4rem; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.key div { box-shadow: 1px 1px 0 var(--line); padding: .9rem 1rem; display: flex;
  flex-direction: column; }
.key dd { margin: 0; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.key dt { color: var(--quiet); font-size: .85rem; line-height: 1.4; }
figure { margin: 1.4rem 0 2rem; }
figure img { display: block; width: 100%; height: auto; }
figure img.wide { width: auto; max-width: none; } figure img.small { width: min(100%, 40rem); }
figcaption { font-size: .9rem; max-width: 50rem; margin-top: .5rem; overflow-wrap: anywhere; }
.box { overflow-x: auto; max-width: 100%; }
.live { display: none; gap: .4rem 1.4rem; }
.plots .live { display: grid; } .plots .still { display: none; }
.live.several { grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.live.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
.legend { display: flex; flex-wrap: wrap; gap: 0 .9rem; margin-bottom: .4rem; }
.legend button { display: flex; align-items: center; gap: .3rem; font: inherit; font-size: .85rem;
  color: inherit; background: none; border: 0; padding: .25rem 0; cursor: pointer; }
.legend button[aria-pressed=false] { opacity: .45; text-decoration: line-through; }
.panel { min-width: 0; overflow: hidden; }
.hint { display: none; } .plots .hint { display: inline; }
.filtered { display: none; } .plots .filtered, .filters td { display: revert; }
.filtered { min-height: 2rem; } .filtered button { margin-left: .6rem; }
.filtered button { font: inherit; color: var(--accent); background: #fff; padding: .1rem .6rem;
  border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
.filters input { font: inherit; width: 100%; min-width: 4.5rem; padding: .1rem .3rem; border: 1px
  solid var(--line); border-radius: 4px; background: #fff; }
.box:focus-visible, input:focus-visible, summary:focus-visible, button:focus-visible,
a:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem .5rem; border-bottom: 1px solid
  var(--line); white-space: nowrap; max-width: 26rem; overflow: hidden; text-overflow: ellipsis; }
table:not(.sortable) td:last-child { white-space: normal; overflow-wrap: anywhere; }
table.prose td { white-space: normal; vertical-align: top; max-width: none; }
table.prose td:first-child { min-width: 13rem; } table.prose td:last-child { min-width: 20rem; }
table.prose td:nth-child(2), table.prose td:nth-child(4) { white-space: nowrap; }
ol, ul { max-width: 46rem; padding-left: 1.4rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
li { margin-bottom: .45rem; }
th { font-weight: 600; background: var(--soft); }
.number { text-align: right; }
.marked td { font-weight: 650; background: #eaf4fb; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  white-space: nowrap; }
th button::after { content: " ↕"; color: #8c959f; }
th[aria-sort=ascending] button::after { content: " ↑"; color: var(--accent); }
th[aria-sort=descending] button::after { content: " ↓"; color: var(--accent); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
pre { font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; background: var(--soft);
  padding: 1rem; margin: .5rem 0 0; width: max-content; min-width: 100%; }
@media (max-width: 43rem) {
  body { padding-top: 1.5rem; }
  figure img:not([class]) { width: 46rem; max-width: none; }
  .key { grid-template-columns: 1fr 1fr; }
  table.prose, .prose tbody, .prose tr, table.prose td { display: block; }
  .prose thead, table.prose td:nth-child(n+3):not(:last-child) { display: none; }
  table.prose td { border: 0; padding: .1rem 0; } .prose tr { border-bottom: 1px solid var(--line);
    padding: .5rem 0; } .prose td:first-child { font-weight: 600; }
  table.prose td:last-child { min-width: 0; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, th button::after { display: none; }
  .plots .live, .plots .hint, .plots .filtered, .legend, .filters { display: none; }
  .plots .still { display: block; } tr[hidden] { display: table-row; }
  h2 { break-after: avoid; margin-top: 1.6rem; }
  figure, tr, .key { break-inside: avoid; }
  .box { overflow: visible; }
  figure img, figure img.wide { width: auto; max-width: 100%; max-height: 24cm; }
  table { font-size: 7pt; } table.sortable { font-size: 5pt; }
  th, td, th button { white-space: normal; padding: 1.5pt; overflow-wrap: break-word; }
  th button { overflow-wrap: anywhere; text-align: left; }
}
"""
