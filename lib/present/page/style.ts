/** The page's only style sheet. Colours meet 4.5:1 on their ground, in both schemes. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--card:#f6f7f9;--line:#d5d9e0;--text:#16191f;--soft:#4d5563;
--well:#12692f;--well-bar:#2f9e56;--watch:#7a4a00;--watch-bar:#d98a00;--bad:#a8161b;--bad-bar:#d93036;--link:#0b55b5;--band:#bcd3f5;--past:#c3c9d3}
@media (prefers-color-scheme:dark){:root{--ground:#101216;--card:#191c22;--line:#353b46;--text:#e8eaee;--soft:#aab2bf;
--well:#69d08d;--well-bar:#3aa861;--watch:#f0b95a;--watch-bar:#c9860c;--bad:#ff8f8f;--bad-bar:#d5494d;--link:#8ab8ff;--band:#2b4468;--past:#3d4450}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans SC",sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:1rem}header{padding-bottom:0}main{padding-top:0}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.15rem;margin:1.6rem 0 .6rem}h3{font-size:1rem;margin:0}h4{font-size:.9rem;margin:1rem 0 .3rem}
p{margin:.3rem 0}.soft,footer{color:var(--soft)}a{color:var(--link)}
.counts{display:flex;flex-wrap:wrap;gap:.6rem;padding:0;margin:.8rem 0;list-style:none}
.counts li{border:1px solid var(--line);border-radius:.5rem;padding:.3rem .8rem;background:var(--card)}
.counts b{font-size:1.2rem;margin-right:.3rem}
.well{color:var(--well)}.watch{color:var(--watch)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}table.narrow{width:auto}.number{text-align:right;font-variant-numeric:tabular-nums}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.85em;overflow-wrap:anywhere}
.target{border:1px solid var(--line);border-radius:.6rem;background:var(--card);margin:.6rem 0;content-visibility:auto;contain-intrinsic-size:auto 4.5rem}
summary{cursor:pointer;display:grid;grid-template-columns:minmax(8rem,1.3fr) minmax(6rem,1fr) 8.5rem minmax(7rem,1.2fr);gap:.3rem 1rem;align-items:center;padding:.7rem 1rem;border-radius:.6rem}
summary:focus-visible,a:focus-visible{outline:3px solid var(--link);outline-offset:2px}
summary::marker{content:""}summary::-webkit-details-marker{display:none}
.body{padding:0 1rem 1rem}
.bar{height:.7rem;border-radius:.35rem;background:var(--past);overflow:hidden}.bar i{display:block;height:100%}
.bar .well{background:var(--well-bar)}.bar .watch{background:var(--watch-bar)}.bar .bad{background:var(--bad-bar)}
svg{display:block;width:100%;height:2.9rem}svg path,svg line{vector-effect:non-scaling-stroke}.life{fill:var(--past)}.life.now{fill:var(--well-bar)}.life.now.watch{fill:var(--watch-bar)}.life.now.bad{fill:var(--bad-bar)}
.window{fill:var(--band)}.now-line{stroke:var(--text);stroke-width:2}.fail{stroke:var(--bad);stroke-width:2}.turn{stroke:var(--well);stroke-width:3}.root{stroke:var(--bad);stroke-width:2;stroke-dasharray:6 4}
svg.online{height:5rem}.online path{fill:none;stroke-width:2}.count{stroke:var(--link)}.usual{stroke:var(--soft);stroke-dasharray:5 4}
.dates{display:flex;justify-content:space-between;gap:1rem;font-size:.8rem;margin:0}.dates span,time{white-space:nowrap}
.notes{padding-left:1.1rem;margin:.3rem 0}
.filter{border:1px solid var(--line);border-radius:.5rem;padding:.2rem .8rem .4rem;margin:.6rem 0}.filter label{margin-right:1rem;white-space:nowrap}
main:has(#show-bad:checked) .target:not([data-state=bad]),main:has(#show-watch:checked) .target:not([data-state=watch]),main:has(#show-well:checked) .target:not([data-state=well]){display:none}
@media (max-width:40rem){table{font-size:.85rem}td time,th time{white-space:normal}summary{grid-template-columns:1fr auto}summary .bar{grid-column:1/-1;grid-row:2}summary .says{grid-column:1/-1}th,td{padding-right:.5rem}.hide-small{display:none}}
@media print{:root{color-scheme:light;--ground:#fff;--card:#fff}.filter{display:none}.target{break-inside:avoid;content-visibility:visible}details>*{display:block}details::details-content{content-visibility:visible;block-size:auto}}
`
