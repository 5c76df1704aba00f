// The pool of proxies: what it holds and how each of them does.

import { ask } from "../api.js";
import { ageOf, percent, whole } from "../format.js";
import { useNow, usePolled } from "../state.js";
import { html, useState } from "../vendor/preact.js";
import { Pill, Told } from "./common.js";

const STATES = ["gold", "live", "candidate", "cooling", "evicted"];

export function Proxies() {
  const [state, choose] = useState("gold");
  const told = usePolled(() => ask(`/proxies?limit=200&state=${state}`), 10_000, [state]);
  const now = useNow(5_000);
  const counts = told.value?.counts || {};
  return html`<section class="panel"><h2>Proxies <small>metrics are asked through them; each answer is confirmed by another source</small></h2>
    <p class="tabs" role="group" aria-label="State">${STATES.map((each) => html`<button class=${each === state ? "" : "quiet"} aria-pressed=${each === state} onClick=${() => choose(each)}>
      ${each} ${whole(counts[each] || 0)}</button>`)}</p>
    <${Told} of=${told} empty=${`None is ${state} now. Without any the direct lane asks, more slowly.`} show=${({ data, next }) => html`<div class="scroll"><table><thead><tr>
        <th>Address</th><th>Speaks</th><th>State</th><th>Leaves by</th><th class="n">Good</th><th class="n">Latency</th><th>Last good</th><th>Last error</th></tr></thead><tbody>
      ${data.map((each) => html`<tr key=${each.address + each.protocol}><td><code>${each.address}</code></td><td>${each.protocol}</td><td><${Pill} state=${each.state} /></td>
        <td>${each.exit_ip || "not known"}</td><td class="n">${percent(each.ok + each.fail ? each.ok / (each.ok + each.fail) : null, 0)} <small>of ${whole(each.ok + each.fail)}</small></td>
        <td class="n">${each.latency_ms === null ? "–" : `${whole(each.latency_ms)} ms`}</td><td>${each.last_ok ? `${ageOf(each.last_ok, now)} ago` : "never"}</td><td>${each.last_error || ""}</td></tr>`)}
      </tbody></table></div>${next && html`<p class="hint">The first 200; <code>tickerd proxies list</code> shows all.</p>`}`} />
  </section>`;
}
