'use strict';
{
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  for (const part of all('.scripted')) part.hidden = false;

  // Light or dark: as the reader's system has it, until the button says otherwise. Nothing is stored.
  const theme = document.getElementById('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);
  const nameTheme = () => { theme.textContent = isDark() ? 'Light' : 'Dark'; };
  theme.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    nameTheme();
  });
  system.addEventListener('change', nameTheme);
  nameTheme();

  // Tables: every heading becomes a button that sorts by its column; what is not known stays last.
  function sort(table, header, column) {
    const falling = header.getAttribute('aria-sort') === 'ascending';
    for (const other of all('thead th', table)) other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
    const rows = [...table.tBodies[0].rows];
    const byNumber = rows.some((row) => 'sort' in row.cells[column].dataset);
    const key = (row) => {
      const cell = row.cells[column];
      if (!byNumber) return cell.textContent.trim();
      return 'sort' in cell.dataset ? Number(cell.dataset.sort) : null;
    };
    const order = (one, other) => (byNumber ? one - other : one.localeCompare(other, 'en', { numeric: true }));
    const compare = (one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return falling ? order(b, a) : order(a, b);
    };
    table.tBodies[0].append(...rows.sort(compare));
  }
  for (const table of all('table')) {
    if (table.tBodies[0].rows.length < 2) continue;
    all('thead th', table).forEach((header, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...header.childNodes);
      button.addEventListener('click', () => sort(table, header, column));
      header.append(button);
    });
  }

  // Levels: a switch in the row, and the same beside the pictures.
  const chips = document.getElementById('chips');
  const shown = document.getElementById('shown');
  const rows = all('#level-table tbody tr');
  const off = new Set();
  for (const row of rows) {
    const chip = document.createElement('label');
    const input = row.querySelector('input').cloneNode();
    input.removeAttribute('aria-label');
    // The unit stands before all of them.
    chip.append(input, row.cells[0].title.replace(/ connections?$| connections?,|\/s/, '').replace('repetition ', '· '));
    chips.append(chip);
  }
  function show(level, isOn) {
    if (isOn) off.delete(level);
    else off.add(level);
    for (const part of all(`tr[data-level="${level}"], .drawing [data-level="${level}"]`)) part.classList.toggle('off', !isOn);
    for (const input of all(`input[data-switch="${level}"]`)) input.checked = isOn;
  }
  function tell() {
    if (shown) shown.textContent = `${rows.length - off.size} of ${rows.length}`;
  }
  document.addEventListener('change', (event) => {
    if (!event.target.matches('input[data-switch]')) return;
    show(event.target.dataset.switch, event.target.checked);
    tell();
  });
  for (const button of all('[data-all]')) {
    button.addEventListener('click', () => {
      for (const row of rows) show(row.dataset.level, button.dataset.all === 'on');
      tell();
    });
  }
  // A browser that restores a page also restores its switches.
  for (const row of rows) show(row.dataset.level, row.querySelector('input').checked);
  tell();

  // Pictures: what a spot tells, for mouse, finger and keys.
  const tip = document.getElementById('tip');
  let at = null;
  function leave() {
    if (at) at.classList.remove('at');
    at = null;
    tip.hidden = true;
  }
  function visit(spot, x, y) {
    if (at !== spot) {
      leave();
      at = spot;
      spot.classList.add('at');
      tip.textContent = spot.dataset.tip;
      tip.hidden = false;
    }
    const box = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8));
    const below = y + 18 + box.height < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(8, below ? y + 18 : y - box.height - 14)}px`;
  }
  function visitByKey(picture, step) {
    const spots = all('.spot', picture).filter((spot) => !spot.closest('.off'));
    if (!spots.length) return;
    const here = spots.indexOf(at);
    const next = here < 0 ? (step > 0 ? 0 : spots.length - 1) : (here + step + spots.length) % spots.length;
    spots[next].scrollIntoView({ block: 'nearest', inline: 'nearest' });
    const box = spots[next].getBoundingClientRect();
    visit(spots[next], box.left + box.width / 2, box.top + box.height / 2);
  }
  for (const spot of all('.drawing .spot')) {
    const title = spot.querySelector('title');
    spot.dataset.tip = title ? title.textContent : '';
    if (title) title.remove();
  }
  for (const picture of all('.drawing svg')) {
    // A title of the whole would hang over every spot.
    const title = picture.querySelector(':scope > title');
    if (title) {
      picture.setAttribute('aria-label', title.textContent);
      title.remove();
    }
    picture.setAttribute('role', 'img');
    if (!picture.querySelector('.spot')) continue;
    picture.setAttribute('tabindex', '0');
    picture.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      visitByKey(picture, step);
    });
    picture.addEventListener('blur', leave);
    picture.addEventListener('pointermove', (event) => {
      const spot = event.target.closest('.spot');
      if (spot) visit(spot, event.clientX, event.clientY);
      else if (event.pointerType === 'mouse') leave();
    });
    picture.addEventListener('pointerleave', (event) => { if (event.pointerType === 'mouse') leave(); });
  }
  document.addEventListener('pointerdown', (event) => {
    const spot = event.target.closest('.drawing .spot');
    if (spot) visit(spot, event.clientX, event.clientY);
    else leave();
  });
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') leave(); });
  addEventListener('scroll', () => { if (at && !at.ownerSVGElement.matches(':focus')) leave(); }, { passive: true });

  // What is folded: buttons for all, links that lead into it, and paper, on which nothing unfolds.
  for (const button of all('[data-details]')) {
    button.addEventListener('click', () => {
      for (const part of all('details')) part.open = button.dataset.details === 'on';
    });
  }
  const unfold = () => {
    const part = /^#level-\d+$/.test(location.hash) && document.querySelector(location.hash);
    if (part) part.open = true;
  };
  addEventListener('hashchange', unfold);
  unfold();
  let folded = [];
  addEventListener('beforeprint', () => {
    folded = all('details:not([open])');
    for (const part of folded) part.open = true;
  });
  addEventListener('afterprint', () => { for (const part of folded) part.open = false; });

  // The data, as a file.
  const data = document.getElementById('data');
  const download = document.getElementById('download');
  if (data && download) {
    download.addEventListener('click', () => {
      const url = URL.createObjectURL(new Blob([data.textContent], { type: 'application/json' }));
      download.href = url;
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    });
  }
}
