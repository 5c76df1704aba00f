// Small pieces that several parts show.

import { html } from "../vendor/preact.js";
import { clock } from "../format.js";

export const NAMES = {
  prices: "Prices",
  metrics: "Metrics",
  daily: "Daily refresh",
  proxies: "Proxies",
  recorder: "Recorder",
  screener: "Scan engine",
  api: "API",
  backup: "Backup",
};

const LOOKS = {
  running: "good", complete: "good", gold: "good", live: "good", active: "good", triggered: "good",
  starting: "warn", stopping: "warn", backoff: "warn", cooling: "warn", partial: "warn", pending: "warn", terminated_early: "warn",
  open: "bad", failed: "bad", aborted: "bad", cancelled: "idle",
};

export function Pill({ state, title }) {
  return html`<span class=${`pill ${LOOKS[state] || "idle"}`} title=${title || ""}>${String(state).replaceAll("_", " ")}</span>`;
}

// What an answer has: the reason why there is none, "…" until it comes, or what `show` makes of it.
export function Told({ of, show, empty }) {
  const { value, error, at } = of;
  if (value === undefined) return html`<p class="empty">${error ? `Not told: ${error.message}` : "…"}</p>`;
  const rows = Array.isArray(value.data) ? value.data : null;
  return html`
    ${error && html`<p class="stale">As of ${clock(at)}: ${error.message}</p>`}
    ${rows && rows.length === 0 && empty ? html`<p class="empty">${empty}</p>` : show(value)}`;
}

export function Bar({ share, look = "", label }) {
  const width = `${100 * Math.min(1, Math.max(0, share || 0))}%`;
  return html`<span class="bar" role="img" aria-label=${label}><span class=${look} style=${{ width }}></span></span>`;
}

export function Link({ ticker }) {
  return html`<a class="ticker" href=${`#/ticker/${encodeURIComponent(ticker)}`}>${ticker}</a>`;
}

export function tone(value) {
  return value > 0 ? "up" : value < 0 ? "down" : "";
}
