// One WebSocket for everything that is live. It comes back by itself, and goes on after the last number it was told.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const QUIET_MS = 20_000; // a ping without an answer for so long: the line is dead, whatever the browser believes

export class Stream {
  // hear(message): each one told; turned(isUp, since): the line came or went.
  constructor(hear, turned) {
    Object.assign(this, { hear, turned, channels: {}, since: {}, waitMs: FIRST_WAIT_MS, heardAt: 0, isUp: null });
    this.ended = false;
    setInterval(() => this.#watch(), 5_000);
    addEventListener("online", () => this.#open());
    this.#open();
  }

  subscribe(channels) {
    Object.assign(this.channels, channels);
    this.#say(channels);
  }

  also(channel, name) {
    this.channels[channel] = [...(this.channels[channel] || []), name];
    this.#say({ [channel]: [name] });
  }

  no(channel, name) {
    this.channels[channel] = this.channels[channel].filter((each) => each !== name);
    if (!this.channels[channel].length) delete this.channels[channel];
    if (this.isUp) this.socket.send(JSON.stringify({ type: "unsubscribe", channels: { [channel]: [name] } }));
  }

  end() {
    this.ended = true;
    this.socket?.close();
  }

  #open() {
    if (this.ended || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = (this.socket = new WebSocket(`${scheme}://${location.host}/api/v1/stream`));
    socket.onopen = () => {
      [this.isUp, this.waitMs, this.heardAt] = [true, FIRST_WAIT_MS, Date.now()];
      this.turned(true);
      this.#say(this.channels);
    };
    socket.onmessage = (event) => {
      this.heardAt = Date.now();
      const told = JSON.parse(event.data);
      for (const message of Array.isArray(told) ? told : [told]) this.#take(message);
    };
    socket.onclose = () => socket === this.socket && this.#lost();
  }

  #take(message) {
    const channel = message.ch === "scan" ? message.scan_id : message.ch;
    if (message.seq) this.since[channel] = message.seq;
    if (message.ch) this.hear(message);
  }

  #say(channels) {
    if (!this.isUp || !Object.keys(channels).length) return;
    const named = [...Object.keys(channels), ...(channels.scan || [])]; // not each scan that was ever looked at
    const since = Object.fromEntries(named.filter((name) => name in this.since).map((name) => [name, this.since[name]]));
    this.socket.send(JSON.stringify({ type: "subscribe", channels, since }));
  }

  #lost() {
    this.socket = null;
    if (this.isUp !== false) this.turned(false); // null: it never was up
    this.isUp = false;
    setTimeout(() => this.#open(), this.waitMs * (0.5 + Math.random() / 2));
    this.waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.waitMs);
  }

  #watch() {
    if (!this.isUp) return;
    const quietMs = Date.now() - this.heardAt;
    if (quietMs > QUIET_MS) {
      const dead = this.socket;
      this.#lost();
      dead.close();
    } else if (quietMs > QUIET_MS / 2) {
      this.socket.send('{"type":"ping"}');
    }
  }
}
