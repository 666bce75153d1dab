"use strict";
// Sorts, filters and opens the entries of a list of reports or runs; filters and order stay in the
// address, after #, where a page from a folder can keep them, too. Without this script the list shows
// everything.
(() => {
  const table = document.querySelector("[data-rows]");
  const controls = document.querySelector("[data-controls]");
  if (!table || !controls) return;
  const part = (name) => controls.querySelector("[data-" + name + "]");
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const given = [...body.rows];
  const column = (name) => heads.findIndex((head) => head.dataset.column === name);
  const value = (row, at) => row.cells[at].dataset.value;
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = new Map(given.map((row) => [row, plain(value(row, 0) + "\n" + (row.cells[0].dataset.words || ""))]));
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  const sort = (at, direction) => {
    const numeric = at >= 0 && "numeric" in heads[at].dataset;
    const compare = (one, two) => {
      const a = value(one, at);
      const b = value(two, at);
      if (a === "" || b === "") return (a === "") - (b === "");
      return direction * (numeric ? Number(a) - Number(b) : order.compare(a, b));
    };
    body.append(...(at < 0 ? given : [...given].sort(compare)));
    heads.forEach((head, n) => {
      head.setAttribute("aria-sort", n !== at ? "none" : direction > 0 ? "ascending" : "descending");
    });
    sortBy.value = at < 0 ? "" : heads[at].dataset.column + (direction > 0 ? "" : " down");
  };

  const fits = (row, wanted) => {
    if (!wanted.words.every((word) => words.get(row).includes(word))) return false;
    return wanted.tests.every((test) => test(row));
  };
  const filter = () => {
    const tests = [];
    for (const field of controls.querySelectorAll("[data-is],[data-least],[data-most]")) {
      if (field.value === "") continue;
      const { is, least, most } = field.dataset;
      const at = column(is || least || most);
      const limit = Number(field.value);
      const known = (row) => value(row, at) !== "";
      if (is) tests.push((row) => [value(row, at), row.cells[at].dataset.also].includes(field.value));
      else if (least) tests.push((row) => known(row) && Number(value(row, at)) >= limit);
      else tests.push((row) => known(row) && Number(value(row, at)) <= limit);
    }
    const wanted = { words: plain(part("words").value).split(/\s+/), tests };
    let shown = 0;
    for (const row of given) {
      row.hidden = !fits(row, wanted);
      shown += !row.hidden;
    }
    const status = part("shown");
    const { shown: many, one } = status.dataset;
    status.textContent = shown + " of " + given.length + " " + (given.length === 1 ? one : many);
    document.querySelector("[data-none]").hidden = shown > 0;
  };

  const sortBy = part("sort-by");
  sortBy.add(new Option("order given", ""));
  heads.forEach((head, at) => {
    const name = head.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    const first = "numeric" in head.dataset ? -1 : 1;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const turned = now === "ascending" ? -1 : 1;
      sort(at, now === "none" ? first : turned);
      keep();
    });
    const numeric = "numeric" in head.dataset;
    sortBy.add(new Option(name + (numeric ? ", low to high" : ""), head.dataset.column));
    if (numeric) sortBy.add(new Option(name + ", high to low", head.dataset.column + " down"));
    else sortBy.add(new Option(name + ", backwards", head.dataset.column + " down"));
  });
  const fields = [...controls.querySelectorAll("[role=search] input, [role=search] select")];
  const inOrder = () => {
    const [name, down] = sortBy.value.split(" ");
    sort(name ? column(name) : -1, down ? -1 : 1);
  };
  const keep = () => {
    const set = fields.filter((field) => field.id && field.value !== "");
    const kept = new URLSearchParams(set.map((field) => [field.id, field.value])).toString();
    if (kept === "" && !location.hash.includes("=")) return;
    const address = location.href.split("#")[0];
    try {
      history.replaceState(null, "", kept === "" ? address : address + "#" + kept);
    } catch {
      // A browser may refuse many changes at once; the list is right all the same.
    }
  };
  const recall = () => {
    if (!location.hash.includes("=")) return;
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      const value = (field.id && kept.get(field.id)) || "";
      const known = field.options
        ? [...field.options].some((option) => option.value === value)
        : field.type !== "number" || Number.isFinite(Number(value));
      field.value = known ? value : "";
    }
  };
  const show = () => {
    inOrder();
    filter();
  };

  const choose = part("choose");
  if (choose) {
    for (const row of given) {
      const link = row.cells[0].querySelector("a");
      if (link) choose.add(new Option(value(row, 0), link.getAttribute("href")));
    }
    part("open").disabled = choose.options.length === 0;
    part("open").addEventListener("click", () => location.assign(choose.value));
  }
  controls.addEventListener("input", (event) => {
    if (event.target === sortBy) inOrder();
    filter();
    keep();
  });
  part("clear").addEventListener("click", () => {
    for (const field of fields) field.value = "";
    show();
    keep();
  });
  addEventListener("hashchange", () => {
    recall();
    show();
  });
  addEventListener("pageshow", show); // a browser may fill fields in when somebody comes back
  controls.hidden = false;
  recall();
  show();
})();
