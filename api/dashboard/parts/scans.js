// Scans: ask for one, watch its stages, read what it finds while it finds it.

import { ask, may } from "../api.js";
import { dayAndClock, duration, money, short, whole } from "../format.js";
import { listenToScan } from "../live.js";
import { useNow, usePolled, useTold } from "../state.js";
import { html, useEffect, useState } from "../vendor/preact.js";
import { Bar, Link, Pill, Told } from "./common.js";

const READY = [
  ["rsi14 < 30 and close > sma200", "fallen, in a rising trend"],
  ["week_52_high_breakout and rvol20 > 2", "new high on twice the usual volume"],
  ["inside_bar_bullish_breakout or inside_bar_bearish_breakdown", "inside bar broken"],
  ["golden_cross", "golden cross"],
  ["market_cap > 1e10 and pe_ratio < 12 and dividend_yield > 0.03", "large, cheap, paying"],
];
const STAGES = {
  universe_loading: "Load the universe",
  data_fetching: "Fetch what is missing",
  symbol_scanning: "Scan",
  finalization: "Rank and keep",
};
const GLYPHS = { complete: "✓", running: "▸", pending: "‖" };
const OVER = ["complete", "terminated_early", "cancelled", "failed", "aborted"];
const MOST_SHOWN = 500;

export function Scans({ rest }) {
  return rest[0] ? html`<${One} key=${rest[0]} id=${rest[0]} />` : html`${may("scan") && html`<${Form} />`}<${List} />`;
}

function Form() {
  const [expression, write] = useState(READY[0][0]);
  const [error, set] = useState("");
  const start = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const body = { expression: given.expression };
    for (const name of ["on", "order_by"]) if (given[name]) body[name] = given[name];
    for (const name of ["top", "max_signals", "min_volume"]) if (given[name]) body[name] = Number(given[name]);
    if (given.sectors) body.sectors = given.sectors.split(",").map((each) => each.trim()).filter(Boolean);
    try {
      const { scan_id: id } = await ask("/scans", { method: "POST", body });
      location.hash = `#/scans/${id}`;
    } catch (refused) {
      set(refused.message);
    }
  };
  return html`<section class="panel"><h2>Scan the market</h2><form onSubmit=${start} class="scan">
    <label class="wide">Find tickers of which this holds
      <textarea name="expression" rows="2" maxlength="4000" spellcheck="false" value=${expression} onInput=${(e) => write(e.target.value)} required></textarea></label>
    <p class="wide chips">${READY.map(([text, words]) => html`<button type="button" class="quiet" onClick=${() => write(text)} title=${text}>${words}</button>`)}</p>
    <label>Sectors<input name="sectors" placeholder="all; or Technology, Energy" /></label>
    <label>On the session<input name="on" type="date" /></label>
    <label>Order by<input name="order_by" placeholder="e.g. rvol20" maxlength="4000" /></label>
    <label>Only the best<input name="top" type="number" min="0" placeholder="all" /></label>
    <label>Stop after<input name="max_signals" type="number" min="0" placeholder="all found" /></label>
    <label>Least volume, shares<input name="min_volume" type="number" min="0" placeholder="any" /></label>
    <p class="wide"><button>Scan</button> <span class="error" role="alert">${error}</span></p>
    ${error && html`<p class="wide hint">Fields, functions and patterns: the documentation of scans, measures and patterns, or <code>tickerd scan --fields</code>.</p>`}
  </form></section>`;
}

function List() {
  const told = usePolled(() => ask("/scans?limit=50"), 5_000);
  return html`<section class="panel"><h2>Scans</h2>
    <${Told} of=${told} empty="None yet." show=${({ data }) => html`<div class="scroll"><table><thead><tr>
        <th>Asked</th><th>Saved scan</th><th>For</th><th>Status</th><th class="n">Found</th><th class="n">Of</th><th class="n">Took</th></tr></thead><tbody>
      ${data.map((each) => html`<tr key=${each.id}><td><a href=${`#/scans/${each.id}`}>${dayAndClock(each.created_at)}</a></td><td>${each.name || ""}</td>
        <td><code>${wordsOf(each)}</code></td><td><${Pill} state=${each.status} title=${each.reason || each.error} /></td><td class="n">${whole(each.signals)}</td>
        <td class="n">${whole(each.processed)}</td><td class="n">${duration(took(each))}</td></tr>`)}
      </tbody></table></div>`} />
  </section>`;
}

function wordsOf(scan) {
  const asked = scan.request || {};
  return asked.expression || Object.entries(asked).filter(([, value]) => value && typeof value !== "object").map(([key, value]) => `${key} ${value}`).join(", ") || "everything";
}

function took(scan) {
  if (scan.timings) return Object.values(scan.timings).reduce((sum, each) => sum + each.elapsed_s, 0);
  return scan.finished_at && scan.started_at ? (new Date(scan.finished_at) - new Date(scan.started_at)) / 1000 : null;
}

function One({ id }) {
  const { scans } = useTold();
  const told = usePolled(() => ask(`/scans/${encodeURIComponent(id)}`), 0);
  const known = told.value?.id; // what is no scan would cost the page its stream
  useEffect(() => (known ? listenToScan(known) : undefined), [known]);
  const live = scans[id];
  const [error, set] = useState("");
  const cancel = () => ask(`/scans/${id}/cancel`, { method: "POST" }).catch((refused) => set(refused.message));
  const progress = live?.progress;
  const isOver = progress && OVER.includes(progress.status);
  return html`<p><a href="#/scans">← All scans</a></p>
    <section class="panel"><h2>Scan ${progress && html`<${Pill} state=${progress.status} />`} <small>${id}</small></h2>
      <${Told} of=${told} show=${(scan) => html`<p><code>${wordsOf(scan)}</code></p>${scan.biased ? html`<p class="stale">Uses fields that were not known on that day: biased.</p>` : ""}`} />
      ${progress ? html`<${Progress} told=${progress} isOver=${isOver} />` : known && html`<p class="empty">Waiting for the scan engine …</p>`}
      <p class="orders">${known && !isOver && may("scan") && html`<button onClick=${cancel}>Cancel</button>`}
        ${known && html`<a class="button quiet" href=${`/api/v1/scans/${id}/results?format=csv&limit=1000`} download=${`${id}.csv`}>CSV</a>`}
        <span class="error" role="alert">${error}</span></p>
    </section>
    ${known && html`<${Results} found=${live?.results || []} isOver=${isOver} progress=${progress} />`}`;
}

function Progress({ told, isOver }) {
  useNow();
  const glyph = (stage) => GLYPHS[stage.state] || GLYPHS.pending;
  return html`
    <div class="overall"><${Bar} share=${told.overall_progress / 100} look=${isOver ? "good" : "calm"} label="Overall progress" />
      <b>${told.overall_progress.toFixed(1)} %</b></div>
    <p>${told.message}</p>
    <ul class="figures">
      <li><b>${whole(told.processed)}</b> of ${whole(told.total)} looked at</li><li><b>${whole(told.signals)}</b> found</li>
      <li><b>${whole(told.stage_throughput)}</b> tickers/s</li><li><b>${duration(told.elapsed)}</b> elapsed</li>
      <li><b>${isOver ? "none" : told.overall_eta === null ? "not known yet" : duration(told.overall_eta)}</b> remaining</li></ul>
    <ol class="stages">${Object.entries(STAGES).map(([key, words]) => {
      const stage = told.stages[key];
      return html`<li class=${stage.state}><span aria-label=${stage.state}>${glyph(stage)}</span> ${words} <small>${Math.round(100 * stage.weight)} % of the work</small>
        <${Bar} share=${stage.progress / 100} look=${stage.state === "complete" ? "good" : "calm"} label=${`${words}: ${stage.progress.toFixed(0)} %`} />
        <span class="n">${stage.progress.toFixed(0)} %</span><small>${stage.total ? `${whole(stage.done)} of ${whole(stage.total)}, ` : ""}${stage.elapsed ? duration(stage.elapsed) : ""}</small></li>`;
    })}</ol>`;
}

function Results({ found, isOver, progress }) {
  const columns = [...new Set(found.slice(0, 50).flatMap((each) => Object.keys(each.values)))].slice(0, 8);
  const ranked = isOver ? [...found].sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity)) : found;
  return html`<section class="panel"><h2>Results <small>${whole(found.length)}${found.length > MOST_SHOWN ? `, the first ${MOST_SHOWN} shown` : ""}</small></h2>
    ${found.length === 0 ? html`<p class="empty">${isOver ? nothingFound(progress) : "None yet."}</p>` : html`<div class="scroll"><table><thead><tr>
      <th class="n">#</th><th>Ticker</th><th>Session</th><th>Signals</th><th class="n">Rating</th>${columns.map((name) => html`<th class="n">${name}</th>`)}</tr></thead><tbody>
      ${ranked.slice(0, MOST_SHOWN).map((each) => html`<tr key=${each.seq}><td class="n">${each.rank ?? each.seq}</td><td><${Link} ticker=${each.ticker} /></td><td>${each.session || ""}</td>
        <td>${each.signals.map((one) => html`<span class=${one.direction === "BUY" ? "up" : "down"}>${one.direction} ${(one.pattern || "").replaceAll("_", " ")} ${one.entry ? `at ${money(one.entry)}` : ""} </span>`)}</td>
        <td class="n">${whole(each.tech_rating)}</td>${columns.map((name) => html`<td class="n">${shown(each.values[name])}</td>`)}</tr>`)}
    </tbody></table></div>`}
  </section>`;
}

function nothingFound({ status, total }) {
  return status === "complete" ? `None of the ${whole(total)} tickers that have daily bars fits.` : "Nothing was found before it ended.";
}

function shown(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return value ?? "–";
  return Math.abs(value) >= 1e5 ? short(value) : value.toLocaleString("en-US", { maximumFractionDigits: 2 });
}
