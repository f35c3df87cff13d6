/** The style sheet of every page: light and dark by the reader's choice, from 360 pixels on. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff; --line: #d0d7de; --shade: #f6f8fa; --link: #0550ae;
  --dead: #b3261e; --dying: #b35900; --due: #8a6d00; --unseen: #5d4bb0; --well: #1a7f37; --on: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --paper: #0d1117; --line: #30363d; --shade: #161b22; --link: #79b8ff;
  --dead: #ff7b72; --dying: #ffa657; --due: #e3b341; --unseen: #b8a6ff; --well: #56d364; --on: #0d1117; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 1rem; border-bottom: 1px solid var(--line); padding-top: .5rem; }
h1 { font-size: 1.4rem; margin: .4rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; overflow-wrap: anywhere; }
.owner { font-weight: 400; color: var(--soft); }
p { margin: .3rem 0; } .facts, .place, .legend, .count, .none, .off { color: var(--soft); }
.facts { font-size: .9rem; } header .facts { flex-basis: 100%; margin-bottom: .6rem; }
a { color: var(--link); } a:focus-visible, button:focus-visible, input:focus-visible, select:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.place { display: block; font-size: .85rem; overflow-wrap: anywhere; }
.chip { display: inline-block; padding: 0 .5rem; border-radius: 1rem; font-size: .85rem; font-weight: 600; white-space: nowrap; background: var(--soft); color: var(--on); }
.chip.critical, .chip.dead, .chip.failed { background: var(--dead); } .chip.warning, .chip.dying { background: var(--dying); }
.chip.due, .chip.blocked { background: var(--due); } .chip.unknown, .chip.not-reached { background: var(--unseen); } .chip.ok, .chip.well { background: var(--well); }
.troubles { border-left: 4px solid var(--unseen); background: var(--shade); padding: .3rem .8rem; margin-top: 1rem; }
.causes { list-style: none; padding: 0; margin: 0; }
.causes li { border-left: 4px solid var(--soft); background: var(--shade); padding: .3rem .8rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.causes li.critical { border-color: var(--dead); } .causes li.warning { border-color: var(--dying); } .causes li.unknown { border-color: var(--unseen); }
.severity { font-size: .85rem; color: var(--soft); } .hint { font-family: ui-monospace, monospace; font-size: .85rem; } .causes .places { color: var(--soft); }
.timeline { width: 100%; height: auto; display: block; background: var(--shade); border-radius: 6px; }
.timeline text { font: 12px system-ui, sans-serif; fill: var(--ink); } .timeline text.axis, .timeline text.place { fill: var(--soft); font-size: 11px; }
.timeline line.month { stroke: var(--line); } .timeline line.today { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; } .timeline text.today { font-weight: 600; font-size: 11px; }
.timeline .this-week { fill: none; stroke: var(--ink); stroke-dasharray: 4 3; } .timeline text.count { font-size: 11px; fill: var(--soft); }
.bar { fill: var(--well); } .bar.dead, .bar.failed { fill: var(--dead); } .bar.dying { fill: var(--dying); } .bar.due, .bar.blocked { fill: var(--due); } .bar.not-reached { fill: var(--unseen); }
.bar.g1 { opacity: .8; } .bar.g2 { opacity: .6; } .bar.g3 { opacity: .45; } .timeline a:hover .bar, .timeline a:focus .bar { stroke: var(--ink); stroke-width: 2; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; margin-left: .6rem; vertical-align: -1px; } .swatch.dead { background: var(--dead); } .swatch.dying { background: var(--dying); } .swatch.well { background: var(--well); }
.filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; } .filters label { font-size: .85rem; color: var(--soft); display: grid; }
input, select, button { font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: 6px; background: var(--paper); color: var(--ink); max-width: 16rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); font-weight: 400; overflow-wrap: anywhere; } thead th { color: var(--soft); font-size: .85rem; }
tbody th a { font-weight: 600; } td.why { min-width: 14rem; } tr:target { background: var(--shade); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.history { padding-left: 1.2rem; } .history .facts { overflow-wrap: anywhere; } .pages { margin: 1rem 0 2rem; display: flex; gap: 1rem; }
@media (max-width: 40rem) { thead { position: absolute; left: -9999px; } tbody tr { display: grid; padding: .5rem 0; border-bottom: 1px solid var(--line); } th, td { border: 0; padding: .1rem 0; } td.why { min-width: 0; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { .filters, .pages { display: none; } }
`
