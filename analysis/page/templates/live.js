'use strict';
(() => {
  const { version } = document.querySelector('#watch').dataset;
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
  const isBusy = () => kept.hold || document.hidden || document.querySelector('dialog[open]')
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
      if (answer.version !== version && !isBusy()) return reload();
    } catch {
      note.textContent = 'The watch has ended; this is its last page.';
    }
    setTimeout(ask, 2000);
  };
  ask();
})();
