// The units of a study of networks that see: patches of images. viewer.js calls these functions.
"use strict";

const PICTURE = 96; // pixels along a side of an image that is saved as an svg

function byImage(examples) { // every image of a set once, with its patches that are examples
  const found = new Map();
  for (const example of examples) {
    const key = `${example.set.name} ${example.passage}`;
    if (!found.has(key)) found.set(key, {...example, framed: []});
    found.get(key).framed.push(example.spans.findIndex(span => span.isCentre));
  }
  return [...found.values()];
}

function picture({image, spans, framed}, k) { // as the text of an svg: an image, under the z of the kth network where k is given
  const side = Math.sqrt(spans.length), looks = [];
  if (image.startsWith("data:image/png")) looks.push("image-rendering: pixelated"); // it has few pixels
  if (k !== undefined) looks.push("filter: grayscale(1) contrast(0.6) brightness(1.3)"); // its colours are not those of z
  const place = patch => `x="${patch % side}" y="${Math.floor(patch / side)}" width="1" height="1"`;
  const heat = spans.map(({text, z}, patch) => k === undefined || Number.isNaN(z[k]) ? "" : `<rect class="patch" ${place(patch)} ` +
    `${colour(z[k])}><title>${escaped(text)}: z = ${shown(z[k], 2)}</title></rect>`);
  const frames = framed.flatMap(patch => [["#000", 0.12], ["#fff", 0.05]].map(([stroke, width]) =>
    `<rect ${place(patch)} fill="none" stroke="${stroke}" stroke-width="${width}"/>`));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${PICTURE}" height="${PICTURE}" viewBox="0 0 ${side} ${side}"><image ` +
    `href="${image}" width="${side}" height="${side}" style="${looks.join("; ")}"/>` +
    `${heat.join("")}${frames.join("")}</svg>`;
}

function pictures(example, names) { // the image alone, and under the z of every network
  const centre = example.spans[example.framed[0]];
  return element("div", {class: "pictures", title: `${example.domain}, image ${example.passage}`}, ...[undefined, ...names.keys()].map(k => {
    const box = element("figure");
    box.innerHTML = picture(example, k); // made of numbers, and of words without their signs
    box.append(element("figcaption", {}, k === undefined ? `image ${example.passage}` : `${shown(centre.z[k], 2)} ${names[k]}`));
    return box;
  }));
}

function picturesAsSvg(examples, heads) { // rows: the images alone, then every network; and the height and width of all
  const images = byImage(examples), step = PICTURE + 4;
  const parts = [undefined, ...heads.keys()].flatMap((k, row) => [`<text x="0" y="${row * step + 50}">${escaped(heads[k] ?? "")}</text>`,
    ...images.map((example, at) => `<g transform="translate(${120 + at * step} ${row * step})">${picture(example, k)}</g>`)]);
  return {parts, width: 120 + images.length * step, height: (heads.length + 1) * step};
}
