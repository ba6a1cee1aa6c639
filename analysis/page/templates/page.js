'use strict';
/* Tables: sorting by their headings, and filtering by an input under each heading. */

const NUMBER = '[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?';
const RANGE = new RegExp(`^(${NUMBER})?\\s*\\.\\.\\s*(${NUMBER})?$`, 'i');
const BOUND = new RegExp(`^([<>])(=?)\\s*(${NUMBER})$`, 'i');
const sortKey = cell => cell.dataset.sort ?? cell.textContent;

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells], head = heads[column], body = table.tBodies[0];
  const down = head.getAttribute('aria-sort') !== 'descending';
  heads.forEach(other => other.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  body.append(...[...body.rows].sort((one, two) => {
    const a = sortKey(one.cells[column]), b = sortKey(two.cells[column]);
    if (a === '' || b === '') return (a === '') - (b === '');
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return down ? -order : order;
  }));
}

/* What a filter asks of a cell: "words", >0.4, 0.3..0.5, exactly "this", and | for or. */
function testOf(filter) {
  const tokens = filter.match(/"(?:[^"\\]|\\.)*"|[^|]+/g) ?? [];
  const tests = tokens.map(token => token.trim()).filter(Boolean).map(token => {
    const range = RANGE.exec(token), bound = BOUND.exec(token);
    if (/^".*"$/s.test(token)) {
      const exact = unquoted(token);
      return cell => cell.textContent === exact;
    }
    if (range && (range[1] ?? range[2]) !== undefined) {
      const low = Number(range[1] ?? -Infinity), high = Number(range[2] ?? Infinity);
      return cell => isNumber(cell) && sortKey(cell) >= low && sortKey(cell) <= high;
    }
    if (bound) {
      const limit = Number(bound[3]);
      return cell => isNumber(cell) && (bound[2] && Number(sortKey(cell)) === limit
        || (bound[1] === '<' ? sortKey(cell) < limit : sortKey(cell) > limit));
    }
    const words = token.toLowerCase();
    return cell => cell.dataset.sort === undefined || isNaN(token)
      ? cell.textContent.toLowerCase().includes(words)
      : isNumber(cell) && Number(cell.dataset.sort) === Number(token)
        || cell.textContent === token;
  });
  return cell => !tests.length || tests.some(test => test(cell));
}
const isNumber = cell => sortKey(cell) !== '' && !isNaN(sortKey(cell));
function unquoted(token) {
  try { return JSON.parse(token); } catch { return token.slice(1, -1); }
}

class TrialTable {
  constructor(table) {
    this.table = table;
    this.rows = [...table.tBodies[0].rows];
    this.heads = [...table.tHead.rows[0].cells];
    this.names = this.heads.map(head => head.textContent);
    this.listeners = [];
    const line = table.tHead.insertRow();
    this.inputs = this.names.map(name => {
      const input = document.createElement('input');
      input.type = 'search';
      input.size = 6;
      input.setAttribute('aria-label', `Filter ${name}`);
      input.addEventListener('input', () => this.filter());
      line.append(document.createElement('td'));
      line.lastChild.append(input);
      return input;
    });
    line.className = 'filters';
    this.clear = document.querySelectorAll('.filtered button');
    this.clear.forEach(button => button.addEventListener('click', () => this.set({}, true)));
    this.filter();
  }

  /* Write filters {column: text} into the inputs; the others stay, or are emptied. */
  set(filters, alone = false) {
    this.inputs.forEach((input, column) => {
      input.value = filters[this.names[column]] ?? (alone ? '' : input.value);
    });
    this.filter();
  }

  filter() {
    const tests = this.inputs.map(input => input.value.trim() && testOf(input.value));
    this.rows.forEach(row => {
      row.hidden = !tests.every((test, column) => !test || test(row.cells[column]));
    });
    const left = this.rows.filter(row => !row.hidden).length, all = this.rows.length;
    document.querySelectorAll('.filtered span').forEach(span => {
      span.textContent = left === all ? `All ${all} rows are shown.`
        : `${left} of ${all} rows match.`;
    });
    this.clear.forEach(button => { button.hidden = tests.every(test => !test); });
    this.listeners.forEach(listener => listener());
  }

  /* Whether each row passes the filter of one column. */
  passes(column) {
    const test = testOf(this.inputs[column].value);
    return this.rows.map(row => test(row.cells[column]));
  }
}

/* Parallel coordinates: a box over an axis writes the filter of its column, and what is filtered,
   by box or by hand, is what has colour. The lines are the table's first rows, in its order. */

class Brush {
  constructor(div, figure, trials) {
    this.div = div;
    this.trials = trials;
    this.axes = figure.layout.meta.axes.map((axis, number) =>
      ({...axis, y: -number, column: trials.names.indexOf(axis.name)}));
    this.stride = this.axes.length + 1;  // a gap after each line
    this.shapes = figure.layout.shapes;
    this.traces = figure.data.flatMap((trace, index) => trace.meta
      ? [{index, rows: trace.meta, x: trace.x, y: trace.y}] : []);
    div.on('plotly_selected', event => event?.range && setTimeout(() => this.select(event.range)));
    div.on('plotly_doubleclick', () => setTimeout(() => trials.set({}, true)));
    trials.listeners.push(() => this.draw());
    this.draw();
  }

  select({x, y}) {
    const [low, high] = [Math.min(...x), Math.max(...x)];
    const [bottom, top] = [Math.min(...y), Math.max(...y)];
    let covered = this.axes.filter(axis => axis.y >= bottom && axis.y <= top);
    if (!covered.length) {
      const distance = axis => Math.abs(axis.y - (bottom + top) / 2);
      covered = [this.axes.reduce((a, b) => distance(b) < distance(a) ? b : a)];
    }
    const filters = {};
    for (const axis of covered) {
      const cells = this.trials.rows.slice(0, axis.at.length).map(row => row.cells[axis.column])
        .filter((_, row) => axis.at[row] >= low && axis.at[row] <= high);
      if (cells.length) filters[axis.name] = filterOf(cells, axis.is_number);
    }
    this.trials.set(filters);
  }

  draw() {
    const shown = this.trials.rows.map(row => !row.hidden), stride = this.stride;
    const pick = (trace, values) => trace.rows.flatMap((row, i) =>
      shown[row] ? values.slice(i * stride, (i + 1) * stride) : []);
    const boxes = this.axes.filter(axis => this.trials.inputs[axis.column].value.trim())
      .flatMap(axis => runs(axis.at, this.trials.passes(axis.column)).map(([from, to]) => ({
        type: 'rect', x0: from - .012, x1: to + .012, y0: axis.y - .13,
        y1: axis.y + .13, fillcolor: 'rgba(0,114,178,.18)',
        line: {color: '#0072b2', width: 1},
      })));
    Plotly.update(this.div,
      {x: this.traces.map(t => pick(t, t.x)), y: this.traces.map(t => pick(t, t.y))},
      {shapes: [...this.shapes, ...boxes], selections: []}, this.traces.map(t => t.index));
  }
}

/* The filter that these cells pass: a range of numbers, or each of the names. */
function filterOf(cells, isRange) {
  const known = isRange ? cells.filter(isNumber) : [], values = known.map(c => +sortKey(c));
  const rest = new Set(cells.filter(cell => !known.includes(cell)).map(c => c.textContent));
  const range = known.length
    ? [`${digits(Math.min(...values), false)}..${digits(Math.max(...values), true)}`] : [];
  return [...range, ...[...rest].map(text => JSON.stringify(text))].join('|');
}

/* The shortest number that is not beyond the value. */
function digits(value, up) {
  for (let count = 3; count < 17; count++) {
    const short = Number(value.toPrecision(count));
    if (up ? short >= value : short <= value) return String(short);
  }
  return String(value);
}

/* The stretches of an axis in which all lines pass: [from, to] each. */
function runs(at, passes) {
  const order = at.map((_, row) => row).sort((a, b) => at[a] - at[b]), found = [];
  let inside = false;
  for (const row of order) {
    if (passes[row] && inside) found.at(-1)[1] = at[row];
    else if (passes[row]) found.push([at[row], at[row]]);
    inside = passes[row];
  }
  return found;
}

/* Plots: plotly lies packed in the page. A still picture stands in where it cannot run. */

async function loadPlotly(packed) {
  const bytes = Uint8Array.from(atob(packed.textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  packed.remove();
}

function drawPanel(div, trials) {
  const figure = JSON.parse(div.querySelector('script').textContent);
  const touch = matchMedia('(pointer: coarse)').matches;
  const {width, height, ...layout} = figure.layout;  // which the panel has
  if (touch) layout.dragmode = false;
  Plotly.newPlot(div, figure.data, layout, {displayModeBar: false, responsive: true});
  if (figure.layout.meta?.axes && trials) new Brush(div, figure, trials);
}

function drawGroup(group, trials) {
  const panels = [...group.querySelectorAll('.panel')];
  panels.forEach(panel => drawPanel(panel, trials));
  const named = new Map();  // the first of each kind
  panels.flatMap(panel => panel.data).filter(trace => trace.name && !('meta' in trace))
    .forEach(trace => { if (!named.has(kindOf(trace))) named.set(kindOf(trace), trace); });
  if (named.size < 2) return;
  const legend = document.createElement('div');
  legend.className = 'legend';
  legend.append(...[...named.values()].map(trace => legendEntry(trace, panels)));
  group.before(legend);
}

const kindOf = ({name, legendgroup}) => legendgroup ?? name;

/* A button that hides and shows a kind of mark in all panels. */
function legendEntry(trace, panels) {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', true);
  button.innerHTML = markOf(trace);
  button.append(new DOMParser().parseFromString(trace.name, 'text/html').body.textContent);
  button.addEventListener('click', () => {
    const show = button.getAttribute('aria-pressed') === 'false';
    button.setAttribute('aria-pressed', show);
    panels.forEach(panel => Plotly.restyle(panel, {visible: show}, panel.data.flatMap(
      (other, index) => kindOf(other) === kindOf(trace) ? [index] : [])));
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

async function showPlots(trials) {
  const packed = document.getElementById('plotly'), page = document.documentElement;
  if (!packed || !window.DecompressionStream) return;
  page.classList.add('plots');
  try {
    await loadPlotly(packed);
    const watch = new IntersectionObserver(entries => {
      entries.filter(entry => entry.isIntersecting).forEach(({target}) => {
        watch.unobserve(target);
        drawGroup(target, trials);
      });
    }, {rootMargin: '800px'});
    document.querySelectorAll('.live').forEach(group => watch.observe(group));
  } catch (error) {
    page.classList.remove('plots');
    throw error;
  }
}

let trials = null;
document.querySelectorAll('table.sortable').forEach(table => {
  [...table.tHead.rows[0].cells].forEach((head, column) =>
    head.querySelector('button').addEventListener('click', () => sortBy(table, column)));
  trials = new TrialTable(table);
});
showPlots(trials);
addEventListener('beforeprint', () =>
  document.querySelectorAll('details').forEach(details => { details.open = true; }));
