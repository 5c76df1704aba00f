// What the page knows, when it was told, and who is to be drawn again. Draws nothing and asks nobody.

import { useEffect, useState } from "./vendor/preact.js";

export const state = {
  me: undefined, // null: nobody is signed in
  isUp: true,
  lostAt: null,
  offsetMs: 0, // of the server's clock against this one
  orchestrator: null,
  processes: {},
  scans: {},
  quotes: {},
  events: [],
  signals: [],
};

const watchers = new Set();
let isDue = false;

export function change(values = {}) {
  Object.assign(state, values);
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    for (const watcher of [...watchers]) watcher();
  });
}

export function useTold() {
  const [, draw] = useState(0);
  useEffect(() => {
    const watcher = () => draw((n) => n + 1);
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, []);
  return state;
}

// The server's clock, in ms: ages are told by it, whatever this machine's clock says.
export function serverNow() {
  return Date.now() + state.offsetMs;
}

export function useNow(everyMs = 1000) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return serverNow();
}

// Ask again and again while the part is shown. After a failure the last answer stays, with the reason beside it.
export function usePolled(load, everyMs, watched = []) {
  const [found, set] = useState({ value: undefined, error: null, at: null });
  useEffect(() => {
    let [isGone, timer] = [false, null];
    const round = async () => {
      try {
        const value = await load();
        if (!isGone) set({ value, error: null, at: serverNow() });
      } catch (error) {
        if (!isGone) set((before) => ({ ...before, error }));
      }
      if (!isGone && everyMs) timer = setTimeout(round, document.hidden ? 4 * everyMs : everyMs);
    };
    round();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, watched);
  return found;
}
