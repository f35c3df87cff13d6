/** The style sheet of every page: light and dark by the reader's choice, from 360 pixels on. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --line: #d0d7de; --shade: #f6f8fa; --link: #0550ae;
  --dead: #b3261e; --dying: #a34f00; --due: #7d6100; --unseen: #5d4bb0; --well: #1a7f37; --on: #ffffff; --over: #ffffffb0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --soft: #9da7b3; --paper: #0d1117; --line: #30363d; --shade: #161b22; --link: #79b8ff;
    --dead: #ff7b72; --dying: #ffa657; --due: #e3b341; --unseen: #b8a6ff; --well: #3fb950; --on: #0d1117; --over: #0d1117b0;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header, main, .details { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
main { padding-bottom: 3rem; }
header {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem;
  border-bottom: 1px solid var(--line); padding-top: .6rem; padding-bottom: .6rem;
}
h1, h2, h3 { overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .3rem 0; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -9999px; }
.skip:focus { left: .5rem; top: .5rem; padding: .3rem .6rem; background: var(--paper); z-index: 1; }
.owner { font-weight: 400; color: var(--soft); }
.facts, .place, .of, .count, .none, .off, .severity, .places, caption { color: var(--soft); }
.facts { font-size: .9rem; overflow-wrap: anywhere; }
header .facts { flex-basis: 100%; }
.place { display: block; font-size: .85rem; overflow-wrap: anywhere; }
.of { font-size: .85rem; font-weight: 400; }
.live { position: sticky; bottom: 0; padding: .4rem 1rem; background: var(--unseen); color: var(--on); text-align: center; }

.chip {
  display: inline-block; padding: 0 .6rem; border-radius: 1rem; background: var(--soft); color: var(--on);
  font-size: .85rem; font-weight: 600; white-space: nowrap;
}
.chip.critical, .chip.dead, .chip.failed { background: var(--dead); }
.chip.warning, .chip.dying { background: var(--dying); }
.chip.due, .chip.blocked { background: var(--due); }
.chip.unknown, .chip.not-reached { background: var(--unseen); }
.chip.ok, .chip.well { background: var(--well); }

.counts { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; list-style: none; flex-basis: 100%; margin: .4rem 0; padding: 0; }
.counts li { border-left: 4px solid var(--soft); padding-left: .5rem; }
.counts b { font-size: 1.25rem; }
.counts .dead, .counts .failed { border-color: var(--dead); }
.counts .dying { border-color: var(--dying); }
.counts .due, .counts .blocked { border-color: var(--due); }
.counts .not-reached { border-color: var(--unseen); }
.counts .well { border-color: var(--well); }

.troubles, .causes li { border-left: 4px solid var(--soft); background: var(--shade); padding: .3rem .8rem; overflow-wrap: anywhere; }
.troubles { border-color: var(--unseen); margin-top: 1rem; }
.causes { list-style: none; padding: 0; margin: 0; }
.causes li { margin: 0 0 .5rem; }
.causes li.critical { border-color: var(--dead); }
.causes li.warning { border-color: var(--dying); }
.causes li.unknown { border-color: var(--unseen); }
.severity { font-size: .85rem; }
.hint { display: block; font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }

.patterns { position: absolute; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: .4rem 0; padding: 0; font-size: .9rem; color: var(--soft); }
.bar.dead { fill: var(--dead); }
.bar.dying { fill: var(--dying); }
.bar.due { fill: var(--due); }
.bar.unseen { fill: var(--shade); stroke: var(--unseen); stroke-width: 2; stroke-dasharray: 5 3; }
.bar.well { fill: var(--well); }
.gone { fill: none; stroke: var(--dead); stroke-dasharray: 2 3; }
.over { fill: var(--over); }
svg { display: block; }
.legend svg { display: inline-block; vertical-align: -1px; }
.month { stroke: var(--line); }
.today { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; }
.due-from { stroke: var(--ink); stroke-width: 2; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg text.today { fill: var(--ink); stroke: none; font-weight: 600; }
svg text.count { fill: var(--ink); }
.weeks { background: var(--shade); border-radius: 6px; overflow: visible; }
.weeks .this-week { fill: none; stroke: var(--ink); stroke-dasharray: 4 3; }
.weeks .reach { fill: transparent; }
.weeks a:hover .reach { fill: var(--line); }
.weeks a:focus-visible .reach { stroke: var(--link); stroke-width: 3; }
.weeks.many text.count { display: none; }
summary { cursor: pointer; margin: .5rem 0; color: var(--link); }

.filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; }
.filters label { display: grid; font-size: .85rem; color: var(--soft); }
input, select, button {
  font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: var(--ink); max-width: 16rem;
}
.pages { display: flex; gap: 1rem; margin: 1rem 0; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-size: .9rem; padding: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { color: var(--soft); font-size: .85rem; vertical-align: bottom; }
tbody th a { font-weight: 600; overflow-wrap: anywhere; }
th:first-child, td:first-child { padding-left: 0; }
.date { white-space: nowrap; }
.keys th:first-child { min-width: 10rem; }
.keys td:nth-child(2) { min-width: 8.5rem; }
.keys .why { min-width: 14rem; overflow-wrap: anywhere; }
.place.id { max-width: 22rem; }
tr:target { background: var(--shade); }
.figures { width: auto; max-width: 100%; }
.figures td, .figures thead th:not(:first-child) { text-align: right; }
.figures thead th { max-width: 7rem; }
.figures .zero { color: var(--soft); }
.figures .bad { font-weight: 700; }
.lines th, .lines td { padding-top: .15rem; padding-bottom: .15rem; border: 0; vertical-align: middle; }
.lines thead th { border-bottom: 1px solid var(--line); vertical-align: bottom; padding-bottom: 0; }
.lines .of { white-space: nowrap; }
.lines th, .lines .date { white-space: nowrap; }
.lines tbody th { max-width: 17rem; overflow: hidden; text-overflow: ellipsis; }
.lines .track { width: 50%; padding: 0; }
.lines tbody tr:hover { background: var(--shade); }

dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
dd .place { display: inline; margin-left: .5rem; }
.history { padding-left: 1.4rem; }
.history li { margin-bottom: .5rem; }
.detail { display: none; }
.detail:target { display: block; }
body:has(.detail:target) > main, body:has(.detail:target) > header { display: none; }

@media (max-width: 48rem) {
  .stacked thead, .lines thead tr th:not(.track) { position: absolute; left: -9999px; }
  .lines, .lines thead, .lines tbody, .stacked, .stacked caption, .stacked tbody { display: block; }
  .stacked tbody tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .1rem 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .stacked th, .stacked td { border: 0; padding: 0; text-align: left; overflow-wrap: anywhere; }
  .stacked [data-label]::before { content: attr(data-label); display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
  .keys td:nth-child(2) { text-align: right; min-width: 0; }
  .keys th:first-child { min-width: 0; }
  .keys .why { grid-column: 1 / -1; min-width: 0; }
  .figures.stacked th { grid-column: 1 / -1; }
  .figures.stacked tbody tr { grid-template-columns: repeat(3, 1fr); }
  .figures.stacked .date { grid-column: 1 / -1; }
  .lines tbody tr { display: grid; grid-template-columns: auto 1fr; gap: 0 .6rem; padding: .35rem 0; }
  .lines tbody th, .lines tbody td { padding: 0; }
  .lines tbody .track { grid-column: 1 / -1; grid-row: 3; width: auto; }
  .lines tbody th { grid-column: 1 / -1; max-width: none; }
  .lines .date { text-align: right; white-space: normal; }
  .stacked td.date { white-space: normal; }
  .lines thead tr, .lines thead .track { display: block; width: auto; }
  .weeks text.between { display: none; }
  .weeks text.count { font-size: 9px; }
  dl { grid-template-columns: 7rem minmax(0, 1fr); }
}
@media print { .filters, .pages { display: none; } }
`
