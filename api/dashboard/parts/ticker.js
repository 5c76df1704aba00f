// One ticker: its chart, and every field with its age and its source.

import { ask } from "../api.js";
import { ageOf, dayAndClock, money, percent, short, signed, whole } from "../format.js";
import { listenToQuote } from "../live.js";
import { useNow, usePolled, useTold } from "../state.js";
import { html, useEffect, useRef } from "../vendor/preact.js";
import { tone } from "./common.js";

const MONTHS_SHOWN = 6;
const SESSIONS = 500;
const GROUPS = [
  ["Price", "price", "price_source", ["current_price", "price_change", "price_change_percent", "price_time", "pre_market_price", "post_market_price"]],
  ["Metrics", "metrics", "Yahoo's list of quotes", ["open_price", "days_low", "days_high", "previous_close", "volume", "avg_volume_3mon", "bid_price", "bid_size", "ask_price", "ask_size",
    "week_52_low", "week_52_high", "market_cap", "shares_outstanding", "pe_ratio", "forward_pe", "earnings_per_share", "dividend_yield", "book_value", "price_to_book", "next_earnings_date"]],
  ["Daily", "daily", "Yahoo's page of the ticker", null],
];
const APART = ["ticker", "company_name", "exchange", "quote_type", "security_type", "sector", "industry", "is_listed", "currency", "market_state", "last_updated", "change_seq",
  "price_source", "id", "first_seen_date", "missing_since", "missing_sessions", "listed_by", "seen_by", "financial_currency", "country"];
const FRACTIONS = /yield|margin|payout|growth|return_on|held_by|percent_of_float/;
const SHARES = /volume|shares|employees|_size|count/;
const MONEY_IN_ALL = /market_cap|revenue_ttm|ebitda|cash|debt$|free_cash/;

export function Ticker({ ticker }) {
  const { quotes } = useTold();
  const asked = usePolled(() => ask(`/quotes/${encodeURIComponent(ticker)}`), 15_000);
  const known = asked.value?.ticker; // as the table writes it; what is no ticker would cost the page its stream
  useEffect(() => (known ? listenToQuote(known) : undefined), [known]);
  const now = useNow();
  if (asked.value === undefined) return html`<section class="panel"><h1>${ticker}</h1><p class="empty">${asked.error ? asked.error.message : "…"}</p></section>`;
  const quote = { ...asked.value, ...quotes[known] };
  const rest = Object.keys(quote).filter((key) => !APART.includes(key) && !/_updated_at$|_age_s$/.test(key) && !GROUPS.some(([, , , fields]) => fields?.includes(key)));
  return html`
    <section class="panel quote"><h1>${quote.ticker} <small>${quote.company_name || ""}</small></h1>
      <p class="price"><b>${money(quote.current_price)}</b> ${quote.currency || ""}
        <span class=${tone(quote.price_change)}>${signed(quote.price_change)} (${signed(quote.price_change_percent, " %")})</span>
        <small>last trade ${dayAndClock(quote.price_time)}, confirmed ${ageOf(quote.price_updated_at, now)} ago by ${quote.price_source || "nobody yet"}</small></p>
      <p class="facts">${[quote.exchange, quote.quote_type, quote.sector, quote.industry].filter(Boolean).join(" · ")}
        ${quote.is_listed === false && html` <b class="down">no longer listed</b>`}</p>
      <${Chart} ticker=${ticker} />
    </section>
    <div class="three">${GROUPS.map(([name, group, source, fields]) => html`<section class="panel"><h2>${name}
      <small>${quote[`${group}_updated_at`] ? `${ageOf(quote[`${group}_updated_at`], now)} old` : "never told"}${quote[`${group}_updated_at`] ? `, from ${quote[source] || source}` : ""}</small></h2>
      <dl>${(fields || rest).map((key) => html`<dt>${key.replaceAll("_", " ")}</dt><dd>${shown(key, quote[key])}</dd>`)}</dl></section>`)}</div>`;
}

function shown(key, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return /T\d\d:/.test(value) ? dayAndClock(value) : value;
  if (typeof value !== "number") return String(value);
  if (key === "price_change_percent") return signed(value, " %");
  if (FRACTIONS.test(key)) return percent(value, 2);
  if (MONEY_IN_ALL.test(key)) return short(value);
  return SHARES.test(key) ? whole(value) : money(value);
}

function Chart({ ticker }) {
  const told = usePolled(() => ask(`/quotes/${encodeURIComponent(ticker)}/history?limit=${SESSIONS}`), 0, [ticker]);
  const box = useRef(null);
  const bars = told.value?.data;
  useEffect(() => {
    if (!bars?.length) return undefined;
    let chart = null;
    let isGone = false;
    const draw = async () => {
      const library = await import("/dashboard/vendor/charts.js");
      if (isGone) return;
      chart?.remove();
      chart = drawn(library, box.current, [...bars].reverse());
    };
    draw();
    addEventListener("themechange", draw);
    return () => {
      isGone = true;
      removeEventListener("themechange", draw);
      chart?.remove();
    };
  }, [bars]);
  if (!bars) return html`<p class="empty">${told.error ? `No chart: ${told.error.message}` : "…"}</p>`;
  if (!bars.length) return html`<p class="empty">No daily bars yet: the daily refresh writes them.</p>`;
  return html`<div class="chart" ref=${box} role="img" aria-label=${`Daily bars of ${ticker} from ${bars.at(-1).session_date} to ${bars[0].session_date}, last close ${money(bars[0].close)}`}></div>
    <p class="hint">Daily bars, prices as traded. Charts by <a href="https://www.tradingview.com/" rel="noreferrer">TradingView</a> Lightweight Charts.</p>`;
}

function drawn({ createChart, CandlestickSeries, HistogramSeries }, box, bars) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const line = colour("--line");
  const chart = createChart(box, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: colour("--muted"), attributionLogo: false },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line },
  });
  const [up, down] = [colour("--good"), colour("--bad")];
  const candles = chart.addSeries(CandlestickSeries, { upColor: up, downColor: down, borderVisible: false, wickUpColor: up, wickDownColor: down });
  candles.setData(bars.map((bar) => ({ time: bar.session_date, open: bar.open, high: bar.high, low: bar.low, close: bar.close })));
  const volumes = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, color: colour("--cold") });
  volumes.setData(bars.map((bar) => ({ time: bar.session_date, value: bar.volume || 0 })));
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, bars.length - 21 * MONTHS_SHOWN), to: bars.length + 2 });
  return chart;
}
