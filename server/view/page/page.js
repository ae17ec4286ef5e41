// Draws a run from api/status, api/series, api/samples and api/events, which it
// asks again and again. What comes from peers becomes text, never markup.
"use strict";

const kMostRows = 50;     // of a table of peers
const kWorst = 20;        // peers that a crowd's table shows
const kLate = 5;          // seconds after which an awaited peer is slow
const kPoints = 400;      // asked of each curve

const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

// ---- building --------------------------------------------------------------

function build(namespace, tag, attributes, children) {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const html = (tag, attributes, ...children) =>
  build("http://www.w3.org/1999/xhtml", tag, attributes, children);
const svg = (tag, attributes, ...children) =>
  build("http://www.w3.org/2000/svg", tag, attributes, children);

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

// ---- words -----------------------------------------------------------------

const counts = new Intl.NumberFormat("en-US");
const count = (n) => counts.format(n);
const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

function number(value) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1);
  if (size >= 100) return count(Math.round(value));
  return String(Number(value.toPrecision(3)));
}
function bytes(value) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  return `${unit ? Number(value.toPrecision(3)) : Math.round(value)} ${units[unit]}`;
}
function duration(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 999.5e-6) return `${Number((seconds * 1e6).toPrecision(3))} µs`;
  if (seconds < .9995) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
// A round on an axis: 12k.
function short(n) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (n >= size) return `${Number((n / size).toPrecision(3))}${letter}`;
  return String(n);
}
function clock(seconds) {
  const time = new Date(seconds * 1000);
  const pad = (n) => String(n).padStart(2, "0");
  const hours = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
  return time.toDateString() === new Date().toDateString() ? hours :
    `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} ${hours}`;
}

// ---- tables ----------------------------------------------------------------

// `columns`: [heading, class]; a cell is text or a node.
function table(caption, columns, rows) {
  const head = html("tr", {}, ...columns.map(([name, kind]) =>
    html("th", { scope: "col", class: kind }, name)));
  const body = rows.map((row) => html("tr", {}, ...row.map((cell, i) =>
    html("td", { class: columns[i][1] }, cell))));
  return html("table", {}, html("caption", { class: "unseen" }, caption),
    html("thead", {}, head), html("tbody", {}, ...body));
}

// Put in place of what is there only where it differs: a reader's place in it
// and a selection stay.
function place(node, made) {
  const old = node.firstElementChild;
  if (old && old.isEqualNode(made)) return;
  node.replaceChildren(made);
}

// ---- charts ----------------------------------------------------------------

const W = 340, H = 170, kLeft = 54, kRight = 10, kTop = 8, kBottom = 22;
const round1 = (x) => Math.round(x * 10) / 10;

function ticks(low, high, most) {
  const raw = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  const first = Math.ceil(low / step - 1e-9);
  // Counted: of a very large number t + step may be t.
  for (let i = 0; i <= most + 1; ++i) {
    const t = (first + i) * step;
    if (!(t <= high + step * 1e-9)) break;
    found.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  }
  return found;
}

// The values' range; of means alone, so that one wild round does not flatten
// all the others.
function extent(lines) {
  let low = Infinity, high = -Infinity;
  for (const line of lines)
    for (const value of line.mean)
      if (value !== null) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  return low > high ? null : [low, high];
}

class Chart {
  // `format` tells a value; with `stacked`, lines are put upon each other.
  constructor(id, title, format, { stacked = false, log = false, zero = false } = {}) {
    Object.assign(this, { id, title, format, stacked, log, zero });
    this.heading = html("h3", { id: `${id}-title` }, title);
    this.legend = html("ul", { class: "legend" });
    this.plot = svg("svg", { class: "plot", viewBox: `0 0 ${W} ${H}`, role: "img" });
    this.tableBox = html("div", { class: "scroll", role: "region", tabindex: 0,
      "aria-label": `Table: ${title}` });
    this.details = html("details", {}, html("summary", {}, `Table: ${title}`), this.tableBox);
    this.details.addEventListener("toggle", () => this.drawTable());
    this.figure = html("figure", { role: "group", "aria-labelledby": `${id}-title` },
      this.heading, this.legend, this.plot, this.details);
    this.plot.addEventListener("pointermove", (e) => this.point(e));
    this.plot.addEventListener("pointerleave", () => this.unpoint());
  }

  // `lines`: [{name, mean, min, max}] of as many values as `rounds`.
  draw(rounds, lines) {
    const version = JSON.stringify([rounds.length, rounds.at(-1), rounds[0],
      lines.map((l) => [l.name, l.mean.at(-1), l.mean.at(0), l.mean.length])]);
    if (version === this.version) return;
    Object.assign(this, { version, rounds, lines });
    this.tops = this.stacked ? this.stack(lines) : null;
    this.scale();
    this.drawPlot();
    this.drawLegend(rounds.length - 1);
    this.drawTable();
  }

  stack(lines) {
    let below = this.rounds.map(() => 0);
    return lines.map((line) => {
      const top = below.map((b, i) => b + Math.max(0, line.mean[i] ?? 0));
      const area = { low: below, high: top };
      below = top;
      return area;
    });
  }

  scale() {
    let [low, high] = (this.stacked
      ? [0, Math.max(...this.tops.at(-1).high)] : extent(this.lines)) || [0, 1];
    this.logs = this.log && low > 0 && high / low > 30;
    if (this.logs) [low, high] = [Math.log10(low), Math.log10(high)];
    else if (this.zero || (low > 0 && low < high / 3)) low = Math.min(0, low);
    if (high === low) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) * .1, high + Math.abs(high) * .1];
    const room = (high - low) * .05;
    if (low !== 0) low -= room;
    high += room;
    const first = this.rounds[0], last = this.rounds.at(-1);
    const begin = this.stacked || this.rounds.length === 1 ? first : Math.min(first, 0);
    const width = Math.max(1, last - begin);
    this.x = (round) => round1(kLeft + (round - begin) / width * (W - kLeft - kRight));
    const y = (v) => kTop + (high - v) / (high - low) * (H - kTop - kBottom);
    this.y = (value) => round1(Math.min(H, Math.max(-H, y(this.logs
      ? Math.log10(Math.max(value, 1e-30)) : value))));
    this.range = [low, high, begin, last];
  }

  drawPlot() {
    const [low, high, begin, last] = this.range;
    const clip = `${this.id}-clip`;
    const parts = [svg("title", {}, this.summary()),
      svg("clipPath", { id: clip }, svg("rect", { x: kLeft, y: kTop - 2,
        width: W - kLeft - kRight + 3, height: H - kTop - kBottom + 4 }))];
    const levels = this.logs && high - low > 1.2
      ? ticks(Math.ceil(low), Math.floor(high), 4).filter(Number.isInteger)
      : this.levels(low, high);
    for (const level of levels) {
      const value = this.logs ? 10 ** level : level;
      const y = this.y(value);
      parts.push(svg("line", { class: "grid", x1: kLeft, x2: W - kRight, y1: y, y2: y }),
        svg("text", { x: kLeft - 5, y: y + 3.5, "text-anchor": "end" }, this.format(value)));
    }
    for (const round of ticks(begin, last, 4)) {
      if (!Number.isInteger(round)) continue;
      const x = this.x(round);
      parts.push(svg("text", { x, y: H - 6, "text-anchor": x > W - 30 ? "end" : x < kLeft + 8 ? "start" : "middle" },
        short(round)));
    }
    const inside = svg("g", { "clip-path": `url(#${clip})` });
    this.lines.forEach((line, i) => inside.append(...this.shapes(line, i)));
    this.cursor = svg("line", { class: "cursor", y1: kTop, y2: H - kBottom, visibility: "hidden" });
    this.plot.replaceChildren(...parts, inside, this.cursor);
  }

  // Bytes have their round numbers in powers of 1024.
  levels(low, high) {
    const unit = this.format === bytes
      ? 1024 ** Math.max(0, Math.floor(Math.log(high) / Math.log(1024))) : 1;
    return ticks(low / unit, high / unit, 4).map((level) => level * unit);
  }

  shapes(line, i) {
    if (this.stacked) {
      const { low, high } = this.tops[i];
      return [svg("path", { class: `area c${i % 6}`, d: this.between(low, high) })];
    }
    const shapes = [];
    if (line.min) shapes.push(svg("path", { class: `band c${i % 6}`, d: this.between(line.min, line.max) }));
    const known = line.mean.filter((v) => v !== null).length;
    shapes.push(svg("path", { class: `curve c${i % 6} d${i % 3}`, d: this.path(line.mean) }));
    if (known <= 40)
      this.rounds.forEach((round, k) => {
        if (line.mean[k] !== null)
          shapes.push(svg("circle", { class: `dot c${i % 6}`, cx: this.x(round), cy: this.y(line.mean[k]), r: 2.2 }));
      });
    return shapes;
  }

  path(values) {
    let d = "";
    values.forEach((value, i) => {
      if (value !== null) d += `${d ? "L" : "M"}${this.x(this.rounds[i])} ${this.y(value)}`;
    });
    return d;
  }

  between(low, high) {
    const at = [...this.rounds.keys()].filter((i) => low[i] !== null && high[i] !== null);
    if (at.length < 2) return "";
    const point = (values) => (i) => `${this.x(this.rounds[i])} ${this.y(values[i])}`;
    return `M${at.map(point(high)).join("L")}L${at.reverse().map(point(low)).join("L")}Z`;
  }

  newest(line, upTo) {
    for (let i = upTo; i >= 0; --i) if (line.mean[i] !== null) return line.mean[i];
    return null;
  }

  summary() {
    const last = this.rounds.length - 1;
    const now = this.lines.map((l) => `${l.name} ${this.format(this.newest(l, last))}`);
    return `${this.title}, up to round ${count(this.rounds[last])}: now ${now.join(", ")}`;
  }

  drawLegend(at) {
    const items = this.lines.map((line, i) => {
      const mark = this.stacked
        ? svg("rect", { width: 10, height: 10, y: 1 })
        : svg("line", { class: `curve c${i % 6} d${i % 3}`, x1: 0, x2: 20, y1: 6, y2: 6 });
      const size = this.stacked ? 10 : 20;
      return html("li", {}, svg("svg", { class: `key c${i % 6}`, width: size, height: 12, "aria-hidden": "true" }, mark),
        `${line.name} `, html("b", {}, this.format(this.newest(line, at))));
    });
    const where = at < this.rounds.length - 1
      ? [html("li", {}, `at round ${count(this.rounds[at])}`)] : [];
    this.legend.replaceChildren(...items, ...where);
  }

  drawTable() {
    if (!this.details.open || !this.rounds) return;
    const most = Math.min(this.rounds.length, 20);
    const picked = [];
    for (let i = 0; i < most; ++i)
      picked.push(most === 1 ? 0 : Math.round(i * (this.rounds.length - 1) / (most - 1)));
    place(this.tableBox, table(this.title,
      [["round", "n"], ...this.lines.map((l) => [l.name, "n"])],
      picked.map((i) => [count(this.rounds[i]), ...this.lines.map((l) => this.format(l.mean[i]))])));
  }

  point(event) {
    if (!this.rounds) return;
    const box = this.plot.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * W;
    let best = 0;
    this.rounds.forEach((round, i) => {
      if (Math.abs(this.x(round) - x) < Math.abs(this.x(this.rounds[best]) - x)) best = i;
    });
    this.cursor.setAttribute("x1", this.x(this.rounds[best]));
    this.cursor.setAttribute("x2", this.x(this.rounds[best]));
    this.cursor.setAttribute("visibility", "visible");
    this.drawLegend(best);
  }
  unpoint() {
    if (!this.rounds) return;
    this.cursor.setAttribute("visibility", "hidden");
    this.drawLegend(this.rounds.length - 1);
  }
}

const charts = new Map();
function chart(id, title, format, options, rounds, lines) {
  const usable = lines.filter((l) => l.mean && l.mean.some((v) => v !== null));
  if (!usable.length || !rounds.length) {  // the run has begun anew
    charts.get(id)?.figure.remove();
    charts.delete(id);
    return;
  }
  if (!charts.has(id)) {
    const made = new Chart(id, title, format, options);
    charts.set(id, made);
    byId("charts").append(made.figure);
  }
  charts.get(id).draw(rounds, usable);
}

const kMetricTitles = {
  frechet_inception_distance: "FID (lower is better)",
  kernel_inception_distance_mean: "KID (lower is better)",
  inception_score_mean: "Inception score (higher is better)",
  precision: "Precision and recall",
  recall: "Recall",
  class_distance: "Distance from the data's classes",
};

function drawSeries(series) {
  const { rounds, curves } = series.stats;
  const named = (name, key) => ({ name, ...curves[key] });
  show(byId("no-curves"), rounds.length === 0);
  chart("losses", "Losses", number, {}, rounds,
    [named("discriminators", "d_loss"), named("generator", "g_loss")]);
  for (const [file, { rounds: at, curves: found }] of Object.entries(series.metrics))
    for (const [key, title] of Object.entries(kMetricTitles)) {
      if (!found[key]) continue;
      if (key === "recall" && found.precision) continue;  // drawn with it
      const lines = key === "precision"
        ? [{ name: "precision", ...found.precision }, { name: "recall", ...found.recall }]
        : [{ name: file, ...found[key] }];
      if (found[`real_${key}`]) lines.push({ name: "real images", ...found[`real_${key}`] });
      chart(`metric-${file}-${key}`, title, number, { log: key.endsWith("distance") }, at, lines);
    }
  chart("feedback", "Norm of the merged feedback", number, { log: true }, rounds,
    [named("norm", "feedback_norm")]);
  chart("speed", "Rounds a second", number, { zero: true }, rounds,
    [named("rounds/s", "rounds_per_second")]);
  const phases = ["generate", "send", "wait", "merge", "step"];
  const all = phases.map((p) => named(p, `seconds.${p}`)).filter((l) => l.mean);
  if (all.length && curves.seconds_per_round)
    all.push({ name: "other", mean: curves.seconds_per_round.mean.map((v, i) =>
      v === null ? null : Math.max(0, v - all.reduce((s, l) => s + (l.mean[i] ?? 0), 0))) });
  chart("phases", "Seconds of a round, by phase", duration, { stacked: true }, rounds, all);
  const each = (key) => curves[key] && { mean: curves[key].mean.map((v, i) =>
    v === null || !curves.rounds || !curves.rounds.mean[i] ? null : v / curves.rounds.mean[i]) };
  chart("bytes", "Bytes a round", bytes, { zero: true }, rounds,
    [{ name: "sent", ...each("bytes_sent") }, { name: "received", ...each("bytes_received") },
      { name: "swapped", ...each("bytes_swapped") }]);
  chart("live", "Live peers", (v) => number(v), { zero: true }, rounds, [named("live", "peers")]);
}

// ---- pictures --------------------------------------------------------------

const album = { list: [], at: -1, follow: true, timer: null };

const source = (one) => `samples/${one.file}`;
const pictureText = (one) => `Generated images after round ${count(one.round)}`;

function showPicture(index) {
  const one = album.list[index];
  if (!one) return;
  album.at = index;
  const image = byId("picture");
  if (image.getAttribute("src") !== source(one)) image.setAttribute("src", source(one));
  image.alt = pictureText(one);
  say(byId("caption"), `Round ${count(one.round)}${index === album.list.length - 1 ? ", the newest" : ""}`);
  const slider = byId("slider");
  slider.value = index;
  slider.setAttribute("aria-valuetext", `round ${count(one.round)}`);
  for (const button of byId("strip").querySelectorAll("button"))
    button.setAttribute("aria-current", String(button.dataset.round === String(one.round)));
}

// Indices of at most nine pictures whose rounds are evenly apart by logarithms.
function strip(list) {
  const most = Math.min(9, list.length);
  const first = Math.log(Math.max(1, list[0].round)), last = Math.log(Math.max(1, list.at(-1).round));
  const found = new Set();
  for (let i = 0; i < most; ++i) {
    const aim = most === 1 ? last : first + (last - first) * i / (most - 1);
    const away = (k) => Math.abs(Math.log(Math.max(1, list[k].round)) - aim);
    let best = i === 0 ? 0 : -1;
    for (let k = 0; k < list.length; ++k)
      if (!found.has(k) && (best < 0 || away(k) < away(best))) best = k;
    found.add(best);
  }
  return [...found].sort((a, b) => a - b);
}

function drawPictures(samples) {
  const known = album.list.map((p) => p.round).join();
  if (samples.pictures.map((p) => p.round).join() === known) return;
  const shown = album.list[album.at];
  album.list = samples.pictures;
  const any = album.list.length > 0;
  show(byId("pictures"), any);
  show(byId("no-pictures"), !any);
  if (!any) return;
  byId("slider").max = album.list.length - 1;
  byId("strip").replaceChildren(...strip(album.list).map((index) => {
    const one = album.list[index];
    const button = html("button", { type: "button", "data-round": one.round },
      html("img", { src: source(one), alt: "", loading: "lazy" }),
      html("span", { class: "unseen" }, "Round "), short(one.round));
    button.addEventListener("click", () => {
      stop();
      choose(album.list.findIndex((p) => p.round === one.round));
    });
    return html("li", {}, button);
  }));
  const kept = shown ? album.list.findIndex((p) => p.round === shown.round) : -1;
  showPicture(album.follow || kept < 0 ? album.list.length - 1 : kept);
}

function choose(index) {
  album.follow = index === album.list.length - 1;
  showPicture(index);
}
function stop() {
  clearTimeout(album.timer);
  album.timer = null;
  byId("play").setAttribute("aria-pressed", "false");
  say(byId("play"), "Play");
}
// The next picture is shown once it is there.
function step() {
  if (album.at >= album.list.length - 1) return stop();
  const next = album.at + 1;
  const ahead = new Image();
  const pause = still.matches ? 1500 : Math.max(80, Math.min(500, 12000 / album.list.length));
  const go = () => {
    if (album.timer === null) return;
    choose(next);
    album.timer = setTimeout(step, pause);
  };
  ahead.onload = ahead.onerror = go;
  ahead.src = source(album.list[next]);
}
byId("play").addEventListener("click", () => {
  if (album.timer !== null) return stop();
  if (album.at >= album.list.length - 1) choose(0);
  byId("play").setAttribute("aria-pressed", "true");
  say(byId("play"), "Pause");
  album.timer = setTimeout(step, 300);
});
byId("newest").addEventListener("click", () => { stop(); choose(album.list.length - 1); });
byId("slider").addEventListener("input", (e) => { stop(); choose(Number(e.target.value)); });

// ---- peers -----------------------------------------------------------------

const kShapes = {
  live: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  slow: (x, y, r) => `M${x} ${y - r}L${x + r} ${y + r}L${x - r} ${y + r}Z`,
  copying: (x, y, r) => `M${x} ${y - r}L${x + r} ${y}L${x} ${y + r}L${x - r} ${y}Z`,
  absent: (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`,
};
const kStateWords = { live: "live", slow: "slow to answer", copying: "gets a discriminator", absent: "absent" };

function stateOf(peer) {
  if (peer.presence === "live") return (peer.owes ?? 0) > kLate ? "slow" : "live";
  return peer.presence === "copying" ? "copying" : "absent";
}
function mark(state, words) {
  const shape = svg("svg", { width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" },
    svg("path", { class: state, d: (kShapes[state] || kShapes.live)(6, 6, 4) }));
  return html("span", { class: "state" }, shape, words);
}

let peersShown = { all: [], troubles: new Map(), age: 0 };
let swapTargets = new Map();  // of the last swap, by source

const nameOf = (id) => peersShown.all.find((p) => p.id === id)?.name ?? `peer ${id}`;

const kUrgency = { absent: 0, slow: 1, copying: 2, live: 3 };
function worstFirst(peers) {
  return [...peers].sort((a, b) => kUrgency[stateOf(a)] - kUrgency[stateOf(b)] ||
    (b.owes ?? 0) - (a.owes ?? 0) || b.missed - a.missed || a.id - b.id);
}

function peersTable(caption, peers) {
  const { troubles, age } = peersShown;
  const columns = [["peer", "name"], ["state", "nowrap"], ["images", "n"],
    ["heard", "n"], ["answers in", "n"], ["95 % in", "n"], ["owes an answer", "n"],
    ["missed", "n"], ["late", "n"], ["lost", "n"], ["gave its D to", "name"],
    ["last fault", "w"]];
  return table(caption, columns, peers.map((peer) => {
    const trouble = troubles.get(peer.name);
    const since = (s) => s === null || s === undefined ? "–" : duration(Math.round(s + age));
    const state = stateOf(peer);
    return [html("bdi", {}, peer.name), mark(state, peer.exchanging ? `${kStateWords[state]}, swaps` : kStateWords[state]),
      count(peer.shard),
      since(peer.heard), duration(peer.answer_p50), duration(peer.answer_p95),
      since(peer.owes), count(peer.missed),
      count(trouble ? trouble.late : 0), count(trouble ? trouble.lost : 0),
      html("bdi", {}, swapTargets.has(peer.id) ? nameOf(swapTargets.get(peer.id)) : "–"),
      trouble ? `round ${count(trouble.fault.round ?? 0)}: ${trouble.fault.text || trouble.fault.event}` : "–"];
  }));
}

function drawHistogram(peers) {
  const timed = peers.filter((p) => p.answer_p50 > 0);
  const title = timed.length ? "Peers by the time within which half of their answers come"
    : "Peers by the rounds that went on without their answer";
  const values = timed.length ? timed.map((p) => p.answer_p50) : peers.map((p) => p.missed);
  const format = timed.length ? duration : (v) => short(Math.round(v));
  const positive = values.filter((v) => v > 0);
  say(byId("histogram-title"), title);
  const low = Math.log10(Math.min(...positive)), high = Math.log10(Math.max(...positive));
  const bins = positive.length ? Math.min(12, Math.max(1, Math.ceil((high - low) * 8) + 1)) : 0;
  const edge = (i) => 10 ** (low + (high - low) * i / bins);
  const found = [];
  if (values.length > positive.length) found.push(["0", values.length - positive.length]);
  for (let i = 0; i < bins; ++i) {
    const inside = positive.filter((v) => Math.min(bins - 1, Math.floor((Math.log10(v) - low) / (high - low || 1) * bins)) === i);
    found.push([bins === 1 ? format(edge(0)) : `${format(edge(i))} to ${format(edge(i + 1))}`, inside.length]);
  }
  const width = (W - kLeft - kRight) / Math.max(found.length, 1);
  const top = Math.max(...found.map(([, n]) => n), 1);
  const y = (n) => round1(kTop + (1 - n / top) * (H - kTop - kBottom));
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${W} ${H}`, role: "img" },
    svg("title", {}, `${title}: ${found.map(([name, n]) => `${name}: ${n}`).join("; ")}`),
    ...ticks(0, top, 4).filter(Number.isInteger).flatMap((n) => [
      svg("line", { class: "grid", x1: kLeft, x2: W - kRight, y1: y(n), y2: y(n) }),
      svg("text", { x: kLeft - 5, y: y(n) + 3.5, "text-anchor": "end" }, count(n))]),
    ...found.map(([, n], i) => svg("rect", { class: "bars", x: round1(kLeft + i * width + 1), y: y(n),
      width: round1(Math.max(1, width - 2)), height: round1(H - kBottom - y(n)) })),
    ...(found.length ? [svg("text", { x: kLeft, y: H - 6 }, found[0][0].split(" to ")[0]),
      svg("text", { x: W - kRight, y: H - 6, "text-anchor": "end" }, found.at(-1)[0].split(" to ").at(-1))] : []));
  const box = byId("histogram");
  if (!box.firstElementChild) {
    box.append(html("div", {}), html("details", {}, html("summary", {}, "Table of the histogram"),
      html("div", { class: "scroll" })));
  }
  place(box.firstElementChild, plot);
  place(box.querySelector("details > div"), table(title, [["value", ""], ["peers", "n"]],
    found.map(([name, n]) => [name, count(n)])));
}

function drawCells(peers) {
  const across = Math.max(10, Math.ceil(Math.sqrt(peers.length * 2)));
  const size = 10;
  const rows = Math.ceil(peers.length / across);
  const paths = { live: "", slow: "", copying: "", absent: "" };
  const number = { live: 0, slow: 0, copying: 0, absent: 0 };
  peers.forEach((peer, i) => {
    const state = stateOf(peer);
    paths[state] += kShapes[state]((i % across + .5) * size, (Math.floor(i / across) + .5) * size, 3.2);
    ++number[state];
  });
  const words = Object.keys(paths).filter((s) => number[s]).map((s) => `${count(number[s])} ${kStateWords[s]}`).join(", ");
  const title = byId("cells-title");
  if (title.dataset.words !== words) {
    title.dataset.words = words;
    title.replaceChildren("A shape for each, by number: ", ...Object.keys(paths).filter((s) => number[s])
      .flatMap((s) => [mark(s, `${count(number[s])} ${kStateWords[s]}`), " "]));
  }
  place(byId("cells"), svg("svg", { class: "plot", viewBox: `0 0 ${across * size} ${rows * size}`, role: "img" },
    svg("title", {}, `Peers: ${words}`),
    ...Object.entries(paths).filter(([, d]) => d).map(([state, d]) => svg("path", { class: state, d }))));
}

function drawPeers(answer) {
  const status = answer.status;
  const all = status && Array.isArray(status.peers) ? status.peers : [];
  peersShown = { all, troubles: new Map(answer.troubles || []),
    age: status ? Math.max(0, answer.now - status.updated) : 0 };
  show(byId("peers-table"), all.length > 0);
  show(byId("crowd"), all.length > kMostRows);
  if (all.length) {
    const found = {};
    for (const peer of all) found[stateOf(peer)] = (found[stateOf(peer)] || 0) + 1;
    say(byId("peers-words"), `${plural(all.length, "peer")}: ${Object.keys(kUrgency).filter((s) => found[s])
      .reverse().map((s) => `${count(found[s])} ${kStateWords[s]}`).join(", ")}. The worst come first.`);
  } else {
    say(byId("peers-words"), "No peer has come yet.");
  }
  if (all.length > kMostRows) {
    drawHistogram(all);
    drawCells(all);
  }
  drawPeerRows();
  const refused = status && status.refused || [];
  show(byId("refused"), refused.length > 0);
  place(byId("refused-table"), table("Refused peers",
    [["name", "name"], ["from", "nowrap"], ["times", "n"], ["last", "nowrap"], ["why", "w"]],
    refused.map((r) => [html("bdi", {}, r.name), r.address || "this process", count(r.times), clock(r.last), r.reason])));
}

function drawPeerRows() {
  const { all } = peersShown;
  const wanted = byId("search").value.trim().toLowerCase();
  let rows = worstFirst(all);
  let caption = "Peers, worst first";
  if (all.length > kMostRows) {
    if (wanted) rows = rows.filter((p) => p.name.toLowerCase().includes(wanted));
    const most = wanted ? kMostRows : kWorst;
    caption = wanted ? `${plural(rows.length, "peer")} found${rows.length > most ? `, of which ${most} are shown` : ""}`
      : `The ${kWorst} worst of ${count(rows.length)} peers`;
    rows = rows.slice(0, most);
  }
  byId("peers-table").setAttribute("aria-label", caption);
  if (all.length) place(byId("peers-table"), peersTable(caption, rows));
}
byId("search").addEventListener("input", drawPeerRows);

// ---- the last swap ---------------------------------------------------------

const kRing = { size: 320, radius: 104, named: 16 };

// Who gave its discriminator to whom; nothing where the event does not say.
function edgesOf(swap) {
  const { from, to } = swap || {};
  return Array.isArray(from) && Array.isArray(to) && from.length === to.length
    ? from.map((source, i) => [source, to[i]]).filter((e) => e.every(Number.isInteger)) : [];
}

function ringPlot(edges, words) {
  const ids = [...new Set(edges.flat())].sort((a, b) => a - b);
  const middle = kRing.size / 2;
  const spot = (id, radius) => {
    const angle = 2 * Math.PI * ids.indexOf(id) / ids.length - Math.PI / 2;
    return [round1(middle + radius * Math.cos(angle)), round1(middle + radius * Math.sin(angle))];
  };
  const arrow = ([source, target]) => {
    const [x1, y1] = spot(source, kRing.radius - 7), [x2, y2] = spot(target, kRing.radius - 9);
    const bent = (a, b) => round1(middle + ((a + b) / 2 - middle) * .6);
    return svg("path", { class: "arrow", d: `M${x1} ${y1}Q${bent(x1, x2)} ${bent(y1, y2)} ${x2} ${y2}`,
      "marker-end": "url(#arrowhead)" });
  };
  const name = (id) => {
    const [x, y] = spot(id, kRing.radius + 12);
    const side = x < middle - 20 ? "end" : x > middle + 20 ? "start" : "middle";
    const text = ids.length > kRing.named ? String(id) : nameOf(id);
    return svg("text", { x, y: y + 4, "text-anchor": side }, text.length > 12 ? `${text.slice(0, 11)}…` : text);
  };
  return svg("svg", { class: "plot ring", viewBox: `0 0 ${kRing.size} ${kRing.size}`, role: "img" },
    svg("title", {}, words),
    svg("defs", {}, svg("marker", { id: "arrowhead", viewBox: "0 0 8 8", refX: 7, refY: 4,
      markerWidth: 6, markerHeight: 6, orient: "auto" }, svg("path", { class: "live", d: "M0 0L8 4L0 8Z" }))),
    ...edges.map(arrow),
    ...ids.map((id) => { const [x, y] = spot(id, kRing.radius);
      return svg("circle", { class: "still", cx: x, cy: y, r: 4 }); }),
    ...ids.map(name));
}

function drawRing(swap) {
  const edges = edgesOf(swap);
  swapTargets = new Map(edges);
  show(byId("ring"), edges.length > 0);
  if (!edges.length) return;
  const words = `The last swap, after round ${count(swap.round ?? 0)}: who gave its discriminator to whom`;
  say(byId("ring-title"), words);
  place(byId("ring-plot"), ringPlot(edges, `${words}. ${plural(edges.length, "arrow")}; the table has their ends.`));
  place(byId("ring-table"), table(words, [["from", "name"], ["to", "name"]],
    edges.map((edge) => edge.map((id) => html("bdi", {}, nameOf(id))))));
}

// ---- events ----------------------------------------------------------------

const list = { limit: 20 };
byId("more").addEventListener("click", () => {
  list.limit = Math.min(1000, list.limit * 4);
  ask();
});

function drawEvents(answer) {
  const { events } = answer;
  const done = answer.counts.swap, aborted = answer.counts["swap aborted"];
  const last = events.find((e) => e.event === "swap" || e.event === "swap aborted");
  drawRing(answer.last_swap);
  say(byId("swaps"), done + aborted === 0 ? "None yet."
    : `${count(done)} done, ${count(aborted)} aborted.${last ? ` The last: ${last.text || last.event}.` : ""}`);
  show(byId("no-events"), events.length === 0);
  show(byId("events"), events.length > 0);
  show(byId("more"), events.length >= list.limit && list.limit < 1000);
  if (!events.length) return;
  place(byId("events"), table("Events, newest first",
    [["time", "nowrap"], ["round", "n"], ["event", "nowrap"], ["peer", "name"], ["what happened", "w"]],
    events.map((e) => [clock(e.time ?? 0), count(e.round ?? 0), e.event, html("bdi", {}, String(e.peer ?? "")),
      String(e.text ?? "")])));
}

// ---- how it goes -----------------------------------------------------------

// A file of another version may have anything in these places.
function plainStatus(status) {
  const named = (list) => Array.isArray(list)
    ? list.filter((one) => one && typeof one.name === "string") : [];
  return status && { ...status, peers: named(status.peers), refused: named(status.refused),
    waiting: typeof status.waiting === "string" ? status.waiting : null };
}

function drawStatus(answer) {
  const { status, sentence } = answer;
  const words = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  say(byId("sentence"), words);
  document.title = `${words.split(/[;:]/)[0]} – ${answer.run}`;
  say(byId("run"), `MD-GAN, run ${answer.run}`);
  // Numbers change all the time: only other words are read out.
  const plain = sentence.replace(/[\d.,]+ ?(s|min|h|d|ms)?\b/g, "").replace(/\s+/g, " ");
  if (drawStatus.plain !== plain) say(byId("live"), words);
  drawStatus.plain = plain;
  const state = !status || status.state === "finished" ? "still"
    : answer.server === "gone" ? "absent" : status.state === "training" ? "live" : "slow";
  if (byId("mark").dataset.state !== state) {
    byId("mark").dataset.state = state;
    byId("mark").replaceChildren(mark(state, ""));
  }
  const known = Boolean(status && status.rounds);
  show(byId("bar"), known);
  if (known) {
    const share = Math.min(100, status.round / status.rounds * 100);
    byId("done").style.width = `${share}%`;
    byId("bar").setAttribute("aria-valuenow", share.toFixed(1));
    byId("bar").setAttribute("aria-valuetext", `round ${count(status.round)} of ${count(status.rounds)}`);
  }
  const facts = [];
  if (status) {
    if (status.endpoint) facts.push(`peers connect to ${status.endpoint}`);
    if (status.rounds_per_second && !answer.over) facts.push(`${number(status.rounds_per_second)} rounds/s`);
    facts.push(status.checkpoint === null ? "no checkpoint yet" : `checkpoint of round ${count(status.checkpoint)}`);
    if (status.checkpoints_failed) facts.push(`${plural(status.checkpoints_failed, "checkpoint")} could not be written: is there room?`);
    if (status.insecure) facts.push("INSECURE: everybody who reaches it takes part");
  }
  const line = facts.join("; ");
  say(byId("facts"), line.charAt(0).toUpperCase() + line.slice(1));
  const waits = Boolean(status && status.waiting && !answer.over &&
    (status.state !== "training" || status.peers.some((p) => p.exchanging || (p.owes ?? 0) > kLate)));
  show(byId("waiting"), waits);
  if (waits) say(byId("waiting"), status.waiting.charAt(0).toUpperCase() + status.waiting.slice(1));
  drawPeers(answer);
}

// ---- asking ----------------------------------------------------------------

class NeedsToken extends Error {}

async function get(path) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), 15000);
  try {
    const response = await fetch(path, { signal: limit.signal, cache: "no-cache", credentials: "same-origin" });
    if (response.status === 401) throw new NeedsToken();
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return await response.json();
  } finally {
    clearTimeout(timer);
  }
}

const polling = { timer: null, busy: false, again: false, turn: 0, lost: null };

function showLogin(needed) {
  const changed = byId("login").hidden === needed;
  show(byId("login"), needed);
  show(byId("main"), !needed);
  if (needed && changed) {
    say(byId("sentence"), "Who asks?");
    byId("token").focus();
  }
}

async function ask() {
  if (polling.busy) {
    polling.again = true;
    return;
  }
  clearTimeout(polling.timer);
  polling.busy = true;
  let pause = 2000;
  try {
    const answer = await get("api/status");
    answer.status = plainStatus(answer.status);
    showLogin(false);
    drawStatus(answer);
    drawEvents(await get(`api/events?limit=${list.limit}`));
    if (polling.turn++ % 2 === 0) {
      drawPictures(await get("api/samples"));
      drawSeries(await get(`api/series?points=${kPoints}`));
    }
    if (answer.over) pause = 10000;
    polling.lost = null;
  } catch (error) {
    if (error instanceof NeedsToken) {
      showLogin(true);
      pause = 0;
    } else {
      polling.lost ??= Date.now() / 1000;
      say(byId("offline"), `The page has had no answer since ${clock(polling.lost)}: what is shown may be old. It asks again.`);
      pause = 4000;
    }
  }
  show(byId("offline"), polling.lost !== null);
  polling.busy = false;
  if (polling.again) {
    polling.again = false;
    ask();
  } else if (pause && !document.hidden) {
    polling.timer = setTimeout(ask, pause);
  }
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  // Headers take no other characters than these; no token has others.
  const token = field.value.trim().replace(/[^\x21-\x7e]/g, "?");
  try {
    const response = await fetch("api/login", { headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });
    say(byId("denied"), response.ok ? "" : "That is not the token.");
    if (!response.ok) return;
    field.value = "";
    ask();
  } catch {
    say(byId("denied"), "The server did not answer: try again.");
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && byId("login").hidden) ask();
});
ask();
