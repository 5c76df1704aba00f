// Every listed ticker as one cell, sector by sector: its age or its change as a colour.

import { ask } from "../api.js";
import { clock, duration, signed } from "../format.js";
import { usePolled } from "../state.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { Told } from "./common.js";

const VIEWS = {
  price: "age of the price",
  metrics: "age of the metrics",
  daily: "age of the daily fields",
  change: "change of the day",
};
// Seconds up to which an age has each colour; each group is judged by its own rhythm.
const BOUNDS = { price: [60, 120, 300, 900], metrics: [600, 900, 1800, 3600], daily: [86_400, 4 * 86_400, 8 * 86_400, 32 * 86_400] };
const CHANGES = [-5, -2, -0.5, 0.5, 2, 5];
const HEAD_PX = 18;

export function MarketMap() {
  const told = usePolled(() => ask("/coverage/cells"), 15_000);
  const [view, setView] = useState("price");
  const legend = view === "change" ? changeLegend() : ageLegend(BOUNDS[view]);
  return html`<section class="panel"><h2>Every ticker <select aria-label="Colour by" value=${view} onChange=${(e) => setView(e.target.value)}>
      ${Object.entries(VIEWS).map(([key, words]) => html`<option value=${key}>${words}</option>`)}</select>
      <small>${told.at ? `as of ${clock(told.at)}` : ""}</small></h2>
    <ul class="legend">${legend.map(([look, words]) => html`<li><span class=${`cell ${look}`}></span>${words}</li>`)}</ul>
    <${Told} of=${told} show=${({ columns }) => html`<${Cells} columns=${columns} view=${view} />`} />
  </section>`;
}

function ageLegend(bounds) {
  const words = bounds.map((bound) => `up to ${duration(bound)}`);
  return [...words.map((word, i) => [`age${i}`, word]), ["age4", "older"], ["never", "never"]];
}

function changeLegend() {
  const words = ["< −5 %", "−5 to −2", "−2 to −0.5", "±0.5 %", "0.5 to 2", "2 to 5", "> 5 %"];
  return [...words.map((word, i) => [`change${i}`, word]), ["never", "not known"]];
}

function lookOf(columns, i, view) {
  if (view === "change") {
    const change = columns.price_change_percent[i];
    if (change === null) return "never";
    const at = CHANGES.findIndex((bound) => change < bound);
    return `change${at < 0 ? CHANGES.length : at}`;
  }
  const age = columns[`${view}_age_s`][i];
  if (age === null) return "never";
  const at = BOUNDS[view].findIndex((bound) => age <= bound);
  return `age${at < 0 ? 4 : at}`;
}

function bySector(columns) {
  const sectors = {};
  columns.ticker.forEach((_, i) => (sectors[columns.sector[i] || "Funds and others"] ||= []).push(i));
  return Object.entries(sectors).sort(([, a], [, b]) => b.length - a.length);
}

function place(sectors, widthPx) {
  const stepPx = widthPx < 600 ? 6 : 8;
  const across = Math.max(10, Math.floor(widthPx / stepPx));
  const blocks = [];
  let y = 0;
  for (const [name, tickers] of sectors) {
    blocks.push({ name, tickers, y });
    y += HEAD_PX + Math.ceil(tickers.length / across) * stepPx + 6;
  }
  return { blocks, across, stepPx, heightPx: y };
}

function Cells({ columns, view }) {
  const frame = useRef(null);
  const canvas = useRef(null);
  const [widthPx, setWidth] = useState(0);
  const [pointed, point] = useState(null);
  const [theme, turn] = useState(0);
  const sectors = useMemo(() => bySector(columns), [columns]);
  const plan = useMemo(() => place(sectors, widthPx), [sectors, widthPx]);

  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(frame.current);
    const turned = () => turn((n) => n + 1);
    addEventListener("themechange", turned);
    return () => {
      watch.disconnect();
      removeEventListener("themechange", turned);
    };
  }, []);
  useEffect(() => widthPx && paint(canvas.current, columns, plan, view, widthPx), [columns, plan, view, widthPx, theme]);

  const at = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return cellAt(plan, event.clientX - box.left, event.clientY - box.top);
  };
  const move = (event) => {
    const i = at(event);
    const box = frame.current.getBoundingClientRect();
    point(i === null ? null : { i, x: event.clientX - box.left, y: event.clientY - box.top });
  };
  const open = (event) => {
    const i = at(event);
    if (i !== null) location.hash = `#/ticker/${encodeURIComponent(columns.ticker[i])}`;
  };
  return html`<div class="map" ref=${frame}>
    <canvas ref=${canvas} role="img" aria-label=${summary(columns, view)} onPointerMove=${move} onPointerLeave=${() => point(null)} onClick=${open}></canvas>
    ${pointed && html`<div class="tip" style=${{ left: `${Math.min(pointed.x + 12, widthPx - 210)}px`, top: `${pointed.y + 14}px` }}>
      <b>${columns.ticker[pointed.i]}</b> ${signed(columns.price_change_percent[pointed.i], " %")}<br />
      ${["price", "metrics", "daily"].map((group) => {
        const age = columns[`${group}_age_s`][pointed.i];
        return html`<small>${group}: ${age === null ? "never" : `${duration(age)} old`}</small><br />`;
      })}</div>`}
  </div>`;
}

function cellAt({ blocks, across, stepPx }, x, y) {
  const block = [...blocks].reverse().find((each) => y >= each.y + HEAD_PX);
  const column = Math.floor(x / stepPx);
  if (!block || column < 0 || column >= across) return null;
  const n = Math.floor((y - block.y - HEAD_PX) / stepPx) * across + column;
  return n < block.tickers.length ? block.tickers[n] : null;
}

function paint(canvas, columns, { blocks, across, stepPx, heightPx }, view, widthPx) {
  const sharp = devicePixelRatio || 1;
  [canvas.width, canvas.height] = [widthPx * sharp, heightPx * sharp];
  [canvas.style.width, canvas.style.height] = [`${widthPx}px`, `${heightPx}px`];
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  const style = getComputedStyle(canvas);
  const colours = {};
  const colour = (look) => (colours[look] ||= style.getPropertyValue(`--${look}`));
  pen.font = "12px system-ui, sans-serif";
  for (const { name, tickers, y } of blocks) {
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.fillText(`${name}  ${tickers.length.toLocaleString("en-US")}`, 0, y + 12);
    tickers.forEach((i, n) => {
      pen.fillStyle = colour(lookOf(columns, i, view));
      pen.fillRect((n % across) * stepPx, y + HEAD_PX + Math.floor(n / across) * stepPx, stepPx - 1, stepPx - 1);
    });
  }
}

function summary(columns, view) {
  const counts = {};
  columns.ticker.forEach((_, i) => {
    const look = lookOf(columns, i, view);
    counts[look] = (counts[look] || 0) + 1;
  });
  const legend = Object.fromEntries(view === "change" ? changeLegend() : ageLegend(BOUNDS[view]));
  return `${VIEWS[view]}: ` + Object.entries(counts).map(([look, n]) => `${n} ${legend[look]}`).join(", ");
}
