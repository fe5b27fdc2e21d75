"use strict";
const report = JSON.parse(document.getElementById("report").textContent);
const WIDTH = 1100, LEFT = 78, RIGHT = 14, TOP = 28, HEAT = 320, SHOWN = 15, LEVELS = 9;

// ---- elements: text is only ever set as text
function make(space, tag, attributes, children) {
  const made = space ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  for (const child of children.flat(9)) if (child !== null && child !== undefined) made.append(child);
  return made;
}
const html = (tag, attributes, ...children) => make(false, tag, attributes, children);
const svg = (tag, attributes, ...children) => make(true, tag, attributes, children);

// ---- numbers as people read them
const count = (n) => n === null || n === undefined ? "" : Math.round(n).toLocaleString("en-US");
const percent = (x) => x === null || x === undefined ? "" : (100 * x).toFixed((x > 0 && x < 0.001) || (x < 1 && x > 0.9994) ? 3 : 1) + " %";
const some = (n, one, many) => count(n) + " " + (n === 1 ? one : many || one + "s");
const when = (ms) => ms === null || ms === undefined ? "" : new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC");
function spent(ns) {
  if (ns === null || ns === undefined) return "";
  const [size, unit] = ns < 1e3 ? [1, "ns"] : ns < 1e6 ? [1e3, "µs"] : ns < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return Number((ns / size).toPrecision(3)).toLocaleString("en-US") + " " + unit;
}
function lasted(ms) {
  const s = ms / 1000;
  if (s < 120) return Number(s.toPrecision(3)) + " s";
  return s < 7200 ? (s / 60).toFixed(1) + " min" : s < 172800 ? (s / 3600).toFixed(1) + " h" : (s / 86400).toFixed(1) + " days";
}
function short(n) {
  const [size, unit] = n >= 1e9 ? [1e9, " G"] : n >= 1e6 ? [1e6, " M"] : n >= 1e4 ? [1e3, " k"] : [1, ""];
  return Number((n / size).toPrecision(4)).toLocaleString("en-US") + unit;
}

// ---- scales
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((digit) => digit * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}
const PERIODS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];
function timeTicks(low, high) {
  const span = (high - low) / 1000;
  if (span < 6) return ticks(0, span, 6).map((s) => [low + 1000 * s, "+" + s + " s"]);
  const period = 1000 * (PERIODS.find((s) => span / s <= 7) || span / 6), found = [];
  for (let at = Math.ceil(low / period) * period; at <= high; at += period) {
    const text = new Date(at).toISOString();
    found.push([at, period >= 86400000 ? text.slice(0, 10) : period >= 60000 ? text.slice(5, 16).replace("T", " ") : text.slice(11, 19)]);
  }
  return found;
}
function axisScale(axis) {
  const span = axis.high - axis.low + (axis.kind === "step" ? 1 : 0) || 1;
  const marks = axis.kind === "time" ? timeTicks(axis.low, axis.high)
    : ticks(axis.low, axis.high, 8).filter(Number.isInteger).map((step) => [step, count(step)]);
  return {
    label: axis.kind === "time" ? "time (UTC)" : "step", marks, bins: axis.bins,
    share: (value) => (value - axis.low) / span,
    value: (bin) => axis.low + span * bin / axis.bins,
    text: (bin) => axis.kind === "time" ? when(axis.low + span * bin / axis.bins) : "step " + count(Math.floor(axis.low + span * bin / axis.bins)),
  };
}

// ---- a plot: frame, grid and labels; x is a share of its width, y a share of its height
function plot(name, height, options, draw) {
  const bottom = 40, top = TOP, width = options.width || WIDTH, inner = width - LEFT - RIGHT;
  const x = (share) => LEFT + share * inner, y = (share) => top + (1 - share) * height;
  const parts = [];
  for (const [share, label] of options.y)
    parts.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
      svg("text", { x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, label));
  for (const [share, label] of options.x)
    parts.push(svg("line", { class: "axis", x1: x(share), x2: x(share), y1: y(0), y2: y(0) + 5 }),
      svg("text", { x: x(share), y: y(0) + 19, "text-anchor": "middle" }, label));
  parts.push(svg("text", { x: LEFT + inner / 2, y: y(0) + 36, "text-anchor": "middle" }, options.xLabel),
    svg("text", { x: LEFT - 66, y: 11 }, options.yLabel));
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height + top + bottom}`, role: "img", "aria-label": options.about, id: name },
    parts, draw(x, y, inner));
  return drawn;
}
const xOf = (scale) => scale.marks.map(([value, label]) => [scale.share(value), label]);
const figure = (drawn, ...caption) => html("figure", {}, drawn, html("figcaption", {}, ...caption));

function bars(name, values, options) {
  const most = Math.max(...values.map((one) => one.value), options.least || 0) || 1;
  const y = ticks(0, most, 4).map((value) => [value / most, options.format(value)]);
  return plot(name, options.height || 150, { ...options, y }, (px, py) => values.map((one) => {
    const left = px(one.from), width = Math.max(px(one.to) - left - (options.gap || 0), 0.5);
    const bar = { class: "bar", x: left, width, y: py(one.value / most), height: Math.max(py(0) - py(one.value / most), 0) };
    return svg("rect", bar, svg("title", {}, one.text));
  }));
}

function lines(name, scale, series, options) {
  const names = (px) => series.map((one, i) => [svg("circle", { class: "s" + i, cx: px(1) - 88 * (series.length - i) + 4, cy: 8, r: 4 }),
    svg("text", { x: px(1) - 88 * (series.length - i) + 13, y: 12 }, one.name)]);
  return plot(name, options.height || 170, { ...options, x: xOf(scale), xLabel: scale.label }, (px, py) => [names(px), series.map((one, i) => {
    const points = one.values.map((value, bin) => value === null ? null : [px((bin + 0.5) / scale.bins), py(options.share(value)), value, bin]);
    const dots = points.filter((point, bin) => point && (one.dots || (!points[bin - 1] && !points[bin + 1]))).map(([x, y, value, bin]) =>
      svg("circle", { class: "s" + i, cx: x, cy: y, r: one.dots ? 2 : 2.5 }, svg("title", {}, `${one.name}, ${scale.text(bin)}: ${options.format(value)}`)));
    let path = "";
    points.forEach((point, bin) => { if (point) path += (points[bin - 1] ? "L" : "M") + point[0].toFixed(1) + " " + point[1].toFixed(1); });
    return [one.dots ? null : svg("path", { class: "line s" + i, d: path }, svg("title", {}, one.name)), dots];
  })]);
}

// ---- tables: searched and sorted; what is not shown is counted
function table(name, columns, rows, options) {
  let sorted = rows.slice(), by = null, down = true, limit = SHOWN, sought = "";
  const head = html("tr"), body = html("tbody"), told = html("span", { class: "quiet", role: "status" });
  const more = html("button", { class: "more", type: "button", onclick: () => { limit = Infinity; fill(); } });
  function fill() {
    const found = sought ? sorted.filter((row) => columns.some((c) => c.search && c.search(row).toLowerCase().includes(sought))) : sorted;
    body.replaceChildren(...found.slice(0, limit).map((row) => html("tr", {}, columns.map((c) =>
      html("td", { class: c.number && "number" }, c.cell ? c.cell(row) : c.text(row))))));
    told.textContent = found.length === rows.length ? some(rows.length, options.one, options.many) : `${count(found.length)} of ${some(rows.length, options.one, options.many)}`;
    more.hidden = found.length <= limit;
    more.textContent = `Show all ${count(found.length)}`;
    columns.forEach((c, i) => head.children[i].setAttribute("aria-sort", by !== c ? "none" : down ? "descending" : "ascending"));
  }
  function sort(column) {
    [by, down] = [column, by === column ? !down : !!column.number];
    const value = column.sort || column.text, sign = down ? -1 : 1;
    sorted = rows.slice().sort((a, b) => { const [x, y] = [value(a), value(b)]; return sign * (x === y ? 0 : x === null ? -1 : y === null ? 1 : x < y ? -1 : 1); });
    fill();
  }
  for (const column of columns)
    head.append(html("th", { class: column.number && "number", scope: "col" },
      html("button", { type: "button", onclick: () => sort(column), title: column.about }, column.name)));
  const search = options.search && html("input", {
    type: "search", placeholder: options.search, "aria-label": options.search,
    oninput: (event) => { sought = event.target.value.trim().toLowerCase(); fill(); },
  });
  fill();
  return html("div", { id: name }, html("div", { class: "tools" }, search || null, told),
    html("div", { class: "scroll" }, html("table", {}, html("thead", {}, head), body)), more);
}
const text = (name, of, about) => ({ name, text: of, search: of, about });
const number = (name, of, format = count, about = null) => ({ name, number: true, sort: of, text: (row) => format(of(row)), about });

// ---- sections
const section = (name, title, ...children) => html("section", { id: name, "aria-label": title }, html("h2", {}, title), children);
const cards = (...all) => html("dl", { class: "cards" }, all.filter(Boolean).map(([name, value, note, bad]) =>
  html("div", { class: bad ? "card bad" : "card", "data-name": name }, html("dt", {}, name), html("dd", {}, value, note ? html("small", {}, note) : null))));
const place = (part, source, contig, start) => (part.facts.sources.length > 1 ? part.facts.sources[source].name + ": " : "") + contig + (start === null ? "" : ` from base ${count(start)}`);

function headOf(part) {
  const of = part.size_known ? "of " + count(part.size) : "up to window " + count(part.size - 1);
  const notes = [...report.notes, ...part.notes];
  return section("head", "What was read: " + part.split,
    cards(["windows read", count(part.reads), "repeats are counted"],
      ["different windows", count(part.read), `${percent(part.read / part.size)} ${of}`],
      part.rows && ["different rows", count(part.rows.read), `${count(part.rows.low)} to ${count(part.rows.high)}`],
      part.axis.kind === "step" && ["steps", count(part.steps), `${count(part.axis.low)} to ${count(part.axis.high)}`],
      ["ranks", count(part.ranks.length), part.ranks.slice(0, 8).join(", ") + (part.ranks.length > 8 ? ", …" : "")],
      part.span ? ["time", lasted(part.span[1] - part.span[0]), "from " + when(part.span[0])] : null,
      ["started", some(part.sessions, "time"), "groups of processes that read at one time"]),
    notes.length ? html("ul", { class: "notes" }, notes.map((note) => html("li", {}, note))) : null);
}

function coverageOf(part) {
  const { times, along, more, most } = part.coverage, last = times.length ? times[times.length - 1][0] : 0;
  const often = times.map(([n, windows]) => ({ value: windows, from: n / (last + 1) + 0.1 / (last + 1), to: (n + 0.9) / (last + 1), text: `read ${some(n, "time")}: ${some(windows, "window")}` }));
  const stretches = along.map(([at, share, mean], i) => ({ value: share, from: at / part.size, to: (i + 1 < along.length ? along[i + 1][0] : part.size) / part.size, text: `from window ${count(at)}: ${percent(share)} of the windows read, ${mean.toFixed(2)} times on average` }));
  const labels = ticks(0, last, 10).filter(Number.isInteger).map((n) => [(n + 0.5) / (last + 1), count(n)]);
  const size = part.size, sources = part.order.sources;
  const places = sources.length > 1 ? sources.map((one) => [one.first / size, one.name]) : ticks(0, size, 6).map((at) => [at / size, short(at)]);
  return section("coverage", "Coverage",
    figure(bars("along", stretches, { x: places, xLabel: "window of the index", yLabel: "windows read", format: percent, least: 1, height: 110, about: "Share of the windows that were read, along the index" }),
      "Share of the windows that were read, along the index. Point at a bar for how often."),
    figure(bars("times", often, { x: labels, xLabel: "times read", yLabel: "windows", format: short, height: 120, about: "How many windows were read how often" }),
      "How many windows were read how often. ", more ? `${some(more, "window")} read more often, up to ${count(most)} times, are not drawn.` : ""));
}

function orderOf(part) {
  const scale = axisScale(part.axis), { cells, rows, width, following, sources, begins } = part.order;
  const met = cells.filter((n) => n).sort((a, b) => a - b), cap = Math.max(met[Math.floor(met.length * 0.995)] || 1, 2 * (met[met.length >> 1] || 0));
  const readout = html("span", { class: "quiet", id: "readout" });
  const size = part.size, edge = (row) => Math.min(row * width, size) / size, marks = ticks(0, size, 5).map((at) => [at / size, short(at)]);
  const drawn = plot("heat", HEAT, { x: xOf(scale), xLabel: scale.label, y: marks, yLabel: "window of the index", about: "How often windows were read, by " + scale.label + " and place in the index" }, (px, py, inner) => {
    const paths = new Array(LEVELS).fill(""), w = inner / scale.bins;
    cells.forEach((n, i) => {
      if (!n) return;
      const level = Math.min(LEVELS - 1, Math.floor(n / cap * LEVELS * 0.999));
      const left = px(Math.floor(i / rows) / scale.bins).toFixed(2), low = py(edge(i % rows)).toFixed(2), high = py(edge(i % rows + 1)).toFixed(2);
      paths[level] += `M${left} ${high}h${w.toFixed(2)}V${low}h${(-w).toFixed(2)}z`;
    });
    return [svg("g", { class: "heat" }, paths.map((d, level) => svg("path", { d, "fill-opacity": ((level + 1) / LEVELS).toFixed(2), "data-level": level }))),
      sources.slice(1).map((one) => svg("line", { class: "axis", x1: px(0), x2: px(1), y1: py(one.first / size), y2: py(one.first / size) })),
      sources.length > 1 ? sources.map((one) => svg("text", { x: px(0) + 6, y: py(one.first / size) - 5 }, one.name)) : null,
      begins.map((at) => svg("line", { class: "mark", x1: px(scale.share(at)), x2: px(scale.share(at)), y1: py(1) - 6, y2: py(0) }, svg("title", {}, "processes were started here")))];
  });
  drawn.addEventListener("mousemove", (event) => {
    const box = drawn.getBoundingClientRect(), zoom = WIDTH / box.width;
    const column = Math.floor(((event.clientX - box.left) * zoom - LEFT) / (WIDTH - LEFT - RIGHT) * scale.bins);
    const row = Math.floor((1 - ((event.clientY - box.top) * zoom - TOP) / HEAT) * size / width);
    const inside = column >= 0 && column < scale.bins && row >= 0 && row < rows;
    readout.textContent = inside ? ` ${scale.text(column)}, windows ${count(row * width)} to ${count(Math.min((row + 1) * width, size) - 1)}: ${some(cells[column * rows + row], "read")}.` : "";
  });
  return section("order", "Order",
    figure(drawn, "Where in the index the windows lie that were read, over " + scale.label + ": stronger cells hold more reads. A shuffled order is an even tint, ",
      "file order a diagonal; shuffled blocks show as dashes, a resume that reads again as a band twice as strong. Dashed lines: processes were started. ", readout),
    cards(["read in file order", percent(following), "windows that come right behind the one before them in the index"],
      ["strongest cell", count(Math.max(0, ...met)), `reads of ${some(width, "window")}`]));
}

function repeatsOf(part) {
  const { repeats, rows } = part, readings = (list) => list.map((one) => [one.step === null ? null : "step " + count(one.step), "rank " + one.rank, one.row === null ? null : "row " + count(one.row), one.step === null && one.time !== null ? when(one.time) : null].filter(Boolean).join(", ")).join("; ");
  const children = [cards(
    ["windows read too often", count(repeats.windows), repeats.windows ? some(repeats.reads, "read") + " too many" : "none more often than the others", repeats.windows > 0],
    rows && ["rows read again", count(rows.again), "by the same rank, or after a restart", rows.again > 0 && part.split === "train"],
    rows && ["rows on two ranks", count(rows.overlaps), "at one time; should be none", rows.overlaps > 0],
    rows && ["rows missing", count(rows.missing), rows.missing ? `${count(rows.at_ends)} of them at the end of an epoch` : "between the first and the last", rows.missing > rows.at_ends])];
  if (repeats.listed.length) children.push(html("h3", {}, "Windows read more often than others of their epoch"),
    table("repeated", [number("window", (r) => r.window), text("contig", (r) => place(part, r.source, r.contig, r.start)), part.epochs_known ? number("epoch", (r) => r.epoch) : null, number("times", (r) => r.times), number("usual", (r) => r.usual), text("read at", (r) => readings(r.readings))].filter(Boolean),
      repeats.listed, { one: "window", search: "Search windows" }),
    repeats.windows > repeats.listed.length ? html("p", { class: "quiet" }, `The ${count(repeats.listed.length)} read most often, of ${count(repeats.windows)}.`) : null);
  if (rows && rows.overlapping.length) children.push(html("h3", {}, "Rows that two ranks read"),
    table("overlapping", [number("row", (r) => r.row), text("read at", (r) => readings(r.readings))], rows.overlapping, { one: "row" }),
    rows.overlaps > rows.overlapping.length ? html("p", { class: "quiet" }, `The first ${count(rows.overlapping.length)} of ${count(rows.overlaps)}.`) : null);
  if (rows && rows.ranges.length) children.push(html("h3", {}, "Rows that nobody read"),
    table("missing", [number("from row", (r) => r[0]), number("to row", (r) => r[1] - 1), number("rows", (r) => r[1] - r[0]), text("", (r) => r[2] ? "end of an epoch: a last global batch that is not full is left out" : "")], rows.ranges, { one: "range" }),
    html("p", { class: "quiet" }, rows.gaps > rows.ranges.length ? `The ${count(rows.ranges.length)} longest of ${count(rows.gaps)} ranges. ` : "",
      "Rows that were left out on purpose (skip_rows, excluded contigs), and those of a rank whose log is not here, count as missing."));
  return section("repeats", "Repeats and gaps", children);
}

function fillOf(part) {
  if (!part.fill) return null;
  const { over, least, shares, mean, rows } = part.fill, scale = axisScale(part.axis);
  const y = [0, 0.25, 0.5, 0.75, 1].map((share) => [share, percent(share)]);
  const histogram = shares.map((n, i) => ({ value: n, from: i / shares.length, to: (i + 1) / shares.length, text: `${percent(i / shares.length)} to ${percent((i + 1) / shares.length)} full: ${some(n, "row")}` }));
  return section("fill", "Fill", cards(["tokens used", percent(mean), `of ${count(part.facts.seq_length)} a row, ${some(rows, "row")}`]),
    html("div", { class: "split" },
      figure(lines("fillOver", scale, [{ name: "mean", values: over }, { name: "emptiest row", values: least }], { width: 540, y, share: (v) => v, format: percent, yLabel: "tokens used", about: "Tokens used a row over time" }), "Tokens used, of those in a row: the mean, and the emptiest row of each stretch."),
      figure(bars("fillShares", histogram, { width: 540, x: [0, 0.25, 0.5, 0.75, 1].map((s) => [s, percent(s)]), xLabel: "tokens used", yLabel: "rows", format: short, height: 170, about: "Rows by the tokens that they use" }), "Rows by the share of their tokens that is used.")));
}

function waitsOf(part) {
  const real = part.waits !== null, found = part.waits || part.gaps;
  if (!found) return null;
  const scale = axisScale(part.axis), values = [...found.over.filter(Boolean).map((q) => q[0]), found.max].filter((ns) => ns > 0);
  const low = Math.floor(Math.log10(Math.min(...values, 1e9))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(found.max, 10))));
  const y = []; for (let power = low; power <= high; power++) y.push([(power - low) / (high - low), spent(10 ** power)]);
  const share = (ns) => Math.max(0, (Math.log10(Math.max(ns, 1)) - low) / (high - low)), [p50, p95, p99] = found.quantiles;
  const series = [{ name: "p50", values: found.over.map((q) => q && q[0]) }, { name: "p95", values: found.over.map((q) => q && q[1]) }, { name: "longest", values: found.most, dots: true }];
  const title = real ? "Waits" : "Gaps between batches";
  return section("waits", title,
    html("p", {}, real ? "What the loop waited for each batch." : "The time from one batch to the next of a process, since the logs do not say how long the loop waited: the loop's own work is part of it."),
    cards(["p50", spent(p50)], ["p95", spent(p95)], ["p99", spent(p99)], ["longest", spent(found.max)], ["batches", count(found.count), "mean " + spent(found.mean)]),
    figure(lines("waitsOver", scale, series, { y, share, format: spent, yLabel: real ? "wait" : "gap", about: title + " over time" }), "Over " + (scale.label === "step" ? "steps" : scale.label) + ", on a log scale: p50, p95 and the longest of each stretch. Quantiles are to within 0.5 %."),
    html("h3", {}, real ? "Slowest batches" : "Longest gaps"),
    table("slowest", [number(real ? "wait" : "gap", (r) => r.wait, spent), number("step", (r) => r.step < 0 ? null : r.step), number("rank", (r) => r.rank), text("handed out", (r) => when(r.time))], found.slowest, { one: "batch", many: "batches" }));
}

function strip(stretches, most) {
  const width = 180 / stretches.length;
  return svg("svg", { viewBox: "0 0 180 14", preserveAspectRatio: "none", role: "img", "aria-label": "coverage along the contig" },
    svg("rect", { class: "ground", width: 180, height: 14 }),
    stretches.map((mean, i) => mean ? svg("rect", { x: i * width, width: width, height: 14, "fill-opacity": Math.max(0.12, Math.min(1, mean / most)).toFixed(2) }, svg("title", {}, mean + " times on average")) : null));
}

function contigsOf(part) {
  const { all, read, rows } = part.contigs, bases = rows.some((row) => row.bases !== null);
  const most = Math.max(1, ...rows.map((row) => Math.max(...row.stretches)));
  const left = all - rows.length;
  const columns = [
    text("contig", (r) => place(part, r.source, r.contig, null)), number("windows", (r) => r.windows), number("read", (r) => r.read, count, "different windows that were read"),
    number("share", (r) => r.read / r.windows, percent), number("times", (r) => r.reads / r.windows, (n) => n.toFixed(2), "reads a window"),
    bases ? number("bases", (r) => r.bases) : null, bases ? number("in windows read", (r) => r.bases === null ? null : r.bases_read / r.bases, percent, "share of the bases that lie in windows that were read") : null,
    { name: "along the contig", text: () => "", sort: (r) => r.reads, cell: (r) => strip(r.stretches, most) }].filter(Boolean);
  return section("contigs", "Contigs",
    html("p", {}, part.indexed ? `${count(read)} of ${some(all, "contig")} of the index were read.` : `${some(all, "contig")} were read; those that never were are not known.`,
      left > 0 ? ` Listed are the ${count(rows.filter((row) => row.reads).length)} read most and the ${count(rows.filter((row) => !row.reads).length)} largest never read; ${some(left, "further one")} are left out.` : ""),
    table("contigTable", columns, rows, { one: "contig", search: "Search contigs" }));
}

function samplesOf(part) {
  const { all, read, rows } = part.samples, known = rows.some((r) => r.windows !== null), bases = rows.some((r) => r.bases !== null);
  const columns = [
    text("sample", (r) => r.sample || "(no sample in the id)"), known ? number("contigs", (r) => r.contigs) : null, known ? number("contigs read", (r) => r.contigs_read) : null,
    known ? number("windows", (r) => r.windows) : null, number("read", (r) => r.read, count, "different windows that were read"), known ? number("share", (r) => r.read / r.windows, percent) : null,
    number("reads", (r) => r.reads), known ? number("times", (r) => r.reads / r.windows, (n) => n.toFixed(2), "reads a window") : null,
    bases ? number("bases", (r) => r.bases) : null, bases ? number("in windows read", (r) => r.bases === null ? null : r.bases_read / r.bases, percent) : null].filter(Boolean);
  return section("samples", "Samples",
    html("p", {}, known ? `${count(read)} of ${some(all, "sample")} were read.` : `${some(all, "sample")} were read; those that never were are not known.`,
      all > rows.length ? ` Listed are the ${count(rows.length)} read most.` : ""),
    table("sampleTable", columns, rows, { one: "sample", search: "Search samples" }));
}

function filesOf(part) {
  const { all, rows } = part.files;
  return section("files", "Files", all > rows.length ? html("p", {}, `The first ${count(rows.length)} of ${count(all)}.`) : null,
    table("fileTable", [text("file", (r) => r.name), number("rank", (r) => r.rank), number("data-parallel rank", (r) => r.data_parallel_rank), number("start", (r) => r.session + 1, count, "number of the group of processes that read at one time"),
      number("windows", (r) => r.lines), number("from step", (r) => r.steps && r.steps[0]), number("to step", (r) => r.steps && r.steps[1]), text("from (UTC)", (r) => r.span ? when(r.span[0]).slice(5, 19) : ""),
      text("to (UTC)", (r) => r.span ? when(r.span[1]).slice(5, 19) : ""), text("", (r) => r.peer_of === null ? "" : "not counted: a peer of rank " + r.peer_of)], rows, { one: "file", search: all > 10 ? "Search files" : null }));
}

function show(part) {
  document.getElementById("main").replaceChildren(...[headOf, coverageOf, orderOf, repeatsOf, fillOf, waitsOf, samplesOf, contigsOf, filesOf].map((draw) => draw(part)).filter(Boolean));
  for (const [button, of] of choices) button.setAttribute("aria-pressed", of === part);
}
document.getElementById("about").textContent = `Windows in the order in which training read them. Made ${report.made.replace("T", " ").replace("+00:00", " UTC")}.`;
const choices = new Map();
for (const part of report.parts) {
  const button = html("button", { type: "button", onclick: () => show(part) }, `${part.split}: ${some(part.reads, "window")}` + (part.facts.seed === null ? "" : `, seed ${part.facts.seed}`));
  choices.set(button, part);
}
if (choices.size > 1) document.getElementById("parts").append(...choices.keys());
show(report.parts[0]);
