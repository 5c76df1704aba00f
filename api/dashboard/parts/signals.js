// Signals of saved scans, and what became of them.

import { ask, may } from "../api.js";
import { dayAndClock, money, percent, whole } from "../format.js";
import { usePolled, useTold } from "../state.js";
import { html, useState } from "../vendor/preact.js";
import { Link, Pill, Told } from "./common.js";

const STATES = ["active", "triggered", "closed", "dismissed", "left"];

export function Signals() {
  const { signals } = useTold();
  const [status, choose] = useState("active");
  const told = usePolled(() => ask(`/signals?limit=200&status=${status}`), 15_000, [status, signals.length]);
  const mark = (each, to) => ask(`/signals/${each.id}/status`, { method: "PATCH", body: { status: to } }).then(() => choose((s) => s)).catch((error) => alert(error.message));
  return html`<section class="panel"><h2>Signals <small>of saved scans: entry, stop and targets follow the pattern's rule</small></h2>
    <p class="tabs" role="group" aria-label="Status">${STATES.map((each) => html`<button class=${each === status ? "" : "quiet"} aria-pressed=${each === status} onClick=${() => choose(each)}>${each}</button>`)}</p>
    <${Told} of=${told} empty=${`No signal is ${status}. They come from saved scans: tickerd scan --save, see the documentation of scans.`} show=${({ data }) => html`<div class="scroll"><table><thead><tr>
        <th>At</th><th>Ticker</th><th>Pattern</th><th>Side</th><th class="n">Entry</th><th class="n">Stop</th><th class="n">Targets</th><th class="n">Size</th>
        <th class="n">Confidence</th><th class="n">Hit rate</th><th>Status</th></tr></thead><tbody>
      ${data.map((each) => html`<tr key=${each.id}><td>${dayAndClock(each.created_at)}</td><td><${Link} ticker=${each.symbol} /></td><td>${(each.pattern || "").replaceAll("_", " ")}</td>
        <td class=${each.direction === "BUY" ? "up" : "down"}>${each.direction}</td><td class="n">${money(each.entry_price)}</td><td class="n">${money(each.stop_loss)}</td>
        <td class="n">${money(each.target1)} / ${money(each.target2)}</td><td class="n">${whole(each.position_size)}</td><td class="n">${whole(each.confidence)}</td>
        <td class="n" title=${each.hit_events ? `of ${each.hit_events} in the back-test` : "fewer than 100 in the back-test"}>${percent(each.hit_rate, 0)}</td>
        <td>${may("scan") ? html`<select aria-label=${`Status of ${each.symbol}`} value=${each.status} onChange=${(e) => mark(each, e.target.value)}>${STATES.map((to) => html`<option>${to}</option>`)}</select>`
          : html`<${Pill} state=${each.status} />`}</td></tr>`)}
      </tbody></table></div>`} />
  </section>`;
}
