// Numbers and times as a person reads them. Reads no clock: the moment is an argument.

const NONE = "–";

export function whole(value) {
  return value === null || value === undefined ? NONE : Math.round(value).toLocaleString("en-US");
}

export function money(value) {
  if (value === null || value === undefined) return NONE;
  const digits = Math.abs(value) < 1 ? 4 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function short(value) {
  if (value === null || value === undefined) return NONE;
  const [size, unit] = [[1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " k"]].find(([size]) => Math.abs(value) >= size) || [1, ""];
  return (value / size).toLocaleString("en-US", { maximumSignificantDigits: 4 }) + unit;
}

export function signed(value, unit = "") {
  if (value === null || value === undefined) return NONE;
  return (value > 0 ? "+" : "") + value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) + unit;
}

export function percent(share, digits = 1) {
  return share === null || share === undefined ? NONE : `${(100 * share).toFixed(digits)} %`;
}

// Seconds as the two largest units that matter: 41 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => s >= size);
  const [size, unit] = units[first];
  const rest = Math.floor((s % size) / units[first + 1][0]);
  return `${Math.floor(s / size)} ${unit}` + (rest ? ` ${rest} ${units[first + 1][1]}` : "");
}

export function clock(time) {
  return time ? new Date(time).toLocaleTimeString("en-GB") : NONE;
}

export function dayAndClock(time) {
  if (!time) return NONE;
  const date = new Date(time);
  const day = date.toLocaleDateString("en-CA");
  return day === new Date().toLocaleDateString("en-CA") ? clock(time) : `${day} ${clock(time)}`;
}

export function ageOf(time, now) {
  return time ? duration((now - new Date(time).getTime()) / 1000) : "never";
}
