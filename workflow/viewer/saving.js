// What a reader takes away: a list as csv, a neuron as json, its strongest units as svg, a link. viewer.js calls these functions.
"use strict";

function save(name, text) {
  const link = element("a", {download: name.replaceAll(/[\\/ ]/g, "_"), href: URL.createObjectURL(new Blob([text]))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function asCsv(net) {
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const names = columnsOf(net, state()), columns = await Promise.all(names.map(name => column(net, name)));
  const number = value => Number.isNaN(value) ? "" : Number(value.toPrecision(6));
  const cell = ({values, texts}, i) => texts ? quoted(texts[values[i]] ?? "") : number(values[i]);
  const line = i => [layerOf(net, i), i - net.starts[layerOf(net, i)], ...columns.map(one => cell(one, i))].join(",");
  return [["layer", "channel", ...names].join(","), ...Array.from(listed, line)].join("\n") + "\n";
}

function asJson({net, i, name, histogram, examples, ...rest}) {
  const known = Object.fromEntries(Object.entries(rest.numbers).map(([key, value]) => [key, Number.isNaN(value) ? null : value]));
  const told = examples.map(({spans, set, image, ...where}) => ({set: set.name, ...where, text: spans.map(one => one.text).join(""), spans}));
  return JSON.stringify({study: STUDY.study, network: net.model, neuron: i, name, ...rest, numbers: known,
    networks: [net.model, ...net.others.map(({model}) => model)], examples: told}, null, 1);
}

function asSvg(seen, heads) { // strongest examples side by side, as parts that an editor of figures can change
  const examples = seen.examples.filter(({set}) => set.name.startsWith("half"));
  const {parts, width, height} = (seen.side ? picturesAsSvg : textsAsSvg)(examples, heads);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="DejaVu Sans Mono, monospace" ` +
    `font-size="10"><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>\n`;
}

function textsAsSvg(examples, heads) { // rows: examples; columns: networks
  const letter = 6.02, wide = 470, parts = [];
  const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" xml:space="preserve" ${more}>${escaped(words)}</text>`;
  heads.forEach((head, k) => {
    parts.push(text(10 + k * wide, 18, head, 'font-weight="bold"'));
    examples.forEach(({spans}, row) => {
      const centre = spans.findIndex(span => span.isCentre);
      let x = 10 + k * wide + 300 - spans.slice(0, centre).reduce((sum, span) => sum + span.text.length, 0) * letter;
      for (const span of spans) {
        const long = span.text.length * letter;
        if (x >= 8 + k * wide && x + long < 4 + (k + 1) * wide) {
          if (span.z[k]) parts.push(`<rect x="${x.toFixed(1)}" y="${27 + row * 18}" width="${long.toFixed(1)}" height="15" ${colour(span.z[k])}/>`);
          parts.push(text(x.toFixed(1), 38 + row * 18, span.text, span.isCentre ? 'text-decoration="underline"' : ""));
        }
        x += long;
      }
    });
  });
  return {parts, width: heads.length * wide + 10, height: examples.length * 18 + 36};
}

const escaped = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(/\s/g, " "); // for an svg

function copyLink() {
  const field = element("textarea", {}, location.href);
  document.body.append(field);
  field.select();
  document.execCommand("copy"); // works from file:// everywhere, unlike navigator.clipboard
  field.remove();
  this.textContent = "Copied";
}
