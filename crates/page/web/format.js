// How figures are written. Times are in µs.

export const number = (value) => {
  if (value === null || value === undefined) return 'n/a';
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

// Three significant digits: 640 µs, 3.62 ms, 12.5 s.
export const time = (us) => {
  if (us === null || us === undefined) return 'n/a';
  const [value, unit] = Math.abs(us) < 1e3 ? [us, 'µs'] : Math.abs(us) < 1e6 ? [us / 1e3, 'ms'] : [us / 1e6, 's'];
  const digits = unit === 'µs' || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`;
};

export const bytes = (value) => {
  if (value === null || value === undefined) return 'n/a';
  return value < 1048576 ? `${number(Math.round(value / 1024))} KiB` : `${number(Math.round(value / 1048576))} MiB`;
};

export const percent = (share) => (share === null || share === undefined ? 'n/a' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`);

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};

// A new element. Texts of others go in as text and never as markup.
export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map(String_or_node));
  return element;
};

const String_or_node = (child) => (child instanceof Node ? child : String(child));

// Sets a text only where it differs: what has not changed is not laid out again.
export const put = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
