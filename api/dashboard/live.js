// The one stream of this page, and what the parts listen to through it.

import { Stream } from "./stream.js";
import { change, state } from "./state.js";

const KEPT_EVENTS = 500;
let stream = null;

export function listen(checkSignedIn) {
  if (stream) return;
  stream = new Stream(hear, (isUp) => {
    change({ isUp, lostAt: isUp ? null : Date.now() });
    if (isUp) checkSignedIn();
  });
  stream.subscribe({ scanners: ["*"], events: ["*"], signals: ["*"] });
}

export function deafen() {
  stream?.end();
  stream = null;
}

// Returns what ends it, as an effect wants it.
export function listenToScan(id) {
  stream.also("scan", id);
  return () => stream?.no("scan", id);
}

export function listenToQuote(ticker) {
  stream.also("quotes", ticker);
  return () => stream?.no("quotes", ticker);
}

function hear(message) {
  if (message.ch === "scanners") {
    const { process, ...told } = message;
    told.heardAt = Date.now();
    change(process === "tickerd" ? { orchestrator: told } : { processes: { ...state.processes, [process]: told } });
  } else if (message.ch === "scan") {
    change({ scans: { ...state.scans, [message.scan_id]: withTold(state.scans[message.scan_id], message) } });
  } else if (message.ch === "quotes") {
    const rows = Object.fromEntries(message.data.map((row) => [row.ticker, row]));
    change({ quotes: { ...state.quotes, ...rows } });
  } else {
    change({ [message.ch]: [message, ...state[message.ch]].slice(0, KEPT_EVENTS) });
  }
}

function withTold(known = { results: [], progress: null }, message) {
  if (message.type === "result") return { ...known, results: [...known.results, message.data] };
  return { ...known, progress: message.data };
}
