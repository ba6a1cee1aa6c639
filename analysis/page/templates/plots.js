/* Plots: plotly lies packed in the page. A still picture stands in where it cannot run. */

async function loadPlotly(packed) {
  const bytes = Uint8Array.from(atob(packed.textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  packed.remove();
}

/* A panel as it is in the page; a linked one in the colours and with the trials of now. */
function drawPanel(div, explorer) {
  const figure = JSON.parse(div.querySelector('script').textContent);
  const touch = matchMedia('(pointer: coarse)').matches;
  const {width, height, ...layout} = figure.layout;  // which the panel has
  if (touch) layout.dragmode = false;
  const linked = layout.meta?.linked && explorer ? new LinkedPlot(div, figure, explorer) : null;
  const data = linked ? linked.traces() : figure.data;
  const doubleClick = linked ? false : 'reset+autosize';
  Plotly.newPlot(div, data, layout, {displayModeBar: false, responsive: true, doubleClick});
  linked?.listen();
  if (linked?.boxes().length) linked.draw();
  return linked;
}

/* The panels of a group and their legend; `watch(redraw)` has it drawn again when it is in sight. */
function drawGroup(group, explorer) {
  const panels = [...group.querySelectorAll('.panel')];
  const plots = panels.map(panel => drawPanel(panel, explorer)).filter(Boolean);
  const legend = document.createElement('div');
  legend.className = 'legend';
  group.before(legend);
  const write = () => {
    const at = [...legend.children].indexOf(document.activeElement);
    legend.replaceChildren(
      ...classEntries(plots, explorer), ...kindEntries(panels, plots.length > 0));
    legend.children[at]?.focus();
  };
  write();
  return plots.length ? () => { plots.forEach(plot => plot.draw()); write(); } : null;
}

/* What the colours of linked plots say; a click hides and shows the trials of one in all of them. */
function classEntries(plots, explorer) {
  if (!plots.length) return [];
  const {name, labels, looks, codes} = explorer.colouring;
  const title = document.createElement('b');
  title.textContent = unescaped(name);
  const isLine = plots[0].kinds.has('lines'), occurs = new Set();
  plots.forEach(plot => [...plot.points.keys()].forEach(row => occurs.add(codes[row])));
  const entries = looks.flatMap((look, code) => !occurs.has(code) ? [] : [entry(
    isLine ? {mode: 'lines', line: {width: 2, ...look}} : {mode: 'markers', marker: look},
    labels[code], !explorer.hidden.has(code), show => {
      explorer.hidden[show ? 'delete' : 'add'](code);
      explorer.changed();
    })]);
  return [title, ...entries];
}

/* The kinds of marks that have a name; of plots that are not linked one alone needs none. */
function kindEntries(panels, isLinked) {
  const named = new Map();  // the first of each kind
  panels.flatMap(panel => panel.data).filter(trace => trace.name && !(isLinked && trace.customdata))
    .forEach(trace => { if (!named.has(kindOf(trace))) named.set(kindOf(trace), trace); });
  if (named.size < 2 && !isLinked) return [];
  return [...named.values()].map(trace => entry(trace, trace.name, trace.visible !== false, show =>
    panels.forEach(panel => Plotly.restyle(panel, {visible: show}, panel.data.flatMap(
      (other, index) => kindOf(other) === kindOf(trace) ? [index] : [])))));
}

const kindOf = ({name, legendgroup}) => legendgroup ?? name;

/* A button of a legend, which is pressed where its marks are shown. */
function entry(look, text, isShown, toggle) {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', isShown);
  button.innerHTML = markOf(look);
  button.append(unescaped(text));
  button.addEventListener('click', () => {
    const show = button.getAttribute('aria-pressed') === 'false';
    button.setAttribute('aria-pressed', show);
    toggle(show);
  });
  return button;
}

const DASHES = {
  solid: '', dash: '7 4', dot: '2 3', dashdot: '7 3 2 3', longdashdot: '11 3 2 3',
};
const SHAPES = {
  circle: 'M10 8a5 5 0 1 0 10 0a5 5 0 1 0-10 0z', square: 'M10.5 3.5h9v9h-9z',
  x: 'M12 3l3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3-3-3z', 'triangle-up': 'M15 2l6 10.5H9z',
  'triangle-down': 'M15 14l6-10.5H9z', diamond: 'M15 2l6 6-6 6-6-6z',
  'circle-open': 'M8.5 8a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0z',
};
const HATCHES = {
  '': '', '/': 'M7 13l7-10M14 13l7-10', x: 'M7 13l7-10M14 13l7-10M7 3l7 10M14 3l7 10',
  '.': 'M9 6h2M15 6h2M12 10h2M18 10h2', '-': 'M4 6h22M4 10h22',
};

function markOf({type, mode, line, marker}) {
  let mark;
  if (type === 'bar') {
    mark = `<path d="M4 3h22v10H4z" fill="${marker.color}"/>`
      + `<path d="${HATCHES[marker.pattern.shape]}" stroke="#fff" stroke-width="1.5"/>`;
  } else if (mode === 'lines') {
    mark = `<path d="M1 8h28" stroke="${line.color}" stroke-width="${Math.max(1.6, line.width)}"`
      + ` stroke-dasharray="${DASHES[line.dash ?? 'solid']}"/>`;
  } else {
    const open = marker.symbol.endsWith('-open');
    mark = `<path d="${SHAPES[marker.symbol]}" fill="${open ? 'none' : marker.color}"`
      + ` stroke="${marker.color}" stroke-width="${open ? 2 : 0}"/>`;
  }
  return `<svg width="30" height="16" aria-hidden="true">${mark}</svg>`;
}

/* The curves of the sweep's metric, for the cards of trials. */
function curvesOf() {
  for (const script of document.querySelectorAll('.panel script')) {
    const figure = JSON.parse(script.textContent);
    if (figure.layout.meta?.linked === 'curves') {
      return {points: new LinkedPlot(null, figure, null).points, layout: figure.layout};
    }
  }
  return null;
}

async function showPlots(explorer) {
  const packed = document.getElementById('plotly'), page = document.documentElement;
  if (!packed || !window.DecompressionStream) return;
  page.classList.add('plots');
  try {
    await loadPlotly(packed);
  } catch (error) {
    page.classList.remove('plots');
    throw error;
  }
  const redraws = new Map(), stale = new Set(), near = new Set();
  const refresh = group => { if (stale.delete(group)) redraws.get(group)?.(); };
  const watch = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
    near[isIntersecting ? 'add' : 'delete'](target);
    if (!isIntersecting) return;
    if (!redraws.has(target)) redraws.set(target, drawGroup(target, explorer));
    refresh(target);
  }), {rootMargin: '800px'});
  document.querySelectorAll('.live').forEach(group => watch.observe(group));
  explorer?.listeners.push(() => {
    redraws.forEach((_, group) => stale.add(group));
    near.forEach(refresh);
  });
}

let trials = null, explorer = null;
document.querySelectorAll('table.sortable').forEach(table => {
  [...table.tHead.rows[0].cells].forEach((head, column) =>
    head.querySelector('button').addEventListener('click', () => sortBy(table, column)));
  trials = new TrialTable(table);
});
const told = document.getElementById('trials');
if (trials && told) {
  explorer = new Explorer(JSON.parse(told.textContent), trials);
  if (document.getElementById('plotly')) explorer.curves = curvesOf();
  openFromTable(explorer);
}
showPlots(explorer);
addEventListener('beforeprint', () =>
  document.querySelectorAll('details').forEach(details => { details.open = true; }));
