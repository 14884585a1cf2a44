"""The look of a page: no file but the page itself, no font but the system's."""

from pwl_jax.report.theme import DARK, LIGHT, css_variables

PAGE = {"light": ("#f5f6f8", "#fff4e0"), "dark": ("#11141a", "#2d2415")}


def _theme(colors: dict[str, str], page: str, note: str) -> str:
  return f"{css_variables(colors)} --page: {page}; --note: {note};"


def css() -> str:
  light = f":root {{ {_theme(LIGHT, *PAGE['light'])} color-scheme: light; }}"
  dark = f":root {{ {_theme(DARK, *PAGE['dark'])} color-scheme: dark; }}"
  return (
    f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n"
    + RULES
  )


RULES = """\
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
main { max-width: 1000px; margin: 0 auto; padding: 40px 20px 64px; }
header p { margin: 0; color: var(--muted); }
h1 { margin: 4px 0 8px; font-size: clamp(26px, 5vw, 36px); line-height: 1.2;
  letter-spacing: -0.015em; font-weight: 680; }
h2 { margin: 0 0 4px; font-size: 20px; line-height: 1.35;
  letter-spacing: -0.005em; font-weight: 640; }
.kind { font-size: 13px; letter-spacing: 0.02em; }
.figures { display: grid; gap: 12px; margin: 28px 0 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); }
.figures > div, section { background: var(--panel);
  border: 1px solid var(--grid); border-radius: 12px; }
.figures > div { padding: 14px 16px; }
.figures dt { color: var(--muted); font-size: 14px; }
.figures dd { margin: 0; }
.figures .value { font-size: 25px; font-weight: 640; line-height: 1.3;
  letter-spacing: -0.015em; font-variant-numeric: tabular-nums; }
.figures .note { color: var(--muted); font-size: 13px; line-height: 1.4;
  margin-top: 2px; }
section { margin: 20px 0 0; padding: 20px; }
section > p { margin: 0 0 14px; color: var(--muted); font-size: 14.5px;
  max-width: 75ch; }
.absent { background: var(--note); }
.absent ul { margin: 6px 0 0; padding-left: 20px; }
.absent li { margin: 2px 0; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--teacher); }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
.narrow { display: none; }
.wide { min-width: 800px; }
table { border-collapse: collapse; font-size: 14px; min-width: 100%;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 640; font-size: 17px;
  padding: 0 0 6px; white-space: nowrap; }
th, td { text-align: right; padding: 6px 0 6px 16px; white-space: nowrap;
  border-bottom: 1px solid var(--grid); }
thead th { color: var(--muted); font-weight: 500; font-size: 13.5px;
  vertical-align: bottom; }
tbody th { font-weight: 500; }
th:first-child, td:first-child { padding-left: 0; }
.word { text-align: left; }
.down { color: var(--down); }
tbody tr:last-child > * { border-bottom: 0; }
th button { all: unset; cursor: pointer; }
th button:hover { color: var(--ink); text-decoration: underline; }
th button:focus-visible { outline: 2px solid var(--teacher); }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
summary { cursor: pointer; font-weight: 640; font-size: 17px; }
details[open] > summary { margin-bottom: 12px; }
details caption { position: absolute; clip-path: inset(50%); width: 1px;
  height: 1px; overflow: hidden; }
.fields { columns: 2 320px; column-gap: 32px; margin: 0; font-size: 14px; }
.fields div { display: flex; justify-content: space-between; gap: 16px;
  break-inside: avoid; border-bottom: 1px solid var(--grid); padding: 3px 0; }
.fields dt { color: var(--muted); }
.fields dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
footer { margin-top: 24px; color: var(--muted); font-size: 13.5px; }
li code { white-space: nowrap; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  font-size: 0.92em; }
.has-narrow .wide { min-width: 600px; }
@media screen and (max-width: 700px) {
  main { padding: 24px 12px 48px; }
  section { padding: 16px 14px; }
  .figures { grid-template-columns: 1fr 1fr; gap: 8px; }
  .figures > div { padding: 12px; }
  .figures .value { font-size: 22px; }
  .has-narrow .wide { display: none; }
  .has-narrow .narrow { display: block; min-width: calc(var(--least) - 36px); }
}
@media print {
  body { background: none; font-size: 12px; }
  main { max-width: none; padding: 0; }
  section, .figures > div { break-inside: avoid; border-color: #ccc; }
  section:has(details) { break-inside: auto; }
  .scroll { overflow: visible; }
  .scroll > .wide { min-width: 0; }
}
"""

# Sorts by what a cell says it is worth, else by its text.
SCRIPT = """\
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement;
    const i = [...row.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const worth = (line) => {
      const cell = line.children[i], value = cell.dataset.value;
      return value === undefined ? cell.textContent : Number(value);
    };
    const order = (a, b) => {
      const x = worth(a), y = worth(b);
      const after = typeof x === typeof y ? x > y : typeof x === "string";
      return x === y ? 0 : after === up ? 1 : -1;
    };
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...[...body.rows].sort(order));
  });
}
"""
