// Is the table fresh, and who keeps it so: cards, coverage, map, the last sessions, restarts.

import { ask, may } from "../api.js";
import { clock, dayAndClock, duration, percent, whole } from "../format.js";
import { useNow, usePolled, useTold } from "../state.js";
import { html, useState } from "../vendor/preact.js";
import { Bar, NAMES, Pill, Told } from "./common.js";
import { MarketMap } from "./map.js";
import { Timeline } from "./timeline.js";

const SCANNERS = ["prices", "metrics", "daily"];
const TARGETS = { prices: "each minute", metrics: "each 10 minutes", daily: "each night" };
const SLACK = 1.1; // a pass that ends a little after its time is followed by the next one in time
const GROUPS = { price: "Prices", metrics: "Metrics", daily: "Daily" };
const STATES = [
  ["fresh", "good", "confirmed anew"],
  ["unchanged", "calm", "confirmed, as it was"],
  ["no_trade", "idle", "no trade to confirm"],
  ["unknown", "bad", "not confirmed"],
];
const BUCKETS = [
  ["within_60_s", "1 min"], ["within_120_s", "2"], ["within_300_s", "5"], ["within_600_s", "10"],
  ["within_1800_s", "30"], ["within_3600_s", "1 h"], ["within_86400_s", "24 h"], ["older", "older"], ["never", "never"],
];

export function Overview() {
  return html`<div class="overview">
    <${Cards} />
    <${Coverage} />
    <${MarketMap} />
    <div class="two"><${Ledger} /><${Audit} /></div>
    <${Timeline} />
    <${Others} />
  </div>`;
}

function Cards() {
  const { processes } = useTold();
  const told = usePolled(scanners, 10_000);
  const logs = usePolled(() => ask("/system/errors?days=1"), 30_000);
  const last = Object.fromEntries((told.value?.data || []).map((each) => [each.name, each]));
  const counts = Object.fromEntries((logs.value?.logs || []).map((each) => [each.process, each]));
  return html`<section aria-label="Scanners" class="cards">
    ${SCANNERS.map((name) => html`<${Card} key=${name} name=${name} live=${processes[name]} last=${last[name]} log=${counts[name]} />`)}
  </section>`;
}

// Without an orchestrator the database still knows the last passes.
async function scanners() {
  try {
    return await ask("/scanners");
  } catch (error) {
    if (error.code !== "control_unreachable") throw error;
    const passes = await Promise.all(SCANNERS.map((name) => ask(`/scanners/${name}/runs?limit=2`)));
    return { data: SCANNERS.map((name, i) => ({ name, state: "unknown", last_run: lastEnded(passes[i].data) })) };
  }
}

function lastEnded(runs) {
  const run = runs.find((each) => each.finished_at);
  return run && { ...run, took_s: (new Date(run.finished_at) - new Date(run.started_at)) / 1000 };
}

function Card({ name, live, last, log }) {
  const now = useNow();
  const each = live || last;
  if (!each) return html`<article class="panel card"><h2>${NAMES[name]}</h2><p class="empty">…</p></article>`;
  const run = last?.last_run;
  const target = last?.target_s;
  const isLate = run && target && run.took_s > SLACK * target;
  const elapsed = live ? (Date.now() - live.heardAt) / 1000 : 0;
  return html`<article class="panel card">
    <h2>${NAMES[name]} <small>${target ? `within ${duration(target)}` : TARGETS[name]}</small> <${Pill} state=${each.state} title=${each.reason} /></h2>
    ${each.reason && each.state !== "running" && html`<p class="hint">${each.reason}</p>`}
    <${Progress} told=${each.progress} />
    <dl>
      <dt>Last pass</dt><dd class=${isLate ? "down" : ""}>${run ? `${duration(run.took_s)}${target ? ` of ${duration(target)}` : ""}` : "none yet"}
        ${run && target && html`<${Bar} share=${run.took_s / target} look=${isLate ? "bad" : "good"} label=${`${percent(run.took_s / target, 0)} of the time it may take`} />`}</dd>
      <dt>Told of</dt><dd>${run ? `${whole(run.updated)} of ${whole(run.expected)}` : "–"}${run && run.failed ? html` <span class="down">${whole(run.failed)} failed</span>` : ""}</dd>
      <dt>Ended</dt><dd>${run ? `${dayAndClock(run.finished_at)}, ${run.status}` : "–"}</dd>
      <dt>Newest data</dt><dd>${each.data_age_s == null ? "–" : `${duration(each.data_age_s + elapsed)} ago`}</dd>
      <dt>Runs</dt><dd>${each.pid ? `pid ${each.pid}, since ${duration((now - new Date(each.since)) / 1000)}` : each.state === "unknown" ? "not told" : "not now"}</dd>
      <dt>Uses</dt><dd>${each.rss_mb ? `${whole(each.rss_mb)} MB, ${each.cpu_percent.toFixed(1)} % of a core` : "–"}</dd>
      <dt>24 hours</dt><dd>${whole(last?.restarts_24h ?? null)} restarts, ${whole(log?.warnings)} warnings, ${whole(log?.errors)} errors</dd>
    </dl>
    ${may("control") && html`<${Orders} name=${name} state=${each.state} />`}
  </article>`;
}

function Progress({ told }) {
  if (!told || !told.total) return html`<p class="progress"></p>`;
  const words = told.done >= told.total ? ", all told" : told.eta_s ? `, ${duration(told.eta_s)} left` : "";
  return html`<p class="progress"><${Bar} share=${told.done / told.total} look="calm" label=${`${told.done} of ${told.total}`} />
    <small>${told.stage}: ${whole(told.done)} of ${whole(told.total)}${words}</small></p>`;
}

export function Orders({ name, state }) {
  const { orchestrator, isUp } = useTold();
  const [said, say] = useState("");
  const off = !isUp || orchestrator?.reachable === false;
  const order = (action) => async () => {
    if (action === "stop" && !confirm(`Stop ${NAMES[name]}? Its fields grow old until it is started again.`)) return;
    say("…");
    try {
      const told = await ask(`/scanners/${name}/${action}`, { method: "POST" });
      say(`${told.state}${told.reason ? `: ${told.reason}` : ""}`);
    } catch (error) {
      say(error.message);
    }
  };
  const runs = ["running", "starting"].includes(state);
  return html`<p class="orders">
    ${runs
      ? html`<button disabled=${off} onClick=${order("restart")}>Restart</button><button disabled=${off} class="quiet" onClick=${order("stop")}>Stop</button>`
      : html`<button disabled=${off || state === "disabled"} onClick=${order("start")}>Start</button>`}
    <small role="status">${said}</small>
  </p>`;
}

function Coverage() {
  const told = usePolled(() => ask("/coverage"), 5_000);
  return html`<section class="panel"><h2>How fresh the table is</h2>
    <${Told} of=${told} show=${({ groups }) => html`<div class="three">
      ${Object.entries(GROUPS).map(([group, name]) => html`<${Group} name=${name} told=${groups[group]} />`)}
    </div>`} />
  </section>`;
}

function Group({ name, told }) {
  const most = Math.max(1, ...BUCKETS.map(([key]) => told.histogram[key]));
  const aged = told.total - told.histogram.never;
  const who = aged < told.total ? `${whole(aged)} of ${whole(told.total)} tickers ever told` : `${whole(told.total)} tickers`;
  return html`<div>
    <h3>${name} <small>${who}, half younger than ${duration(told.age_s.p50)}, oldest ${duration(told.age_s.max)}</small></h3>
    <p class="stack" role="img" aria-label=${STATES.map(([key, , words]) => `${told[key]} ${words}`).join(", ")}>
      ${STATES.map(([key, look]) => told[key] > 0 && html`<span class=${look} style=${{ flexGrow: told[key] }}></span>`)}</p>
    <ul class="legend">${STATES.map(([key, look, words]) => html`<li><span class=${`dot ${look}`}></span>${whole(told[key])} ${words}</li>`)}</ul>
    <table class="histogram"><caption>Tickers by age</caption><tbody><tr>
      ${BUCKETS.map(([key]) => html`<td><i style=${{ height: `${Math.max(told.histogram[key] ? 2 : 0, 52 * told.histogram[key] / most)}px` }}></i>${whole(told.histogram[key])}</td>`)}
    </tr><tr>${BUCKETS.map(([, words]) => html`<th scope="col">${words}</th>`)}</tr></tbody></table>
  </div>`;
}

function Ledger() {
  const told = usePolled(() => ask("/coverage?days=5"), 60_000);
  return html`<section class="panel"><h2>The last sessions <small>share of ticker-minutes that were told</small></h2>
    <${Told} of=${told} show=${({ days }) => html`<div class="scroll"><table class="ledger"><thead><tr><th>Session</th>
      ${Object.values(GROUPS).map((name) => html`<th>${name}</th>`)}</tr></thead><tbody>
      ${[...days].reverse().map((day) => html`<tr><td>${day.session}</td>${Object.keys(GROUPS).map((group) => html`<${Day} told=${day.groups[group]} />`)}</tr>`)}
    </tbody></table></div>`} />
  </section>`;
}

function Day({ told }) {
  if (!told || told.not_covered === told.total) return html`<td class="empty">not watched</td>`;
  const look = told.share >= 0.99 ? "good" : told.share >= 0.9 ? "warn" : "bad";
  return html`<td><${Bar} share=${told.share} look=${look} label="" /> ${percent(told.share, 2)}</td>`;
}

function Audit() {
  const told = usePolled(() => ask("/truth?limit=5"), 60_000);
  return html`<section class="panel"><h2>Truth <small>each session's numbers compared with what other answers and the charts say of it</small></h2>
    <${Told} of=${told} empty="No audit yet: the first one follows the next daily refresh." show=${({ data }) => html`<ul class="lines">
      ${data.map((each) => html`<li><b>${each.session}</b> ${whole(each.exact)} of ${whole(each.exact + each.differs)} compared are exact, <span class=${each.differs ? "down" : ""}>${whole(each.differs)} differ</span>${each.not_comparable ? html`; ${whole(each.not_comparable)} not comparable <small>without a trade, or nothing else told of that session: see tickerd audit</small>` : ""}</li>`)}
    </ul>`} />
  </section>`;
}

function Others() {
  const { processes } = useTold();
  const others = Object.values(processes).filter((each) => !SCANNERS.includes(each.name));
  if (!others.length) return null;
  return html`<section class="panel"><h2>Other processes</h2><div class="scroll"><table><thead><tr>
      <th>Process</th><th>State</th><th>Since</th><th class="n">Memory</th><th class="n">CPU</th><th class="n">Restarts</th><th></th></tr></thead><tbody>
    ${others.map((each) => html`<tr key=${each.name}><td>${NAMES[each.name] || each.name}</td><td><${Pill} state=${each.state} title=${each.reason} /></td>
      <td>${clock(each.since)} <small>${each.reason}</small></td><td class="n">${each.rss_mb ? `${whole(each.rss_mb)} MB` : "–"}</td>
      <td class="n">${each.rss_mb ? `${each.cpu_percent.toFixed(1)} %` : "–"}</td><td class="n">${whole(each.restarts)}</td>
      <td>${may("control") && html`<${Orders} name=${each.name} state=${each.state} />`}</td></tr>`)}
  </tbody></table></div></section>`;
}
