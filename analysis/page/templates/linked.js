/* Linked plots: they show the trials that the table shows, in the colours that are chosen. A mark
   bears the number of its trial, which is the row of the table as it was first. */

const PALE = '#e1e6eb';
const escaped = text => text.replace(/[&<>]/g, letter => `&#${letter.charCodeAt(0)};`);

class Explorer {
  constructor(content, trials) {
    Object.assign(this, content, {trials, hidden: new Set(), listeners: [], colour: 0});
    const select = document.querySelector('.explorer select');
    this.by.forEach(({name}, number) => select.add(new Option(unescaped(name), number)));
    select.addEventListener('change', () => {
      this.colour = Number(select.value);
      this.hidden.clear();
      this.changed();
    });
    trials.listeners.push(() => this.changed());
  }

  get colouring() { return this.by[this.colour]; }

  changed() { this.listeners.forEach(listener => listener()); }

  /* Trials that the table does not hold are shown as long as nothing is filtered. */
  isShown(row) {
    const line = this.trials.rows[row];
    return line ? !line.hidden : !this.trials.isFiltered;
  }

  text(row) {
    const {name, labels, codes} = this.colouring;
    return `trial ${escaped(this.ids[row])}<br>${name}: ${labels[codes[row]]}`;
  }

  /* Keep these trials alone, of those that are shown. */
  keep(rows, filters = {}) {
    const kept = [...rows].filter(row => this.trials.rows[row] && this.isShown(row));
    const ids = kept.map(row => JSON.stringify(this.ids[row])).join('|');
    this.trials.set({...filters, [this.trials.names[0]]: ids});
  }
}

class LinkedPlot {
  constructor(div, figure, explorer) {
    Object.assign(this, {div, explorer, meta: figure.layout.meta, shapes: figure.layout.shapes});
    this.fixed = figure.data.filter(trace => !trace.customdata);
    this.kinds = new Map();  // by mode: how its traces look, and the points of each trial
    figure.data.filter(trace => trace.customdata).forEach(trace => this.take(trace));
  }

  take(trace) {
    if (!this.kinds.has(trace.mode)) this.kinds.set(trace.mode, {pattern: trace, points: new Map()});
    const {points} = this.kinds.get(trace.mode);
    trace.customdata.forEach((row, i) => {
      if (row < 0) return;
      if (!points.has(row)) points.set(row, {x: [], y: []});
      points.get(row).x.push(trace.x[i]);
      points.get(row).y.push(trace.y[i]);
    });
  }

  listen() {
    this.div.on('plotly_selected', event => event?.range && setTimeout(() => this.brush(event.range)));
    this.div.on('plotly_doubleclick', () => setTimeout(() => this.explorer.trials.set({}, true)));
    this.div.on('plotly_click', event => {
      const row = event.points[0]?.customdata;
      if (Number.isInteger(row)) openCard(row, this.explorer);
    });
  }

  /* The points of all trials: of their curves, or else of their dots. */
  get points() { return (this.kinds.get('lines') ?? this.kinds.get('markers'))?.points ?? new Map(); }

  traces() {
    const {looks, codes} = this.explorer.colouring, below = [], above = [];
    for (const [mode, {pattern, points}] of this.kinds) {
      const pale = styled(pattern, {color: PALE, symbol: 'circle', dash: 'solid'});
      Object.assign(pale, {hoverinfo: 'skip', hovertemplate: null});
      const classes = looks.map(look => styled(pattern, look));
      for (const [row, {x, y}] of points) {
        const isShown = this.explorer.isShown(row);
        if (isShown && this.explorer.hidden.has(codes[row])) continue;
        const trace = isShown ? classes[codes[row]] : pale, gap = mode === 'lines' ? [null] : [];
        const label = this.explorer.text(row);
        trace.x.push(...x, ...gap);
        trace.y.push(...y, ...gap);
        for (let i = 0; i < x.length + gap.length; i++) {
          trace.customdata.push(row);
          trace.text.push(label);
        }
      }
      below.push(pale);
      above.push(...classes);
    }
    return [...below, ...above, ...this.fixed].filter(trace => trace.x.length);
  }

  draw() {
    Plotly.react(this.div, this.traces(), {
      ...this.div.layout, selections: [], shapes: [...this.shapes ?? [], ...this.boxes()],
    });
  }

  brush({x, y}) {
    const inside = (value, [a, b]) => value >= Math.min(a, b) && value <= Math.max(a, b);
    if (this.meta.axes) return this.brushAxes(x, y, inside);
    const across = this.within(point => inside(point.x, x));
    const rows = this.within(point => inside(point.x, x) && inside(point.y, y));
    if (!rows.length) return;
    const {column} = this.meta, filters = {};
    if (column) {
      const axis = this.explorer.trials.names.indexOf(column);
      const cells = across.map(row => this.explorer.trials.rows[row]?.cells[axis]).filter(Boolean);
      filters[column] = filterOf(cells, cells.every(isNumber));
      if (rows.length === across.length) return this.explorer.trials.set(filters);
    }
    this.explorer.keep(rows, filters);
  }

  within(test) {
    return [...this.points].filter(([, {x, y}]) =>
      x.some((_, i) => test({x: x[i], y: y[i]}))).map(([row]) => row);
  }

  brushAxes([left, right], [bottom, top], inside) {
    const {axes} = this.meta, {trials} = this.explorer, filters = {};
    let covered = axes.map((_, number) => number).filter(number => inside(number, [left, right]));
    if (!covered.length) covered = [Math.round((left + right) / 2)];
    for (const number of covered.filter(number => axes[number])) {
      const column = trials.names.indexOf(axes[number].name);
      const cells = [...this.along(number)].filter(([, at]) => inside(at, [bottom, top]))
        .map(([row]) => trials.rows[row]?.cells[column]).filter(Boolean);
      if (cells.length) filters[axes[number].name] = filterOf(cells, axes[number].is_number);
    }
    trials.set(filters);
  }

  /* Where each trial crosses an axis: [row, place]. */
  along(number) {
    return [...this.points].map(([row, {x, y}]) => [row, y[x.indexOf(number)]]);
  }

  /* On each axis whose column is filtered, what passes. */
  boxes() {
    const {trials} = this.explorer;
    return (this.meta.axes ?? []).flatMap(({name}, number) => {
      const column = trials.names.indexOf(name);
      if (!trials.inputs[column]?.value.trim()) return [];
      const crossings = this.along(number).filter(([row]) => trials.rows[row]);
      const passes = trials.passes(column);
      return runs(crossings.map(([, at]) => at), crossings.map(([row]) => passes[row]))
        .map(([from, to]) => ({
          type: 'rect', x0: number - .09, x1: number + .09, y0: from - .015, y1: to + .015,
          fillcolor: 'rgba(0,114,178,.18)', line: {color: '#0072b2', width: 1},
        }));
    });
  }
}

/* An empty trace as this one is, in another look. */
function styled(pattern, {color, symbol, dash}) {
  const trace = {...pattern, x: [], y: [], customdata: [], text: []};
  if (pattern.line) trace.line = {...pattern.line, color, dash};
  if (pattern.marker) trace.marker = {...pattern.marker, color, symbol};
  return trace;
}

const unescaped = text => new DOMParser().parseFromString(text, 'text/html').body.textContent;
