// The viewer of neurons. Plain JavaScript, opened by double click: data come as scripts, which a page may add later.
// STUDY (data/study.js) says what there is; all else is loaded when it is needed. What is seen stands in the address.
"use strict";

const $ = id => document.getElementById(id);
const ROW = 28; // pixels of a line of the list
const KEPT = 300; // scripts of single neurons that are held at a time
const WORDS = 300; // words at most that `word*` stands for
const PLACES = 2 ** 21; // more than a network has neurons
const SATURATED = 10; // standard deviations from which on a colour grows no stronger

// ---- loading --------------------------------------------------------------------------------------------------------

const loading = new Map(), waiting = new Map(); // key -> promise; key -> what to call with the arrays

function load(key) {
  if (loading.has(key)) return loading.get(key);
  const file = `data/${key.split("/").map(encodeURIComponent).join("/")}.js`;
  loading.set(key, new Promise((resolve, reject) => {
    waiting.set(key, resolve);
    document.head.append(element("script", {src: file, onload() { this.remove(); }, onerror() {
      loading.delete(key);
      reject(new Error(`${file} cannot be read; keep the folder data beside this page, or run the study again.`));
    }}));
  }));
  const single = [...loading.keys()].filter(one => one.includes("/neurons/"));
  if (single.length > KEPT) loading.delete(single[0]);
  return loading.get(key);
}

function rosetta(key, about, data) { // every script calls this
  waiting.get(key)(decoded(about, data));
  waiting.delete(key);
}

const TYPES = {i1: Int8Array, u1: Uint8Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array};

async function decoded(about, data) {
  const stream = new Blob([fromBase64(data)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer(), found = {...about};
  let at = 0;
  for (const [name, type, length] of about.arrays) {
    found[name] = new TYPES[type](buffer, at, length);
    at += Math.ceil(found[name].byteLength / 4) * 4;
  }
  return found;
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

// ---- networks, neurons and columns ----------------------------------------------------------------------------------

const networks = new Map(STUDY.networks.map(net => [net.key, net]));
for (const net of STUDY.networks) {
  net.starts = net.widths.reduce((starts, width) => [...starts, starts.at(-1) + width], [0]);
  net.numberOf = new Map(net.columns.map((column, number) => [column.name, number]));
}

function layerOf(net, i) {
  let layer = 0;
  while (net.starts[layer + 1] <= i) layer++;
  return layer;
}

const nameOf = (net, i) => `L${layerOf(net, i)}/${i - net.starts[layerOf(net, i)]}`;

async function column(net, name) {
  const found = await load(`${net.key}/columns/${net.numberOf.get(name)}`), {values, texts} = found;
  found.text ??= texts ? i => texts[values[i]] ?? "" : i => shown(values[i]);
  return found;
}

function shown(value, digits = 3) { // a number for people
  if (Number.isNaN(value) || value === undefined) return "";
  const words = Number.isInteger(value) || Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(digits);
  return words.replace("-", "−");
}

// ---- formulas -------------------------------------------------------------------------------------------------------

// A formula becomes JavaScript token by token. Only what is listed here, numbers, quoted words and names of columns pass.
const SIGNS = {and: "&&", or: "||", "<=": "<=", ">=": ">=", "!=": "!==", "<": "<", ">": ">", "=": "===", "^": "**", "+": "+", "-": "-",
  "*": "*", "/": "/", "(": "(", ")": ")", ",": ",", abs: "Math.abs", sqrt: "Math.sqrt", log: "Math.log10", min: "Math.min", max: "Math.max"};

async function formula(text, net) { // a function of the number of a neuron; throws an Error that says what is wrong
  const words = [...net.numberOf.keys(), ...Object.keys(SIGNS)].sort((a, b) => b.length - a.length), parts = [], columns = [];
  for (let left = text.trim(); left;) { // names of columns may hold signs: the longest word that fits is taken
    const constant = /^((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|"[^"]*")/i.exec(left)?.[0];
    const word = words.find(one => left.startsWith(one) && !(/\w$/.test(one) && /^\w/.test(left.slice(one.length))));
    if (!constant && !word) throw new Error(`there is no column “${left.split(/\s/)[0]}”`);
    if (constant) parts.push(constant.startsWith('"') ? JSON.stringify(constant.slice(1, -1)) : Number(constant));
    else if (word in SIGNS) parts.push(SIGNS[word]);
    else {
      const {values, texts, text: inWords} = await column(net, word);
      parts.push(`columns[${columns.length}]${texts ? "(i)" : "[i]"}`);
      columns.push(texts ? inWords : values);
    }
    left = left.slice((constant ?? word).length).trimStart();
  }
  return new Function("columns", `return i => (${parts.join(" ")})`)(columns);
}

// ---- the address ----------------------------------------------------------------------------------------------------

// n: network, i: neuron, v: whose examples, s: sorted by, d: falling, c: columns; m, r, lo, hi, k, o, f: filters;
// x, y: scatter plot, b: what is selected there, q: search
const state = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

function address(changes) {
  const all = Object.entries({...state(), ...changes}).filter(([, value]) => value !== "" && value != null);
  return "#" + new URLSearchParams(all);
}

function go(changes, isNew = true) {
  if (address(changes) === location.hash) return;
  history[isNew ? "pushState" : "replaceState"](null, "", address(changes) || "#");
  show();
}

const linkTo = (net, i) => address({n: net.key, i, v: ""});

function here() { // the network of the address: by its key, or as the report calls it, by its name and a set of neurons in it
  const {n, r} = state(), isMeant = net => net.model === n && (!r || net.numberOf.has(`rosetta.${r}`));
  return networks.get(n) ?? STUDY.networks.find(isMeant) ?? STUDY.networks[0];
}

// ---- which neurons the list shows -----------------------------------------------------------------------------------

let listed = new Int32Array(0), plotted = null, sought = "";

async function chosen(net, at) { // numbers of neurons that pass all filters, sorted
  const tests = [], others = net.others.length;
  if (at.m) {
    const [name, least] = at.m.split(" "), {values} = await column(net, name);
    tests.push(i => values[i] >= Math.min(least, others));
  }
  if (at.k) tests.push(await includes(net, "kind", at.k));
  if (at.o) tests.push(await includes(net, "domain", at.o));
  if (at.r && net.numberOf.has(`rosetta.${at.r}`)) {
    const {values} = await column(net, `rosetta.${at.r}`);
    tests.push(i => values[i]);
  }
  const f = at.f && await checked("f", at.f, net);
  if (f) tests.push(f);
  sought = "";
  if (at.q) {
    const found = await search(net, at.q);
    sought = found.words;
    tests.push(i => found.neurons[i]);
  }
  const first = net.starts[Math.min(at.lo || 0, net.widths.length)];
  const stop = net.starts[Math.min(at.hi === undefined ? net.widths.length : Number(at.hi) + 1, net.widths.length)];
  let found = new Int32Array(Math.max(0, stop - first)), n = 0;
  for (let i = first; i < stop; i++) if (tests.every(test => test(i))) found[n++] = i;
  found = found.subarray(0, n);
  plotted = null;
  if ($("plot").open) {
    const [x, y] = [await checked("x", at.x ?? firstPlot(net).x, net), await checked("y", at.y ?? firstPlot(net).y, net)];
    if (x && y) plotted = {net, x, y, all: found};
    if (x && y && at.b) {
      const [x0, x1, y0, y1] = at.b.split(" ").map(Number);
      found = found.filter(i => x(i) >= x0 && x(i) <= x1 && y(i) >= y0 && y(i) <= y1);
    }
  }
  const {s, d} = sorting(net, at);
  return s === "neuron" ? (d ? found.reverse() : found) : sorted(found, await column(net, s), d);
}

async function includes(net, name, word) { // whose text holds this word among others
  const {values, texts} = await column(net, name), right = texts.map(text => text.split(", ").includes(word));
  return i => right[values[i]];
}

async function checked(name, text, net) { // a formula, or nothing and a sentence about what is wrong
  let wrong = "";
  const found = await formula(text, net).catch(error => { wrong = error.message; });
  document.querySelector(`[name=${name}]`).classList.toggle("wrong", wrong !== "");
  if (wrong) complain(`The formula ${text} cannot be read: ${wrong}.`);
  return found;
}

function sorting(net, at) {
  const first = net.others.length ? `r.${net.others[0].model}` : "neuron";
  const s = net.numberOf.has(at.s) || at.s === "neuron" ? at.s : first;
  return {s, d: at.s ? at.d === "1" : s !== "neuron"};
}

function sorted(numbers, {values, texts}, isFalling) { // by their values; those without one come last, equal ones in order
  const float = new Float32Array(1), bits = new Uint32Array(float.buffer), keys = new Float64Array(numbers.length);
  for (let j = 0; j < numbers.length; j++) { // the bits of a float in the order of floats, and the place beside them
    const value = values[numbers[j]], isMissing = texts ? value >= texts.length : Number.isNaN(value);
    float[0] = value;
    const key = bits[0] >>> 31 ? ~bits[0] : bits[0] | 0x80000000;
    keys[j] = (isMissing ? 0xffffffff : (isFalling ? ~key : key) >>> 0) * PLACES + j;
  }
  return Int32Array.from(keys.sort(), key => numbers[key % PLACES]);
}

// ---- search ---------------------------------------------------------------------------------------------------------

async function search(net, text) { // neurons by what they fire on, promote, prefer, or are called by the judge
  const neurons = new Uint8Array(net.neurons), said = [], wanted = text.trim().toLowerCase();
  const take = (found, words) => {
    for (const i of found) neurons[i] = 1;
    if (found.length) said.push(`${shown(new Set(found).size)} ${words}`);
  };
  take(await inIndex(`${net.key}/words/fires`, wanted), "fire on it");
  take(await inIndex(`${net.key}/words/promotes`, wanted), "promote it");
  take(await inTexts(net, "domain", one => one.toLowerCase() === wanted), "prefer this domain");
  take(await inTexts(net, "label", one => one.toLowerCase().includes(wanted)), "are so described by the judge");
  return {neurons, words: said.length ? said.join(", ") : `nothing is known of “${text}”`};
}

async function inTexts(net, name, fits) {
  const {values, texts} = await column(net, name), right = texts.map(fits);
  return right.includes(true) ? [...values.keys()].filter(i => right[values[i]]) : [];
}

async function inIndex(key, wanted) {
  const index = await load(key), found = [];
  index.list ??= new TextDecoder().decode(index.words).split("\n");
  index.ends ??= index.counts.reduce((ends, count) => (ends.push(ends.at(-1) + count), ends), [0]);
  const begins = wanted.endsWith("*") && wanted.slice(0, -1);
  const fits = begins ? word => word.startsWith(begins) : word => word === wanted;
  const words = [...index.list.keys()].filter(number => fits(index.list[number])).slice(0, WORDS);
  for (const word of words) for (let at = index.ends[word]; at < index.ends[word + 1];) {
    const part = Math.floor(at / index.part), stop = Math.min(index.ends[word + 1], (part + 1) * index.part);
    const {neurons} = await load(`${key}-${part}`);
    for (; at < stop; at++) found.push(neurons[at % index.part]);
  }
  return found;
}

// ---- the list -------------------------------------------------------------------------------------------------------

let cells = [], active = 0; // the columns shown; the line that the keyboard is on

function columnsOf(net, at) {
  const usual = ["matched", ...net.others.flatMap(({model}) => ["r", "null", "q"].map(name => `${name}.${model}`)),
    "activation_kurtosis", "unigram_text", "factor", "domain", "kind"];
  return (at.c ? at.c.split(" ") : usual).filter(name => net.numberOf.has(name));
}

const title = name => name.replaceAll("_", " ").replace(".", " · ");

async function showList(net, at, mine) {
  const names = columnsOf(net, at), {s, d} = sorting(net, at);
  const columns = await Promise.all(names.map(name => column(net, name)));
  const began = performance.now();
  const found = await chosen(net, at);
  if (mine !== turn) return; // something else was asked for meanwhile
  listed = found;
  document.body.dataset.milliseconds = (performance.now() - began).toFixed(1); // for who measures
  cells = names.map((name, k) => {
    const other = name.startsWith("partner.") && net.others.find(({model}) => name === `partner.${model}`);
    const of = other && networks.get(other.key), {values, text} = columns[k];
    return {name, isText: Boolean(columns[k].texts) || Boolean(other),
      text: of ? i => values[i] < 0 ? "" : nameOf(of, values[i]) : text};
  });
  const wide = cells.map(cell => cell.isText ? "minmax(7rem, 1.2fr)" : "minmax(6rem, 1fr)");
  $("table").style.setProperty("--grid", ["5.6rem", ...wide].join(" "));
  $("table").style.setProperty("--least", `${5.6 + 6.4 * cells.length}rem`);
  $("table").setAttribute("aria-rowcount", listed.length + 1);
  $("heads").replaceChildren(...[{name: "neuron", isText: true}, ...cells].map(({name, isText}) => {
    const sign = name === s ? (d ? " ▼" : " ▲") : "", head = element("div", {role: "columnheader", class: isText ? null : "n"});
    if (sign) head.setAttribute("aria-sort", d ? "descending" : "ascending");
    const about = net.columns[net.numberOf.get(name)]?.meaning ?? "layer and channel";
    head.append(element("button", {type: "button", title: about, onclick: () => go({s: name, d: name === s && d ? "0" : "1"})},
      title(name) + sign));
    return head;
  }));
  $("space").style.height = `${listed.length * ROW}px`;
  $("count").textContent = `${shown(listed.length)} of ${shown(net.neurons)} neurons${sought ? ` (${sought})` : ""}`;
  active = Math.max(0, Math.min(active, listed.length - 1));
  drawRows();
  drawPlot(at);
}

function drawRows() { // only the lines that are seen are in the page
  const net = here(), box = $("scroll"), first = Math.max(0, Math.floor(box.scrollTop / ROW) - 3);
  const stop = Math.min(listed.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 3), lines = [];
  for (let line = first; line < stop; line++) {
    const i = listed[line], row = element("div", {class: "line", role: "row", "aria-rowindex": line + 2});
    row.append(element("div", {role: "cell"}, element("a", {href: linkTo(net, i), "data-line": line}, nameOf(net, i))));
    for (const {isText, text} of cells) row.append(element("div", {role: "cell", class: isText ? null : "n", title: text(i)}, text(i)));
    lines.push(row);
  }
  $("rows").style.transform = `translateY(${first * ROW}px)`;
  const {line} = document.activeElement.dataset; // keeps the focus
  $("rows").replaceChildren(...lines);
  if (line) $("rows").querySelector(`[data-line="${line}"]`)?.focus({preventScroll: true});
}

function moveTo(line) {
  active = Math.max(0, Math.min(line, listed.length - 1));
  const box = $("scroll"), top = active * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  drawRows();
  box.querySelector(`[data-line="${active}"]`)?.focus({preventScroll: true});
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made[key] = value;
    else if (value != null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// ---- the scatter plot -----------------------------------------------------------------------------------------------

const firstPlot = net => ({x: net.others.length ? `r.${net.others[0].model}` : "depth", y: "log(activation_kurtosis + 3)"});
let frame = null; // the two axes

function axis(f, numbers, from, to) { // of the values of a formula, between two pixels
  let low = Infinity, high = -Infinity;
  for (const i of numbers) {
    const value = f(i);
    if (value < low && value > -Infinity) low = value;
    if (value > high && value < Infinity) high = value;
  }
  const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough)), ticks = [];
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= rough);
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(Number(tick.toPrecision(12)));
  const scale = (to - from) / (high - low || 1);
  return {ticks, pixel: value => from + (value - low) * scale, value: pixel => low + (pixel - from) / scale};
}

function drawPlot(at) {
  if (!plotted) return;
  const canvas = $("canvas"), {clientWidth: width, clientHeight: height} = canvas, {x, y, all} = plotted;
  const pen = canvas.getContext("2d"), looks = getComputedStyle(document.body);
  const across = axis(x, all, 56, width - 14), up = axis(y, all, height - 26, 12), counts = new Map();
  frame = {across, up};
  for (const i of all) {
    const place = Math.round(across.pixel(x(i))) * 4096 + Math.round(up.pixel(y(i)));
    if (Number.isFinite(place)) counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  Object.assign(canvas, {width: width * devicePixelRatio, height: height * devicePixelRatio});
  pen.scale(devicePixelRatio, devicePixelRatio);
  pen.fillStyle = looks.getPropertyValue("--dot");
  const size = counts.size > 20000 ? 1.5 : counts.size > 2000 ? 3 : 5;
  for (const [place, count] of counts) {
    pen.globalAlpha = Math.min(1, 0.5 + 0.15 * Math.log2(count));
    pen.fillRect(Math.floor(place / 4096) - size / 2, place % 4096 - size / 2, size, size);
  }
  pen.globalAlpha = 1;
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = pen.strokeStyle = looks.color;
  if (!counts.size) pen.fillText("No neuron of the list has both values.", 60, 40);
  pen.textAlign = "center";
  for (const tick of across.ticks) pen.fillText(shown(tick), across.pixel(tick), height - 6);
  pen.textAlign = "right";
  for (const tick of up.ticks) pen.fillText(shown(tick), 46, up.pixel(tick) + 4);
  if (!at.b) return;
  const [x0, x1, y0, y1] = at.b.split(" ").map(Number);
  pen.strokeRect(across.pixel(x0), up.pixel(y1), across.pixel(x1) - across.pixel(x0), up.pixel(y0) - up.pixel(y1));
}

// ---- one neuron -----------------------------------------------------------------------------------------------------

async function single(net, i) { // all that is known of a neuron
  const [part, text, {texts}, ...words] = await Promise.all([
    load(`${net.key}/neurons/${Math.floor(i / net.shard)}`), wholeText(net), load(`${net.key}/tokens`),
    ...["kind", "domain", "label", "unigram_text"].map(name => net.numberOf.has(name) ? column(net, name) : {text: () => ""})]);
  const row = i % net.shard, rows = Math.min(net.shard, net.neurons - i + row);
  const of = (array, size = array.length / rows) => array.subarray(row * size, (row + 1) * size);
  const codes = [part.codes0, ...net.others.map((_, k) => part[`codes${k + 1}`])].map(array => of(array));
  const numbers = Object.fromEntries(net.numbers.map((name, k) => [name, part.numbers[k * rows + row]]));
  const [kind, domain, label, word] = words.map(one => one.text(i)), token = of(part.tokens);
  const cosine = of(part.cosines), sides = {promoted: [], suppressed: []};
  token.forEach((code, k) => code >= 0 && sides[k < STUDY.tokens ? "promoted" : "suppressed"].push(
    {token: texts[code], cosine: cosine[k] / 127}));
  const examples = examplesOf(of(part.examples), codes, text);
  if (text.side) await Promise.all(examples.map(async example => {
    const {images} = await load(`${net.scope}/images/${Math.floor(example.passage / STUDY.images)}`);
    example.image = images[example.passage % STUDY.images];
  }));
  return {net, i, name: nameOf(net, i), numbers, kind, domain, label, word, ...sides, histogram: of(part.histogram), examples,
    side: text.side};
}

const zOf = code => Math.sign(code) * (code / STUDY.scale.steps) ** 2 * STUDY.scale.strongest;

async function wholeText(net) { // with the place of every unit in it
  const text = await load(`${net.scope}/text`);
  if (text.starts) return text;
  text.starts = new Int32Array(text.lengths.length + 1);
  text.lengths.forEach((length, unit) => { text.starts[unit + 1] = text.starts[unit] + length; });
  text.all = new TextDecoder().decode(text.text);
  return text;
}

function examplesOf(units, codes, text) { // by example: where it is, and the units around it with z in every network
  const sets = STUDY.sets.flatMap(set => Array(set.size).fill(set)), per = codes[0].length / units.length, found = [];
  units.forEach((unit, e) => {
    if (unit < 0) return;
    const passage = text.opens.findLastIndex(open => open <= unit), spans = [];
    const first = text.side ? text.opens[passage] : unit - STUDY.before; // of an image all patches are shown
    for (let w = 0; w < per; w++) {
      const here = first + w;
      if (codes[0][e * per + w] === STUDY.scale.none) continue;
      spans.push({text: text.all.slice(text.starts[here], text.starts[here + 1]), isCentre: here === unit,
        z: codes.map(one => one[e * per + w] === STUDY.scale.none ? NaN : zOf(one[e * per + w]))});
    }
    found.push({set: sets[e], unit, passage, domain: text.domains[text.domain[passage]], document: text.document[passage], spans});
  });
  return found;
}

function verdict(numbers, model) { // what the evidence says of a match, in a sentence; and whether it is one
  const at = name => numbers[`${name}.${model}`], r = shown(at("r")), strongest = at("null");
  if (Number.isNaN(at("r"))) return [false, "No partner: one of the neurons is constant."];
  if (!at("mutual")) return [false, `No match: its best partner (r = ${r}) has a better one than it.`];
  if (Number.isNaN(at("q"))) return [false, `Mutual best partners (r = ${r}), but no decoys competed for this neuron.`];
  const half = at("refound") === 2 ? "found again on both halves of the documents" : at("refound") === 1 ?
    "found again on one half of the documents" : "not found again on either half of the documents";
  if (at("q") > STUDY.level) return [false, `Mutual best partners (r = ${r}), but among decoys as many are as strong: ` +
    `q = ${shown(at("q"))}; ${half}.`];
  const beyond = at("r") > strongest ? "above" : "not above";
  return [true, `A match: mutual best partners, r = ${r}, ${beyond} the mean of every null (at most ${shown(strongest)}), ` +
    `q = ${shown(at("q"))}; ${half}.`];
}

function tableOf(heads, rows) { // heads: words; rows: element cells
  const head = heads.map(words => element("th", {scope: "col", class: /^(r|at most|value)$/.test(words) && "number"}, words));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

const numberCell = value => element("td", {class: "number"}, shown(value));

function evidence(one, {model, key}) {
  const at = name => one.numbers[`${name}.${model}`], [isMatch, words] = verdict(one.numbers, model), of = networks.get(key);
  const rows = [["its partner", at("r"), NaN, "own"], ["the same on the other half", at("heldout_r"), NaN, "own"],
    ...STUDY.nulls.map(({name, label, meaning}) => [label, at(name), at(`${name}_largest`), "", meaning])];
  const table = tableOf(["best partner in", "r", "at most", ""], rows.filter(row => !Number.isNaN(row[1])).map(
    ([label, r, most, own, meaning]) => element("tr", {title: meaning}, element("td", {}, label), numberCell(r), numberCell(most),
      element("td", {class: `bar ${own}`, style: `--share: ${100 * Math.max(0, Math.min(1, r))}%`}))));
  const name = `${model} ${partnerName(one, model)}`;
  const link = of && at("partner") >= 0 ? element("a", {href: linkTo(of, at("partner"))}, name) : name;
  return element("div", {class: "card"}, element("p", {}, element("span", {class: `badge ${isMatch ? "supported" : "quiet"}`},
    isMatch ? "match" : "no match"), " ", element("strong", {}, link)), element("p", {}, words), table,
  element("p", {class: "source"}, `Nulls: mean of the draws, then the largest. Margin over the next partner ${shown(at("margin"))}; ` +
    `excess over rotated neurons ${shown(at("excess"))}.`));
}

function partnerName(one, model) {
  const number = one.numbers[`partner.${model}`], of = networks.get(one.net.others.find(other => other.model === model).key);
  return number < 0 ? "none" : of ? nameOf(of, number) : `neuron ${number}`;
}

const opacity = z => (0.85 * Math.min(1, Math.sqrt(Math.abs(z || 0) / SATURATED))).toFixed(2);
const shade = z => z ? `background: rgba(var(--${z > 0 ? "more" : "less"}), ${opacity(z)})` : ""; // orange: above the mean; blue: below it
const colour = z => `fill="${z > 0 ? "#de8f05" : "#0173b2"}" fill-opacity="${opacity(z)}"`; // the same in an svg

function contexts(seen, names) { // of text: rows are examples, columns networks; of images: one after the other
  const box = seen.side ? [] : names.map(name => element("div", {class: "head"}, name));
  let set = null;
  for (const example of seen.side ? byImage(seen.examples) : seen.examples) {
    if (example.set !== set) box.push(element("div", {class: "set"}, (set = example.set).words));
    box.push(...(seen.side ? [pictures(example, names)] : names.map((name, k) => context(example, name, k))));
  }
  return box;
}

function context({spans, domain, document, unit}, name, k) { // a text, coloured by the kth network
  const text = element("p", {}, ...spans.map(({text, z, isCentre}) => element("span",
    {style: shade(z[k]), class: isCentre && "centre", title: Number.isNaN(z[k]) ? null : `z = ${shown(z[k], 2)}`},
    text.replaceAll("\n", "⏎"))));
  return element("div", {class: `context ${k ? "" : "first"}`, "data-network": name.split(" ")[0],
    title: `${domain}, document ${document}, unit ${unit}`},
  text, element("span", {class: "z"}, shown(spans.find(span => span.isCentre).z[k], 2)));
}

function histogram(one) { // as the text of an svg: units by z, and where the examples are
  const width = 640, height = 190, foot = 158, {steps, strongest} = STUDY.scale, px = value => value.toFixed(1);
  const counts = [...one.histogram].map(value => 2 ** (value / 16) - 1);
  const used = [...counts.keys()].filter(bin => counts[bin] >= 0.5);
  const binOf = z => (Math.sign(z) * Math.sqrt(Math.abs(z) / strongest) * steps + steps + 1) * STUDY.bins / (2 * steps + 2);
  const centres = one.examples.map(({spans}) => spans.find(span => span.isCentre).z[0]), bins = [...used, ...centres.map(binOf)];
  const low = Math.min(...bins) - 0.5, high = Math.max(...bins) + 1.5;
  const across = bin => 10 + (bin - low) / (high - low) * (width - 20), most = Math.log2(1 + Math.max(...counts));
  const bars = used.map(bin => {
    const tall = Math.log2(1 + counts[bin]) / most * (foot - 14);
    return `<rect x="${px(across(bin))}" y="${px(foot - tall)}" width="${px(across(bin + 1) - across(bin) - 1)}" ` +
      `height="${px(tall)}" fill="currentColor" fill-opacity="0.3"><title>${shown(Math.round(counts[bin]))} units</title></rect>`;
  });
  const marks = one.examples.map((e, k) => `<circle cx="${px(across(binOf(centres[k])))}" cy="${foot + 8}" r="3.2" ` +
    `fill="${e.set.colour}" fill-opacity="0.75"><title>${e.set.name}, z = ${shown(centres[k], 2)}</title></circle>`);
  const axis = [-25, -9, -4, -1, 0, 1, 2, 4, 9, 16, 25, 49, 100].filter(z => binOf(z) > low && binOf(z) < high).map(z =>
    `<text x="${px(across(binOf(z)))}" y="${height - 6}" font-size="12" text-anchor="middle" fill="currentColor">${shown(z)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" class="histogram" role="img" ` +
    `aria-label="Histogram of the activation of ${one.name}">${[...bars, ...marks, ...axis].join("")}</svg>`;
}

function metrics(one) {
  return tableOf(["metric", "value", "among all neurons", ""], STUDY.metrics.filter(name => one.net.quantiles[name]?.length).map(name => {
    const value = one.numbers[name], below = Math.min(100, one.net.quantiles[name].filter(q => q < value).length);
    const isKnown = !Number.isNaN(value), place = isKnown ? [element("i", {style: `left: ${below}%`})] : [];
    return element("tr", {title: one.net.columns[one.net.numberOf.get(name)].meaning}, element("td", {}, title(name)), numberCell(value),
      element("td", {}, element("div", {class: "place"}, ...place)), element("td", {class: "number"}, isKnown ? `above ${below}%` : ""));
  }));
}

const chips = list => list.map(({token, cosine}) => element("span", {title: `cosine ${shown(cosine, 2)}`,
  style: shade(cosine * SATURATED)}, token.trim() ? token : JSON.stringify(token)));

let opened = null; // the neuron that is shown, the one whose units are, and the heads of its columns

async function showNeuron(net, i, at) {
  const began = performance.now(), one = await single(net, i), of = networks.get(net.others.find(({model}) => model === at.v)?.key);
  const partner = of ? one.numbers[`partner.${at.v}`] : -1, seen = partner >= 0 ? await single(of, partner) : one;
  if (state().i !== at.i || here() !== net) return; // another one was asked for meanwhile
  const label = `${net.model} ${one.name}`;
  const heads = [`${seen.net.model} ${seen.name}`, ...seen.net.others.map(({model}) => `${model} ${partnerName(seen, model)}`)];
  opened = {one, seen, heads, label};
  const about = [one.kind, one.domain && `strongest in ${one.domain}`, one.word && `most explained by “${one.word}”`].filter(Boolean);
  $("name").textContent = label;
  $("about").textContent = `Layer ${layerOf(net, i)} of ${net.widths.length}${about.length ? `; ${about.join("; ")}` : ""}. ` +
    (one.label ? `Judge: ${one.label}` : "");
  fill($("whose"), [["", label], ...net.others.filter(({key}) => networks.has(key)).map(({model}) =>
    [model, `its best partner in ${model}`])], at.v);
  $("not-mutual").hidden = seen === one || heads.includes(label);
  $("not-mutual").textContent = `${heads[0]} has another best partner in ${net.model}, which stands beside it here.`;
  $("evidence").replaceChildren(...net.others.map(other => evidence(one, other)));
  $("contexts").style.setProperty("--networks", seen.side ? 0 : heads.length);
  $("contexts").replaceChildren(...contexts(seen, heads));
  $("histogram").innerHTML = histogram(one); // made of numbers and names of sets only
  for (const side of ["promoted", "suppressed"]) {
    $(side).replaceChildren(...chips(one[side]));
    $(side).previousElementSibling.hidden = !one[side].length; // networks that see promote no tokens
  }
  $("metrics").replaceChildren(metrics(one));
  document.body.dataset.milliseconds = (performance.now() - began).toFixed(1);
}

// ---- the page -------------------------------------------------------------------------------------------------------

function complain(sentence) {
  $("message").hidden = !sentence;
  $("message").textContent = sentence;
}

function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, words]) => element("option", {value: key}, words)));
  select.value = value ?? "";
}

async function fillFields(net, at) {
  const fields = $("filters").elements, others = net.others.length;
  const kinds = (await column(net, "kind")).texts.flatMap(text => text.split(", ")).filter(Boolean);
  $("network").value = net.key;
  if (document.activeElement !== $("search")) $("search").value = at.q ?? "";
  const counted = [["matched", `q ≤ ${STUDY.level}`], ["mutual", "at any q"]].flatMap(([name, words]) =>
    Array.from({length: others}, (_, k) => [`${name} ${k + 1}`, `${k + 1 < others ? "at least " : ""}${k + 1} of ${others}, ${words}`]));
  fill(fields.m, [["", "any number of networks"], ...counted], at.m);
  const sets = [...net.numberOf.keys()].filter(name => name.startsWith("rosetta.")).map(name => name.slice(8));
  fill(fields.r, [["", "any"], ...sets.map(name => [name, name.replace(".", ": ")])], at.r);
  fill(fields.k, [["", "any"], ...[...new Set(kinds)].sort().map(kind => [kind, kind])], at.k);
  fill(fields.o, [["", "any"], ...(await column(net, "domain")).texts.map(domain => [domain, domain])], at.o);
  for (const name of ["lo", "hi", "f"]) if (document.activeElement !== fields[name]) fields[name].value = at[name] ?? "";
  fields.lo.max = fields.hi.max = net.widths.length - 1;
  [fields.lo.placeholder, fields.hi.placeholder] = ["0", net.widths.length - 1];
  for (const name of ["x", "y"]) {
    const field = document.querySelector(`#plot [name=${name}]`);
    if (document.activeElement !== field) field.value = at[name] ?? firstPlot(net)[name];
  }
  const used = columnsOf(net, at);
  $("columns").replaceChildren(...net.columns.map(({name, meaning}) => element("label", {title: meaning}, element("input", {type: "checkbox",
    checked: used.includes(name), onchange: event => go({c: (event.target.checked ? [...used, name] :
      used.filter(one => one !== name)).join(" ")})}), ` ${title(name)}`)));
}

let turn = 0, shownFor = ""; // how often the address has changed; the filters of the list that is there
const filterOf = ({i, v, ...rest}) => JSON.stringify(rest);

async function show() {
  const mine = ++turn, at = state(), net = here(), isNeuron = at.i !== undefined && Number(at.i) < net.neurons;
  complain("");
  document.title = `${isNeuron ? `${net.model} ${nameOf(net, Number(at.i))}` : net.model} · ${STUDY.study}`;
  $("to-list").href = address({i: "", v: ""});
  try {
    if (isNeuron) await showNeuron(net, Number(at.i), at);
    if (mine !== turn) return;
    if (isNeuron && $("neuron").hidden) scrollTo(0, 0);
    $("list").hidden = isNeuron;
    $("neuron").hidden = !isNeuron;
    if (isNeuron && document.activeElement === document.body) $("name").focus({preventScroll: true});
    if (!isNeuron || shownFor !== filterOf(at)) {
      await fillFields(net, at);
      if (mine === turn) await showList(net, at, mine);
      if (mine !== turn) return;
    }
    shownFor = filterOf(at);
    document.body.dataset.ready = mine;
    setTimeout(() => Promise.all([wholeText(net), load(`${net.key}/tokens`)]).catch(() => {}), 200); // the next click needs them
  } catch (error) {
    complain(error.message);
    console.error(error);
  }
}

function start() {
  $("study").textContent = STUDY.study;
  fill($("network"), STUDY.networks.map(({key, model, scope, neurons}) =>
    [key, `${scope === "study" ? model : key} (${shown(neurons)})`]), here().key);
  $("network").onchange = event => go({n: event.target.value, i: "", v: "", r: "", s: "", d: "", c: "", b: "", x: "", y: "", f: ""});
  $("top").onsubmit = event => {
    event.preventDefault();
    const text = $("search").value.trim(), place = /^L?(\d+)\s*\/\s*N?(\d+)$/i.exec(text), layer = /^L(\d+)$/i.exec(text);
    const net = here(), [on, channel] = place ? place.slice(1).map(Number) : [];
    if (place && !(channel < net.widths[on])) complain(`${net.model} has no neuron ${text}.`);
    else if (place) go({i: net.starts[on] + channel, v: "", q: ""});
    else if (layer) go({lo: layer[1], hi: layer[1], q: "", i: "", v: ""});
    else go({q: text, i: "", v: ""});
  };
  $("filters").onchange = ({target}) => go({[target.name]: target.value.trim()}, false);
  $("plot").onchange = ({target}) => go({[target.name]: target.value.trim(), b: ""}, false);
  $("filters").onsubmit = event => event.preventDefault();
  $("plot").ontoggle = () => show();
  $("unselect").onclick = () => go({b: ""});
  $("clear").onclick = () => go({m: "", r: "", lo: "", hi: "", k: "", o: "", f: "", q: "", b: ""});
  $("csv").onclick = async () => save(`${here().model}.csv`, await asCsv(here()));
  for (const button of document.querySelectorAll(".copy")) button.onclick = copyLink;
  for (const z of [-10, -4, -1, 0, 1, 4, 10]) document.querySelector(".scale").append(element("span", {style: shade(z)}, shown(z)));
  const step = by => {
    const next = listed[listed.indexOf(opened.one.i) + by];
    if (next !== undefined) go({i: next, v: ""});
  };
  $("previous").onclick = () => step(-1);
  $("next").onclick = () => step(1);
  $("whose").onchange = event => go({v: event.target.value});
  $("json").onclick = () => save(`${opened.label}.json`, asJson(opened.one));
  $("svg").onclick = () => save(`${opened.label}.svg`, asSvg(opened.seen, opened.heads));
  $("scroll").onscroll = drawRows;
  $("scroll").onkeydown = event => {
    const page = Math.floor($("scroll").clientHeight / ROW) - 1;
    const by = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity}[event.key];
    if (by === undefined) return;
    event.preventDefault();
    moveTo(document.activeElement.dataset.line ? Number(document.activeElement.dataset.line) + by : active);
  };
  document.onkeydown = event => {
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = !$("neuron").hidden && {j: "next", k: "previous"}[event.key];
    if (button) $(button)?.click();
    else if (event.key === "Escape" && !$("neuron").hidden) go({i: "", v: ""});
    else if (event.key === "/") $("search").focus();
    else return;
    event.preventDefault();
  };
  let from = null;
  const pixel = event => [event.offsetX, event.offsetY];
  $("canvas").onpointerdown = event => { from = plotted && pixel(event); };
  $("canvas").onpointerup = event => {
    if (!from) return;
    const to = pixel(event), x = [from[0], to[0]].sort((a, b) => a - b), y = [from[1], to[1]].sort((a, b) => b - a);
    from = null;
    const limits = [...x.map(frame.across.value), ...y.map(frame.up.value)].map(value => value.toPrecision(6));
    if (x[1] - x[0] > 3 && y[0] - y[1] > 3) go({b: limits.join(" ")});
  };
  onpopstate = onhashchange = show;
  onresize = () => { if (!$("list").hidden) { drawRows(); drawPlot(state()); } };
  if (state().b || state().x) $("plot").open = true;
  show();
}

start();
