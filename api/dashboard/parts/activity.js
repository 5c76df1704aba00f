// The journal of the processes, and the tail of their logs.

import { ask, may } from "../api.js";
import { clock, dayAndClock } from "../format.js";
import { usePolled } from "../state.js";
import { html, useState } from "../vendor/preact.js";
import { NAMES, Told } from "./common.js";
import { Timeline, lookOf, useEvents } from "./timeline.js";

const LEVELS = ["debug", "info", "warning", "error"];
const OWN = ["@timestamp", "log.level", "message", "service.name", "process.pid", "log.logger"];

export function Activity() {
  return html`<${Timeline} />${may("control") && html`<${Log} />`}<${Journal} />`;
}

function Log() {
  const [process, setProcess] = useState("tickerd");
  const [level, setLevel] = useState("info");
  const [search, setSearch] = useState("");
  const query = new URLSearchParams({ process, level, search, limit: 200 });
  const told = usePolled(() => ask(`/logs?${query}`), 2_000, [process, level, search]);
  const processes = told.value?.processes || [process];
  return html`<section class="panel"><h2>Log
      <select aria-label="Process" value=${process} onChange=${(e) => setProcess(e.target.value)}>${processes.map((each) => html`<option value=${each}>${NAMES[each] || each}</option>`)}</select>
      <select aria-label="Level" value=${level} onChange=${(e) => setLevel(e.target.value)}>${LEVELS.map((each) => html`<option value=${each}>${each} and worse</option>`)}</select>
      <input aria-label="Only lines that hold" placeholder="only lines that hold …" value=${search} onChange=${(e) => setSearch(e.target.value)} maxlength="100" /></h2>
    <${Told} of=${told} empty="No such line." show=${({ data }) => html`<ol class="log" tabindex="0" aria-label="Log lines">
      ${[...data].reverse().map((line) => html`<li class=${line["log.level"]}><time>${clock(line["@timestamp"])}</time> <b>${line.message}</b> ${rest(line)}</li>`)}</ol>`} />
  </section>`;
}

function rest(line) {
  return Object.entries(line)
    .filter(([key]) => !OWN.includes(key))
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(" ");
}

function Journal() {
  const { events, value, error } = useEvents();
  return html`<section class="panel"><h2>Journal</h2>
    ${!value && html`<p class="empty">${error ? `Not told: ${error.message}` : "…"}</p>`}
    <div class="scroll"><table><thead><tr><th>At</th><th>Process</th><th>Event</th><th>From, to</th><th>Cause</th><th>What</th></tr></thead><tbody>
      ${events.slice(0, 200).map((each) => html`<tr key=${each.id || each.seq}><td>${dayAndClock(each.at)}</td><td>${NAMES[each.process] || each.process}</td>
        <td><span class=${`dot ${lookOf(each)}`}></span>${each.event.replaceAll("_", " ")}</td><td>${each.from_state || each.to_state ? `${each.from_state} → ${each.to_state}` : ""}</td><td>${each.cause}</td>
        <td>${each.detail || (each.exit_code !== null && each.exit_code !== undefined ? `exit code ${each.exit_code}` : each.signal ? `signal ${each.signal}` : "")}</td></tr>`)}
    </tbody></table></div>
  </section>`;
}
