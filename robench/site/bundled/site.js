// Sorting, filters and links for the tables, and the call that draws the charts.
// The state of a table is in the address: #sort=pwws&order=ascending&filter=rift
"use strict";
(() => {
  const prefix = (box) => (box.dataset.name === "table" || box.dataset.name === "examples" ? "" : `${box.dataset.name}.`);
  const stateOf = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  function store(changes) {
    const state = stateOf();
    for (const [key, value] of Object.entries(changes)) {
      if (value) state.set(key, value);
      else state.delete(key);
    }
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function sortBy(box, key, order) {
    const heads = [...box.querySelectorAll("thead th")];
    const place = heads.findIndex((head) => head.dataset.key === key);
    const body = box.querySelector("tbody");
    if (!body) return;
    for (const head of heads) head.setAttribute("aria-sort", head.dataset.key === key ? order : "none");
    const rows = [...body.rows].sort((a, b) => Number(a.dataset.place) - Number(b.dataset.place));
    if (place >= 0) {
      const words = heads[place].dataset.kind === "text";
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[place].dataset.sort;
      rows.sort((a, b) => {
        const [one, two] = [value(a), value(b)];
        // A gap comes last, whatever the order.
        if (one === "" || two === "") return (one === "") - (two === "");
        return sign * (words ? one.localeCompare(two) : Number(one) - Number(two));
      });
    }
    body.append(...rows);
  }

  function applyFilters(box) {
    const inputs = [...box.querySelectorAll("[data-filter]")];
    const items = [...box.querySelectorAll("tbody tr, li.example")];
    let shown = 0;
    for (const item of items) {
      const fits = inputs.every((input) => {
        const wanted = input.value.trim();
        if (!wanted) return true;
        if (input.dataset.filter !== "filter") return item.dataset[input.dataset.filter] === wanted;
        // Of a row only its name counts: other cells hold words such as "verified".
        const text = (item.querySelector("th") || item).textContent;
        return text.toLowerCase().includes(wanted.toLowerCase());
      });
      item.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    const status = box.querySelector("[data-status]");
    const what = box.querySelector("tbody") ? "rows" : "examples";
    if (status) status.textContent = shown === items.length ? `${shown} ${what}` : `${shown} of ${items.length} ${what}`;
  }

  const firstOrder = (head) => (head.dataset.kind === "text" ? "ascending" : "descending");

  function read(box) {
    const state = stateOf(), before = prefix(box);
    for (const input of box.querySelectorAll("[data-filter]")) input.value = state.get(before + input.dataset.filter) || "";
    const key = state.get(`${before}sort`);
    const head = [...box.querySelectorAll("thead th")].find((each) => each.dataset.key === key);
    const order = state.get(`${before}order`);
    const orders = ["ascending", "descending"];
    sortBy(box, head ? key : null, head && !orders.includes(order) ? firstOrder(head) : order);
    applyFilters(box);
  }

  function prepare(box) {
    const before = prefix(box);
    [...box.querySelectorAll("tbody tr")].forEach((row, place) => { row.dataset.place = place; });
    for (const head of box.querySelectorAll("thead th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = firstOrder(head);
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        sortBy(box, head.dataset.key, order);
        store({ [`${before}sort`]: head.dataset.key, [`${before}order`]: order === first ? "" : order });
      });
    }
    const form = box.querySelector("form.filters");
    if (form) {
      form.addEventListener("submit", (event) => event.preventDefault());
      form.addEventListener("input", (event) => {
        applyFilters(box);
        store({ [before + event.target.dataset.filter]: event.target.value.trim() });
      });
      form.addEventListener("reset", (event) => {
        event.preventDefault();
        const names = [...form.querySelectorAll("[data-filter]")].map((each) => before + each.dataset.filter);
        store(Object.fromEntries([...names, `${before}sort`, `${before}order`].map((name) => [name, ""])));
        read(box);
      });
    }
    read(box);
  }

  const tables = [...document.querySelectorAll(".sortable")];
  tables.forEach(prepare);
  window.addEventListener("hashchange", () => tables.forEach(read));

  // Colours of Okabe and Ito, which people with any kind of colour vision tell apart.
  const light = ["#0072b2", "#d55e00", "#007a5e", "#a3447c", "#8a6d00", "#4b4f58", "#2f7fb8", "#7a3e00"];
  const dark = ["#56b4e9", "#f0a35e", "#3fd0a4", "#e39ac6", "#f0e442", "#c3c8d2", "#8ecbf0", "#d9b38c"];
  const isDark = window.matchMedia("(prefers-color-scheme: dark)");

  function theme(width) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [ink, dim, line] = ["--ink", "--dim", "--line"].map(colour);
    return {
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: line },
      axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: dim, tickColor: dim, labelFontSize: 12, titleFontSize: 12, labelLimit: Math.min(260, width * 0.42) },
      legend: { labelColor: ink, titleColor: ink, labelLimit: Math.max(120, width * 0.6), labelFontSize: 12, symbolBaseFillColor: ink, symbolBaseStrokeColor: ink, columns: width < 560 ? 1 : 2 },
      text: { color: ink, fontSize: 12 },
      range: { category: isDark.matches ? dark : light },
    };
  }

  // What every chart has, unless it says something else: it is as wide as its place.
  const everyChart = { width: "container", autosize: { type: "fit-x", contains: "padding" } };

  function draw(figure) {
    const place = figure.querySelector(".drawing");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    if (spec.data.rows) {
      const { fields, rows } = spec.data;
      spec.data = { values: rows.map((row) => Object.fromEntries(row.map((value, place) => [fields[place], value]))) };
    }
    const { width } = place.getBoundingClientRect();
    // "ast" makes the charts work without turning text into code.
    const options = { mode: "vega-lite", ast: true, renderer: "svg", actions: false, config: theme(width), tooltip: { theme: isDark.matches ? "dark" : "light" } };
    return window.vegaEmbed(place, { ...everyChart, ...spec, description: place.dataset.title }, options).catch((error) => {
      place.textContent = `The chart could not be drawn: ${error.message}`;
      console.error(error);
    });
  }

  const figures = [...document.querySelectorAll("figure.chart")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      entry.target.dataset.drawn = "yes";
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  figures.forEach((figure) => near.observe(figure));
  isDark.addEventListener("change", () => figures.filter((each) => each.dataset.drawn).forEach(draw));
})();
