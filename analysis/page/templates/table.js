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
    this.count = document.querySelector('.filtered span');
    this.clear = document.querySelector('.filtered button');
    this.clear?.addEventListener('click', () => this.set({}, true));
    this.filter();
  }

  get isFiltered() { return this.inputs.some(input => input.value.trim()); }

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
    if (this.count) {
      this.count.textContent = left === all ? `All ${all} trials` : `${left} of ${all} trials`;
      this.clear.hidden = !this.isFiltered;
    }
    this.listeners.forEach(listener => listener());
  }

  /* Whether each row passes the filter of one column. */
  passes(column) {
    const test = testOf(this.inputs[column].value);
    return this.rows.map(row => test(row.cells[column]));
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
