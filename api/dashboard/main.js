// The page around its parts: who is signed in, which part is shown, whether the line holds.

import { ask, may, signIn, who, whoAmI } from "./api.js";
import { clock, duration } from "./format.js";
import { deafen, listen } from "./live.js";
import { Activity } from "./parts/activity.js";
import { Overview } from "./parts/overview.js";
import { Proxies } from "./parts/proxies.js";
import { Scans } from "./parts/scans.js";
import { Signals } from "./parts/signals.js";
import { Ticker } from "./parts/ticker.js";
import { change, usePolled, useNow, useTold } from "./state.js";
import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";

const PARTS = [
  ["", "Overview", Overview],
  ["scans", "Scans", Scans],
  ["signals", "Signals", Signals],
  ["proxies", "Proxies", Proxies],
  ["activity", "Activity", Activity],
];
async function begin() {
  try {
    entered(await whoAmI());
  } catch (error) {
    change({ me: null });
    if (error.status === 0) setTimeout(begin, 3000);
  }
}

function entered(me) {
  if (!me.must_change_password) listen(checkSignedIn);
  change({ me });
}

function checkSignedIn() {
  whoAmI().catch((error) => error.status === 401 && leave());
}

function leave() {
  deafen();
  change({ me: null });
}

function usePath() {
  const [path, set] = useState(location.hash.slice(2));
  useEffect(() => {
    const turned = () => set(location.hash.slice(2));
    addEventListener("hashchange", turned);
    return () => removeEventListener("hashchange", turned);
  }, []);
  return path.split("/").map(plain);
}

function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // somebody has typed a lone %
  }
}

function Page() {
  const { me } = useTold();
  if (me === undefined) return html`<p class="plain">tickerd is loading …</p>`;
  if (me === null) return html`<${SignIn} />`;
  if (me.must_change_password) return html`<${NewPassword} me=${me} />`;
  return html`<${Signed} me=${me} />`;
}

function Signed({ me }) {
  const [first, ...rest] = usePath();
  const part = PARTS.find(([path]) => path === first);
  return html`
    <${Header} me=${me} path=${first} />
    <${Banners} />
    <main id="main">
      ${first === "ticker" ? html`<${Ticker} key=${rest[0]} ticker=${rest[0]} />` : html`<${part ? part[2] : Overview} rest=${rest} />`}
    </main>
    <footer>Times are of your clock's zone. Yahoo's data, for personal use. <a href="/api/docs">API</a></footer>`;
}

function Header({ me, path }) {
  return html`
    <a class="skip" href="#main">Skip to content</a>
    <header class="top">
      <a class="brand" href="#/"><img src="/dashboard/icon.svg" alt="" width="22" height="22" /> tickerd</a>
      <nav aria-label="Parts">
        ${PARTS.map(([to, name]) => html`<a href=${`#/${to}`} aria-current=${path === to ? "page" : null}>${name}</a>`)}
      </nav>
      <${Market} />
      <${Search} />
      <${Menu} me=${me} />
    </header>`;
}

function Market() {
  const { value, at } = usePolled(() => ask("/market").then((told) => {
    change({ offsetMs: new Date(told.at).getTime() - Date.now() });
    return told;
  }), 30_000);
  const now = useNow();
  if (!value) return html`<div class="market">…</div>`;
  const { market, next_change: next } = value;
  const left = next ? (new Date(next.at).getTime() - now) / 1000 : null;
  const overdue = left !== null && left < -60;
  return html`<div class="market" title=${market.reason || ""} aria-live="off">
    <span class=${`dot ${market.state === "open" ? "good" : "idle"}`}></span>
    <b>Market ${market.state}</b>
    <small>${next ? (overdue ? `as of ${clock(at)}` : `${next.to === "open" ? "opens" : "closes"} in ${duration(left)}`) : market.reason}</small>
  </div>`;
}

function Search() {
  const [found, set] = useState([]);
  const input = useRef(null);
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== "/" || /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) return;
      event.preventDefault();
      input.current.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);
  const look = async (event) => {
    const text = event.target.value.trim();
    const told = text ? await ask(`/universe?limit=12&search=${encodeURIComponent(text)}`).catch(() => ({ data: [] })) : { data: [] };
    if (input.current?.value.trim() === text) set(told.data);
  };
  const go = (event) => {
    event.preventDefault();
    const text = input.current.value.trim().toUpperCase();
    if (!text) return;
    location.hash = `#/ticker/${encodeURIComponent(text)}`;
    input.current.value = "";
    set([]);
    input.current.blur();
  };
  return html`<form class="search" role="search" onSubmit=${go}>
    <input ref=${input} onInput=${look} list="found" placeholder="Ticker or company  ( / )" aria-label="Ticker or company" autocomplete="off" maxlength="60" />
    <datalist id="found">${found.map((row) => html`<option value=${row.ticker}>${row.company_name || ""}</option>`)}</datalist>
  </form>`;
}

function Menu({ me }) {
  const out = async () => {
    await ask("/auth/logout", { method: "POST" }).catch(() => null);
    who.csrf = null;
    leave();
  };
  return html`<div class="menu">
    <button class="quiet" onClick=${turnTheme} title="Light or dark" aria-label="Light or dark">◐</button>
    ${me.user_id !== null && html`<button class="quiet" onClick=${out} title=${`Signed in as ${me.user}, ${me.role}`}>Sign out</button>`}
  </div>`;
}

function Banners() {
  const { isUp, lostAt, orchestrator } = useTold();
  useNow();
  const alerts = (orchestrator?.reachable && orchestrator.alerts) || [];
  return html`<div class="banners" aria-live="assertive">
    ${!isUp && html`<p class="banner bad"><b>Connection lost since ${clock(lostAt)}.</b> The figures below are as of then; their ages go on. Trying again …</p>`}
    ${isUp && orchestrator && !orchestrator.reachable && html`<p class="banner bad"><b>The orchestrator does not answer.</b>
      What is below comes from the database; nothing can be started or stopped here until it runs again: <code>tickerd run</code>, or its service.</p>`}
    ${alerts.map((alert) => html`<p class="banner warn"><b>${alert.process || "tickerd"}</b> ${alert.text}
      ${alert.since && html` <small>since ${clock(alert.since)}</small>`}
      ${alert.process && may("control") && html` <a href="#/activity">Look at its log</a>`}</p>`)}
  </div>`;
}

function SignIn() {
  const [error, set] = useState("");
  const enter = async (event) => {
    event.preventDefault();
    const { user, password } = Object.fromEntries(new FormData(event.target));
    try {
      entered(await signIn(user, password));
    } catch (refused) {
      set(refused.message);
    }
  };
  return html`<main class="gate"><form onSubmit=${enter} class="panel">
    <h1><img src="/dashboard/icon.svg" alt="" width="28" height="28" /> tickerd</h1>
    <label>Name or e-mail<input name="user" autocomplete="username" required autofocus /></label>
    <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
    <button>Sign in</button>
    <p class="error" role="alert">${error}</p>
    <p class="hint">The first start has made the user <code>admin</code>; its one-time password is in the file
      <code>admin_password</code> of the state folder.</p>
  </form></main>`;
}

function NewPassword({ me }) {
  const [error, set] = useState("");
  const enter = async (event) => {
    event.preventDefault();
    const { old, password, again } = Object.fromEntries(new FormData(event.target));
    if (password !== again) return set("the two new passwords differ");
    try {
      await ask("/auth/password", { method: "POST", body: { old, new: password } });
      entered(await whoAmI());
    } catch (refused) {
      set(refused.message);
    }
  };
  return html`<main class="gate"><form onSubmit=${enter} class="panel">
    <h1>A password of your own, ${me.user}</h1>
    <p class="hint">The one-time password serves once.</p>
    <label>One-time password<input name="old" type="password" autocomplete="current-password" required autofocus /></label>
    <label>New password<input name="password" type="password" autocomplete="new-password" required /></label>
    <label>Once more<input name="again" type="password" autocomplete="new-password" required /></label>
    <button>Set it</button>
    <p class="error" role="alert">${error}</p>
  </form></main>`;
}

function turnTheme() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = localStorage.theme = dark ? "light" : "dark";
  dispatchEvent(new Event("themechange"));
}

if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme;
document.getElementById("page").replaceChildren();
render(html`<${Page} />`, document.getElementById("page"));
begin();
