// The viewer of neurons. Plain JavaScript, opened by double click: data come as scripts, which a page may add later.
// STUDY (data/study.js) says what there is; all else is loaded when it is needed. What is seen stands in the address.
"use strict";

const $ = id => document.getElementById(id);
const ROW = 28; // pixels of a line of the list
const KEPT = 300; // scripts of single neurons that are held at a time
const WORDS = 300; // words at most that `word*` stands for
const SATURATED = 10; // standard deviations from which on a colour grows no stronger

// ---- loading --------------------------------------------------------------------------------------------------------

const loading = new Map(), waiting = new Map(); // key -> promise; key -> what to call with the arrays

function load(key) {
  if (!loading.has(key)) {
    loading.set(key, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const file = `data/${key.split("/").map(encodeURIComponent).join("/")}.js`;
      waiting.set(key, resolve);
      script.onload = () => script.remove();
      script.onerror = () => {
        loading.delete(key);
        reject(new Error(`${file} cannot be read; keep the folder data beside this page, or run the study again.`));
      };
      script.src = file;
      document.head.append(script);
    }));
    const single = [...loading.keys()].filter(one => one.includes("/neurons/"));
    if (single.length > KEPT) loading.delete(single[0]);
  }
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
  net.scope = net.key.slice(0, net.key.lastIndexOf("/"));
}

function layerOf(net, i) {
  let layer = 0;
  while (net.starts[layer + 1] <= i) layer++;
  return layer;
}

function nameOf(net, i) {
  const layer = layerOf(net, i);
  return `L${layer}/${i - net.starts[layer]}`;
}

function neuronAt(net, layer, channel) { // its number, or -1
  return layer < net.widths.length && channel < net.widths[layer] ? net.starts[layer] + channel : -1;
}

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

const FUNCTIONS = {abs: Math.abs, sqrt: Math.sqrt, log: Math.log10, min: Math.min, max: Math.max};
const BINARY = [ // by rank, the weakest first
  {or: (a, b) => i => a(i) || b(i)},
  {and: (a, b) => i => a(i) && b(i)},
  {"<=": (a, b) => i => a(i) <= b(i), ">=": (a, b) => i => a(i) >= b(i), "!=": (a, b) => i => a(i) !== b(i),
    "<": (a, b) => i => a(i) < b(i), ">": (a, b) => i => a(i) > b(i), "=": (a, b) => i => a(i) === b(i)},
  {"+": (a, b) => i => a(i) + b(i), "-": (a, b) => i => a(i) - b(i)},
  {"*": (a, b) => i => a(i) * b(i), "/": (a, b) => i => a(i) / b(i)},
  {"^": (a, b) => i => a(i) ** b(i)},
];
const SIGNS = BINARY.flatMap(rank => Object.keys(rank)).concat(["(", ")", ",", "not"]).sort((a, b) => b.length - a.length);

function tokens(text, net) { // names of columns may hold signs, so they are looked for first
  const names = [...net.numberOf.keys(), ...Object.keys(FUNCTIONS)].sort((a, b) => b.length - a.length), found = [];
  while (text = text.trimStart()) {
    const number = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text), quoted = /^"[^"]*"/.exec(text);
    const fits = one => text.startsWith(one) && !(/\w$/.test(one) && /^\w/.test(text.slice(one.length)));
    const name = names.find(fits), sign = SIGNS.find(fits);
    const token = number?.[0] ?? quoted?.[0] ?? name ?? sign;
    if (!token) throw new Error(`there is no column “${text.split(/\s/)[0]}”`);
    found.push(number ? {number: Number(token)} : quoted ? {quoted: token.slice(1, -1)} : name ? {name} : {sign});
    text = text.slice(token.length);
  }
  return found;
}

async function formula(text, net) { // a function of the number of a neuron; throws an Error that says what is wrong
  const left = tokens(text, net), used = new Map();
  for (const {name} of left) if (net.numberOf.has(name)) used.set(name, await column(net, name));
  const take = sign => left[0]?.sign === sign && left.shift();
  const need = sign => { if (!take(sign)) throw new Error(`“${sign}” is missing`); };

  function expression(rank = 0) {
    if (rank === BINARY.length) return atom();
    let a = expression(rank + 1), sign;
    while (sign = Object.keys(BINARY[rank]).find(take)) a = BINARY[rank][sign](a, expression(rank + 1));
    return a;
  }

  function atom() {
    if (take("(")) { const inner = expression(); need(")"); return inner; }
    if (take("-")) { const a = expression(BINARY.length - 1); return i => -a(i); }
    if (take("not")) { const a = expression(2); return i => !a(i); }
    const token = left.shift();
    if (!token || token.sign) throw new Error(token ? `“${token.sign}” stands where a value was expected` : "it is cut off");
    if (token.number !== undefined) return () => token.number;
    if (token.quoted !== undefined) return () => token.quoted;
    if (used.has(token.name)) {
      const {values, texts, text: words} = used.get(token.name);
      return texts ? words : i => values[i];
    }
    need("(");
    const inner = [expression()], f = FUNCTIONS[token.name];
    while (take(",")) inner.push(expression());
    need(")");
    return inner.length === 1 ? i => f(inner[0](i)) : i => f(...inner.map(a => a(i)));
  }

  const found = expression();
  if (left.length) throw new Error(`“${left[0].sign ?? left[0].name ?? left[0].number}” was not expected`);
  return found;
}

// ---- the address ----------------------------------------------------------------------------------------------------

// n: network, i: neuron, v: whose examples, s: sorted by, d: falling, c: columns; m, lo, hi, k, o, f: filters;
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
const here = () => networks.get(state().n) ?? STUDY.networks[0];

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
  if (at.f) {
    const f = await checked("f", at.f, net);
    if (f) tests.push(f);
  }
  sought = "";
  if (at.q) {
    const found = await search(net, at.q);
    sought = found.words;
    tests.push(i => found.neurons[i]);
  }
  const first = net.starts[Math.min(at.lo || 0, net.widths.length)];
  const stop = net.starts[Math.min(at.hi === undefined ? net.widths.length : Number(at.hi) + 1, net.widths.length)];
  let found = passing(tests, first, stop);
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

function passing(tests, first, stop) {
  const found = new Int32Array(Math.max(0, stop - first));
  let n = 0;
  for (let i = first; i < stop; i++) if (tests.every(test => test(i))) found[n++] = i;
  return found.subarray(0, n);
}

async function includes(net, name, word) { // whose text holds this word among others
  const {values, texts} = await column(net, name), right = texts.map(text => text.split(", ").includes(word));
  return i => right[values[i]];
}

async function checked(name, text, net) { // a formula, or nothing and a sentence about what is wrong
  const field = document.querySelector(`[name=${name}]`);
  try {
    const found = await formula(text, net);
    field.classList.remove("wrong");
    field.title = "";
    return found;
  } catch (error) {
    field.classList.add("wrong");
    field.title = error.message;
    complain(`The formula ${text} cannot be read: ${error.message}.`);
    return null;
  }
}

function sorting(net, at) {
  const first = net.others.length ? `r.${net.others[0].model}` : "neuron";
  const s = net.numberOf.has(at.s) || at.s === "neuron" ? at.s : first;
  return {s, d: at.s ? at.d === "1" : s !== "neuron"};
}

function sorted(numbers, {values, texts}, isFalling) { // by the values, in four passes over 8 bits; without one: last
  const keys = new Float32Array(numbers.length), bits = new Uint32Array(keys.buffer), n = numbers.length;
  for (let j = 0; j < n; j++) {
    const value = values[numbers[j]], missing = texts ? value >= texts.length : Number.isNaN(value);
    keys[j] = value;
    const key = bits[j] >>> 31 ? ~bits[j] : bits[j] | 0x80000000;
    bits[j] = missing ? 0xffffffff : isFalling ? ~key : key;
  }
  let from = numbers.slice(), to = new Int32Array(n), key = bits, next = new Uint32Array(n);
  for (let shift = 0; shift < 32; shift += 8) {
    const places = new Uint32Array(257);
    for (let j = 0; j < n; j++) places[((key[j] >>> shift) & 255) + 1]++;
    for (let b = 0; b < 256; b++) places[b + 1] += places[b];
    for (let j = 0; j < n; j++) {
      const place = places[(key[j] >>> shift) & 255]++;
      to[place] = from[j];
      next[place] = key[j];
    }
    [from, to, key, next] = [to, from, next, key];
  }
  return from;
}

// ---- search ---------------------------------------------------------------------------------------------------------

async function search(net, text) { // neurons by what they fire on, promote, prefer, or are called by the judge
  const neurons = new Uint8Array(net.neurons), said = [], wanted = text.trim().toLowerCase();
  for (const [kind, words] of [["fires", "fire on it"], ["promotes", "promote it"]]) {
    const found = await inIndex(`${net.key}/words/${kind}`, wanted);
    for (const i of found) neurons[i] = 1;
    if (found.length) said.push(`${shown(new Set(found).size)} ${words}`);
  }
  for (const [name, words, fits] of [
    ["domain", "prefer this domain", one => one.toLowerCase() === wanted],
    ["label", "are so described by the judge", one => one.toLowerCase().includes(wanted)]]) {
    const {values, texts} = await column(net, name), right = texts.map(fits);
    let count = 0;
    if (right.includes(true)) for (let i = 0; i < net.neurons; i++) if (right[values[i]]) count += neurons[i] = 1;
    if (count) said.push(`${shown(count)} ${words}`);
  }
  return {neurons, words: said.length ? said.join(", ") : `nothing is known of “${text}”`};
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
    "activation_kurtosis", "unigram_text", "domain", "kind"];
  return (at.c ? at.c.split(" ") : usual).filter(name => net.numberOf.has(name));
}

const title = name => name.replaceAll("_", " ").replace(".", " · ");

async function showList(net, at) {
  const names = columnsOf(net, at), {s, d} = sorting(net, at);
  const columns = await Promise.all(names.map(name => column(net, name)));
  const began = performance.now();
  listed = await chosen(net, at);
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
    load(`${net.key}/neurons/${Math.floor(i / STUDY.shard)}`), load(`${net.scope}/text`), load(`${net.key}/tokens`),
    ...["kind", "domain", "label", "unigram_text"].map(name => column(net, name))]);
  const row = i % STUDY.shard, rows = Math.min(STUDY.shard, net.neurons - i + row);
  const per = STUDY.window[0] + 1 + STUDY.window[1], examples = STUDY.sets.reduce((sum, set) => sum + set.size, 0);
  const of = (array, size) => array.subarray(row * size, (row + 1) * size);
  const codes = [part.codes0, ...net.others.map((_, k) => part[`codes${k + 1}`])].map(array => of(array, examples * per));
  const numbers = Object.fromEntries(net.numbers.map((name, k) => [name, part.numbers[k * rows + row]]));
  const [kind, domain, label, word] = words.map(one => one.text(i)), token = of(part.tokens, 2 * STUDY.tokens);
  const cosine = of(part.cosines, 2 * STUDY.tokens), sides = {promoted: [], suppressed: []};
  token.forEach((code, k) => code >= 0 && sides[k < STUDY.tokens ? "promoted" : "suppressed"].push(
    {token: texts[code], cosine: cosine[k] / 127}));
  return {net, i, name: nameOf(net, i), numbers, kind, domain, label, word, ...sides, histogram: of(part.histogram, STUDY.bins),
    examples: examplesOf(of(part.examples, examples), codes, text)};
}

const zOf = code => Math.sign(code) * (code / STUDY.scale.steps) ** 2 * STUDY.scale.strongest;

function examplesOf(units, codes, text) { // by example: where it is, and the units around it with z in every network
  text.starts ??= text.lengths.reduce((starts, length) => (starts.push(starts.at(-1) + length), starts), [0]);
  text.all ??= new TextDecoder().decode(text.text);
  const [before, after] = STUDY.window, per = before + 1 + after, found = [];
  const sets = STUDY.sets.flatMap(({name, size}) => Array(size).fill(name));
  units.forEach((unit, e) => {
    if (unit < 0) return;
    let passage = text.opens.findLastIndex(open => open <= unit);
    const spans = [];
    for (let w = 0; w < per; w++) {
      const here = unit - before + w, code = codes[0][e * per + w];
      if (code === STUDY.scale.none) continue;
      spans.push({text: text.all.slice(text.starts[here], text.starts[here + 1]), isCentre: w === before,
        z: codes.map(one => one[e * per + w] === STUDY.scale.none ? NaN : zOf(one[e * per + w]))});
    }
    found.push({set: sets[e], unit, domain: text.domains[text.domain[passage]], document: text.document[passage], spans});
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

function evidence(one, {model, key}) {
  const at = name => one.numbers[`${name}.${model}`], partner = at("partner"), [isMatch, words] = verdict(one.numbers, model);
  const of = networks.get(key), name = partner < 0 ? "none" : of ? nameOf(of, partner) : `neuron ${partner}`;
  const rows = [["its partner", at("r"), "", true], ["the same on the other half", at("heldout_r"), "", true],
    ...STUDY.nulls.filter(({name}) => !Number.isNaN(at(name))).map(({name, label, meaning}) => [label, at(name), at(`${name}_largest`), false, meaning])];
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...["best partner in", "r", "at most", ""].map(head =>
    element("th", {scope: "col", class: ["r", "at most"].includes(head) ? "number" : ""}, head)))));
  const body = element("tbody");
  for (const [label, r, most, isOwn, meaning] of rows) body.append(element("tr", {title: meaning}, element("td", {}, label),
    element("td", {class: "number"}, shown(r)), element("td", {class: "number"}, most === "" ? "" : shown(most)),
    element("td", {class: `bar ${isOwn ? "own" : ""}`, style: `--share: ${100 * Math.max(0, Math.min(1, r || 0))}%`})));
  table.append(body);
  const link = of && partner >= 0 ? element("a", {href: linkTo(of, partner)}, `${model} ${name}`) : `${model} ${name}`;
  return element("div", {class: "card"}, element("p", {}, element("span", {class: `badge ${isMatch ? "supported" : "quiet"}`},
    isMatch ? "match" : "no match"), " ", element("strong", {}, link)), element("p", {}, words), table,
    element("p", {class: "source"}, `Nulls: mean of the draws, then the largest. Margin over the next partner ${shown(at("margin"))}; ` +
      `excess over rotated neurons ${shown(at("excess"))}.`));
}

function shade(z) { // orange: above the mean; blue: below it
  if (!z) return "";
  const strength = Math.min(1, Math.sqrt(Math.abs(z) / SATURATED));
  return `background: rgba(var(--${z > 0 ? "more" : "less"}), ${(0.85 * strength).toFixed(2)})`;
}

function contexts(seen, names) { // rows: examples; columns: networks
  const box = element("div", {class: "contexts", style: `--networks: ${names.length}`});
  for (const name of names) box.append(element("div", {class: "head"}, name));
  let set = "";
  for (const example of seen.examples) {
    if (example.set !== set) box.append(element("div", {class: "set"}, SETS[set = example.set]));
    names.forEach((name, k) => {
      const centre = example.spans.find(span => span.isCentre).z[k];
      const text = element("p", {}, ...example.spans.map(({text, z, isCentre}) => element("span",
        {style: shade(z[k]), class: isCentre && "centre", title: Number.isNaN(z[k]) ? null : `z = ${shown(z[k], 2)}`},
        text.replaceAll("\n", "⏎"))));
      box.append(element("div", {class: `context ${k ? "" : "first"}`, "data-network": name.split(" ")[0],
        title: `${example.domain}, document ${example.document}, unit ${example.unit}`},
      text, element("span", {class: "z"}, shown(centre, 2))));
    });
  }
  return box;
}

const SETS = {
  "half 0": "Strongest in one half of the documents", "half 1": "Strongest in the other half",
  "random": "Random units", "near the threshold": `Units near z = ${STUDY.threshold}, where a strong response begins`,
};
const SET_COLOURS = {"half 0": "#de8f05", "half 1": "#d55e00", "random": "#949494", "near the threshold": "#0173b2"};

function histogram(one) { // as the text of an svg: units by z, and where the examples are
  const width = 640, height = 190, foot = 158, {steps, strongest} = STUDY.scale;
  const counts = [...one.histogram].map(value => 2 ** (value / 16) - 1);
  const used = [...counts.keys()].filter(bin => counts[bin] >= 0.5), centres = one.examples.map(e => e.spans.find(s => s.isCentre).z[0]);
  const codeOf = z => Math.sign(z) * Math.sqrt(Math.abs(z) / strongest) * steps, binOf = z => (codeOf(z) + steps + 1) * STUDY.bins / (2 * steps + 2);
  const low = Math.min(...used, ...centres.map(binOf)) - 0.5, high = Math.max(...used, ...centres.map(binOf)) + 1.5;
  const across = bin => 10 + (bin - low) / (high - low) * (width - 20), most = Math.log2(1 + Math.max(...counts));
  const bars = used.map(bin => {
    const tall = Math.log2(1 + counts[bin]) / most * (foot - 14);
    return `<rect x="${across(bin).toFixed(1)}" y="${(foot - tall).toFixed(1)}" width="${(across(bin + 1) - across(bin) - 1).toFixed(1)}" ` +
      `height="${tall.toFixed(1)}" fill="currentColor" fill-opacity="0.3"><title>${shown(Math.round(counts[bin]))} units</title></rect>`;
  });
  const marks = one.examples.map((e, k) => `<circle cx="${across(binOf(centres[k])).toFixed(1)}" cy="${foot + 8}" r="3.2" ` +
    `fill="${SET_COLOURS[e.set]}" fill-opacity="0.75"><title>${e.set}, z = ${shown(centres[k], 2)}</title></circle>`);
  const axis = [-25, -9, -4, -1, 0, 1, 2, 4, 9, 16, 25, 49, 100].filter(z => binOf(z) > low && binOf(z) < high).map(z =>
    `<text x="${across(binOf(z)).toFixed(1)}" y="${height - 6}" font-size="12" text-anchor="middle" fill="currentColor">${shown(z)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" class="histogram" role="img" ` +
    `aria-label="Histogram of the activation of ${one.name}">${[...bars, ...marks, ...axis].join("")}</svg>`;
}

function metrics(one) {
  const body = element("tbody");
  for (const name of STUDY.metrics.filter(name => one.net.quantiles[name]?.length)) {
    const value = one.numbers[name], all = one.net.quantiles[name], below = all.filter(q => q < value).length;
    const place = element("div", {class: "place"});
    if (!Number.isNaN(value)) place.append(element("i", {style: `left: ${Math.min(below, 100)}%`}));
    body.append(element("tr", {title: one.net.columns[one.net.numberOf.get(name)].meaning}, element("td", {}, title(name)),
      element("td", {class: "number"}, shown(value)), element("td", {}, place),
      element("td", {class: "number"}, Number.isNaN(value) ? "" : `above ${Math.min(below, 100)}%`)));
  }
  return element("table", {}, element("thead", {}, element("tr", {}, ...["metric", "value", "among all neurons", ""].map(head =>
    element("th", {scope: "col"}, head)))), body);
}

function tokenList(side, list) {
  const chips = list.map(({token, cosine}) => element("span", {title: `cosine ${shown(cosine, 2)}`,
    style: shade(cosine * SATURATED)}, token.trim() ? token : JSON.stringify(token)));
  return element("div", {}, element("h3", {}, `Tokens ${side}`), element("div", {class: "tokens"}, ...(chips.length ? chips : ["none"])));
}

async function showNeuron(net, i, at) {
  const began = performance.now(), one = await single(net, i), other = net.others.find(({model}) => model === at.v);
  const of = networks.get(other?.key), partner = other ? one.numbers[`partner.${other.model}`] : -1;
  const seen = of && partner >= 0 ? await single(of, partner) : one, label = `${net.model} ${one.name}`;
  if (state().i !== at.i || here() !== net) return; // another one was asked for meanwhile
  const heads = [`${seen.net.model} ${seen.name}`, ...seen.net.others.map(({model, key}) => {
    const number = seen.numbers[`partner.${model}`], found = networks.get(key);
    return `${model} ${number < 0 ? "none" : found ? nameOf(found, number) : number}`;
  })];
  const isMutual = seen === one || heads.includes(label);
  const step = (by, id, words) => element("button", {type: "button", id, onclick: () => {
    const next = listed[listed.indexOf(i) + by];
    if (next !== undefined) go({i: next, v: ""});
  }}, words);
  const whose = element("select", {"aria-label": "whose strongest units", onchange: event => go({v: event.target.value})},
    ...[["", label], ...net.others.filter(({key}) => networks.has(key)).map(({model}) => [model, `its best partner in ${model}`])].map(([value, words]) =>
      element("option", {value, selected: value === (at.v ?? "")}, words)));
  const scale = element("span", {class: "scale", role: "img", "aria-label": "colours from 10 deviations below the mean to 10 above it"},
    ...[-10, -4, -1, 0, 1, 4, 10].map(z => element("span", {style: shade(z)}, shown(z))));
  const chart = element("div");
  chart.innerHTML = histogram(one); // made of numbers and names of sets only
  const about = [one.kind, one.domain && `strongest in ${one.domain}`, one.word && `most explained by “${one.word}”`].filter(Boolean).join("; ");
  $("neuron").replaceChildren(
    element("h2", {tabindex: "-1"}, label),
    element("p", {}, `Layer ${layerOf(net, i)} of ${net.widths.length}. ${about ? about[0].toUpperCase() + about.slice(1) + "." : ""} ${one.label ? `Judge: ${one.label}` : ""}`),
    element("div", {class: "row"}, step(-1, "previous", "← Previous in the list"), step(1, "next", "Next →"),
      element("button", {type: "button", class: "copy", onclick: copyLink}, "Copy link"),
      element("button", {type: "button", id: "json", onclick: () => save(`${label}.json`, asJson(one))}, "Save as json"),
      element("button", {type: "button", id: "svg", onclick: () => save(`${label}.svg`, asSvg(seen, heads))}, "Save as svg")),
    element("h3", {}, "Why believe the match?"),
    element("div", {class: "cards"}, ...net.others.map(found => evidence(one, found))),
    element("h3", {}, "What it fires on"),
    element("p", {}, "Units that matter to ", whose, " The same units in every network, in standard deviations from the mean of each neuron: ", scale),
    element("p", {class: "source", hidden: isMutual}, `${heads[0]} has another best partner in ${net.model}, which is shown here beside it.`),
    contexts(seen, heads),
    element("div", {class: "two"},
      element("div", {}, element("h3", {}, "How often it is how strong"), chart,
        element("p", {class: "source"}, `${shown(STUDY.sample)} random units at most by z (root scale); heights are logarithms. Dots: the examples of ${label}, orange and red the strongest, grey random, blue near the threshold.`),
        tokenList("promoted", one.promoted), tokenList("suppressed", one.suppressed)),
      element("div", {}, element("h3", {}, `Metrics among all neurons of ${net.model}`), metrics(one))));
  document.body.dataset.milliseconds = (performance.now() - began).toFixed(1);
  if (document.activeElement === document.body) $("neuron").querySelector("h2").focus({preventScroll: true});
}

// ---- what is taken away ---------------------------------------------------------------------------------------------

function save(name, text) {
  const link = element("a", {download: name.replaceAll(/[\\/ ]/g, "_"), href: URL.createObjectURL(new Blob([text]))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function asCsv(net) {
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const names = columnsOf(net, state());
  return Promise.all(names.map(name => column(net, name))).then(columns => [["layer", "channel", ...names].join(","),
    ...Array.from(listed, i => [layerOf(net, i), i - net.starts[layerOf(net, i)], ...columns.map(({values, texts}) =>
      texts ? quoted(texts[values[i]] ?? "") : Number.isNaN(values[i]) ? "" : Number(values[i].toPrecision(6)))].join(","))].join("\n") + "\n");
}

function asJson({net, i, name, histogram, examples, ...rest}) {
  const known = Object.fromEntries(Object.entries(rest.numbers).map(([key, value]) => [key, Number.isNaN(value) ? null : value]));
  const shownExamples = examples.map(({spans, ...where}) => ({...where, text: spans.map(span => span.text).join(""), spans}));
  return JSON.stringify({study: STUDY.study, network: net.model, neuron: i, name, ...rest, numbers: known,
    networks: [net.model, ...net.others.map(({model}) => model)], examples: shownExamples}, null, 1);
}

function asSvg(seen, heads) { // strongest contexts side by side, as text that an editor of figures can change
  const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(/\s/g, " ");
  const rows = seen.examples.filter(({set}) => set.startsWith("half")), letter = 6.02, wide = 470, parts = [];
  const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" xml:space="preserve" ${more}>${escaped(words)}</text>`;
  heads.forEach((head, k) => {
    parts.push(text(10 + k * wide, 18, head, 'font-weight="bold"'));
    rows.forEach(({spans}, row) => {
      const centre = spans.findIndex(span => span.isCentre);
      let x = 10 + k * wide + 300 - spans.slice(0, centre).reduce((sum, span) => sum + span.text.length, 0) * letter;
      for (const span of spans) {
        const long = span.text.length * letter, z = span.z[k], strength = 0.85 * Math.min(1, Math.sqrt(Math.abs(z || 0) / SATURATED));
        if (x >= 8 + k * wide && x + long < 4 + (k + 1) * wide) {
          if (z) parts.push(`<rect x="${x.toFixed(1)}" y="${27 + row * 18}" width="${long.toFixed(1)}" height="15" ` +
            `fill="${z > 0 ? "#de8f05" : "#0173b2"}" fill-opacity="${strength.toFixed(2)}"/>`);
          parts.push(text(x.toFixed(1), 38 + row * 18, span.text, span.isCentre ? 'text-decoration="underline"' : ""));
        }
        x += long;
      }
    });
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${heads.length * wide + 10}" height="${rows.length * 18 + 36}" ` +
    `font-family="DejaVu Sans Mono, monospace" font-size="10"><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>\n`;
}

function copyLink() {
  const field = element("textarea", {}, location.href);
  document.body.append(field);
  field.select();
  document.execCommand("copy"); // works from file:// everywhere, unlike navigator.clipboard
  field.remove();
  this.textContent = "Copied";
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
  const counted = ["matched", "mutual"].flatMap(name => Array.from({length: others}, (_, k) => [`${name} ${k + 1}`,
    `${k + 1 === others && others > 1 ? "all " : k + 1 < others ? "at least " : ""}${k + 1} other${k ? "s" : ""}${name === "mutual" ? ", at any q" : `, q ≤ ${STUDY.level}`}`]));
  fill(fields.m, [["", "any number of networks"], ...counted], at.m);
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

let turn = 0;

async function show() {
  const mine = ++turn, at = state(), net = here(), isNeuron = at.i !== undefined && Number(at.i) < net.neurons;
  complain("");
  document.title = `${isNeuron ? `${net.model} ${nameOf(net, Number(at.i))}` : net.model} · ${STUDY.study}`;
  $("to-list").href = address({i: "", v: ""});
  try {
    if (isNeuron) await showNeuron(net, Number(at.i), at);
    if (mine !== turn) return;
    $("list").hidden = isNeuron;
    $("neuron").hidden = !isNeuron;
    await fillFields(net, at);
    if (!isNeuron || !listed.length || shownFor !== filterOf(at)) await showList(net, at);
    shownFor = filterOf(at);
    document.body.dataset.ready = mine;
  } catch (error) {
    complain(error.message);
    console.error(error);
  }
}

let shownFor = "";
const filterOf = ({i, v, ...rest}) => JSON.stringify(rest);

function start() {
  $("study").textContent = STUDY.study;
  fill($("network"), STUDY.networks.map(({key, model, scope, neurons}) => [key, `${scope === "study" ? model : key} (${shown(neurons)})`]), here().key);
  $("network").onchange = event => go({n: event.target.value, i: "", v: "", s: "", d: "", c: "", b: "", x: "", y: "", f: ""});
  $("top").onsubmit = event => {
    event.preventDefault();
    const text = $("search").value.trim(), place = /^L?(\d+)\s*\/\s*N?(\d+)$/i.exec(text), layer = /^L(\d+)$/i.exec(text);
    const i = place ? neuronAt(here(), Number(place[1]), Number(place[2])) : -1;
    if (place && i < 0) complain(`${here().model} has no neuron ${text}.`);
    else if (place) go({i, v: "", q: ""});
    else if (layer) go({lo: layer[1], hi: layer[1], q: "", i: "", v: ""});
    else go({q: text, i: "", v: ""});
  };
  const refilter = event => go({[event.target.name]: event.target.value.trim(), b: event.target.name in {x: 1, y: 1} ? "" : state().b}, false);
  $("filters").onchange = $("plot").onchange = refilter;
  $("filters").onsubmit = event => event.preventDefault();
  $("plot").ontoggle = () => show();
  $("unselect").onclick = () => go({b: ""});
  $("clear").onclick = () => go({m: "", lo: "", hi: "", k: "", o: "", f: "", q: "", b: ""});
  $("csv").onclick = async () => save(`${here().model}.csv`, await asCsv(here()));
  document.querySelector("#list .copy").onclick = copyLink;
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
    if (x[1] - x[0] > 3 && y[0] - y[1] > 3) go({b: [...x.map(frame.across.value), ...y.map(frame.up.value)].map(value => value.toPrecision(6)).join(" ")});
  };
  onpopstate = onhashchange = show;
  onresize = () => { if (!$("list").hidden) { drawRows(); drawPlot(state()); } };
  if (state().b || state().x) $("plot").open = true;
  show();
}

start();
