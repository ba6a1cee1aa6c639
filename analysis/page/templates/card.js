/* A card for a trial: its curve and its configuration beside those of the trial to point out. */

function openCard(row, {trials, ids, role, curves}) {
  const line = trials.rows[row], marked = trials.rows.findIndex(other => other.className === 'marked');
  const card = document.createElement('dialog');
  card.className = 'card';
  const head = document.createElement('h3'), close = document.createElement('button');
  head.textContent = `Trial ${ids[row]}`;
  close.textContent = 'Close';
  close.addEventListener('click', () => card.close());
  card.addEventListener('close', () => card.remove());
  card.addEventListener('click', event => { if (event.target === card) card.close(); });
  card.append(close, head);
  const plot = document.createElement('div');
  card.append(plot);
  if (line) card.append(comparison(trials, line, row === marked ? null : trials.rows[marked], role));
  document.body.append(card);
  card.showModal();
  drawCurve(plot, row, marked, curves, role);
}

/* What the table says of the trial, and of the other one where they differ. */
function comparison(trials, line, other, role) {
  const table = document.createElement('table');
  const names = other ? ['', 'this trial', role] : ['', 'this trial'];
  names.forEach((name, i) => {
    if (!i) table.createTHead().insertRow();
    table.tHead.rows[0].append(Object.assign(document.createElement('th'), {textContent: name}));
  });
  const body = table.createTBody();
  trials.names.forEach((name, column) => {
    const texts = [line, other].filter(Boolean).map(one => one.cells[column].textContent);
    if (!column || texts.every(text => text === '\u2013')) return;
    const cells = body.insertRow();
    cells.className = new Set(texts).size > 1 ? 'differs' : '';
    [name, ...texts].forEach(text => { cells.insertCell().textContent = text; });
  });
  return table;
}

function drawCurve(div, row, marked, curves, role) {
  const own = curves?.points.get(row), best = curves?.points.get(marked);
  if (!own) return div.remove();
  const trace = (points, name, color, width) => ({
    type: 'scatter', mode: points.x.length > 1 ? 'lines' : 'markers', x: points.x, y: points.y,
    name, line: {color, width}, marker: {color},
  });
  const traces = [trace(own, 'this trial', '#0072b2', 3)];
  if (best && row !== marked) traces.unshift(trace(best, role, '#000', 1.5));
  const {xaxis, yaxis, font, shapes} = curves.layout;
  div.className = 'curve';
  Plotly.newPlot(div, traces, {
    font, shapes, xaxis: {...xaxis}, yaxis: {...yaxis}, showlegend: traces.length > 1,
    legend: {orientation: 'h', y: 1.15}, margin: {l: 56, r: 12, t: 24, b: 44}, dragmode: false,
  }, {displayModeBar: false, responsive: true});
}

/* The first cell of each row opens its card. */
function openFromTable(explorer) {
  explorer.trials.rows.forEach((row, number) => {
    const button = document.createElement('button'), cell = row.cells[0];
    button.type = 'button';
    button.textContent = cell.textContent;
    button.addEventListener('click', () => openCard(number, explorer));
    cell.replaceChildren(button);
  });
}
