// What became of the processes in the last 24 hours, on a line each.

import { ask } from "../api.js";
import { dayAndClock } from "../format.js";
import { useNow, usePolled, useTold } from "../state.js";
import { html } from "../vendor/preact.js";
import { NAMES } from "./common.js";

const DAY_MS = 86_400_000;
const UNWANTED = ["crash", "oom", "signal", "stall", "no_beat", "memory", "files", "config"];

export function lookOf({ event, cause }) {
  if (event === "breaker_opened" || (UNWANTED.includes(cause) && /failed|hung/.test(event))) return "bad";
  if (/restarted|stopping|stopped|held/.test(event)) return "warn";
  return /ready|finished|closed/.test(event) ? "good" : "calm";
}

export function useEvents() {
  const { events } = useTold();
  const told = usePolled(() => ask("/events?limit=300"), 0);
  const known = told.value?.data || [];
  const numbers = new Set(known.map((each) => each.id));
  return { ...told, events: [...events.filter((each) => !numbers.has(each.seq) && !numbers.has(each.id)), ...known] };
}

export function Timeline() {
  const { events, error, value } = useEvents();
  const now = useNow(30_000);
  const recent = events.filter((each) => now - new Date(each.at) < DAY_MS);
  const processes = [...new Set(recent.map((each) => each.process))].sort();
  return html`<section class="panel"><h2>The last 24 hours <small>starts, ends, restarts</small></h2>
    ${!value && html`<p class="empty">${error ? `Not told: ${error.message}` : "…"}</p>`}
    ${value && !processes.length && html`<p class="empty">Nothing was started or stopped.</p>`}
    ${processes.map((process) => html`<div class="lane" key=${process}><span>${NAMES[process] || process}</span><div>
      ${recent.filter((each) => each.process === process).map((each) => html`<i class=${lookOf(each)} title=${`${dayAndClock(each.at)} ${each.event} ${each.detail || ""}`}
        style=${{ left: `${100 - (100 * (now - new Date(each.at))) / DAY_MS}%` }}></i>`)}</div></div>`)}
    ${processes.length > 0 && html`<div class="lane axis"><span></span><div><small>24 h ago</small><small>12 h</small><small>now</small></div></div>`}
  </section>`;
}
