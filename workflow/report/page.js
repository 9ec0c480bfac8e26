// Filters of the tables of claims, a sign on tables that are cut off, and everything unfolded on paper.
for (const box of document.querySelectorAll(".claims-table")) {
  const form = box.querySelector(".filters"), rows = [...box.querySelectorAll("tr[data-verdict]")];
  const show = () => {
    const wanted = [...form.querySelectorAll("[data-filter]")].map(field => [field.dataset.filter, field.value.trim().toLowerCase()]);
    for (const row of rows) row.hidden = !wanted.every(([key, value]) =>
      !value || (key === "words" ? row.textContent.toLowerCase().includes(value) : row.dataset[key] === value));
    for (const part of box.querySelectorAll("tbody")) part.hidden = !part.querySelector("tr[data-verdict]:not([hidden])");
    form.querySelector("output").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  show();
}
const watch = new ResizeObserver(entries => entries.forEach(({target}) =>
  target.classList.toggle("cut", target.clientWidth > 0 && target.scrollWidth > target.clientWidth + 1)));
document.querySelectorAll(".scroll").forEach(box => watch.observe(box));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => one.open = true));
