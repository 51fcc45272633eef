// Finds projects by name in the small lists below names/. Without this script the A–Z list does the same.
"use strict";
(() => {
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  const matches = document.getElementById("matches");
  const lists = new Map();
  const normal = (text) => text.trim().toLowerCase().replace(/[-_.]+/g, "-");
  const list = (key) => {
    if (!lists.has(key)) {
      const names = fetch(input.dataset.names + encodeURIComponent(key) + ".json")
        .then((answer) => (answer.ok ? answer.json() : []));
      lists.set(key, names);
      names.catch(() => lists.delete(key));
    }
    return lists.get(key);
  };
  const show = (names, wanted) => {
    const most = 40;
    matches.replaceChildren(...names.slice(0, most).map((name) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = input.dataset.pages + encodeURIComponent(name) + ".html";
      link.textContent = name;
      item.append(link);
      return item;
    }));
    found.textContent = names.length === 0 ? `No project begins with ${wanted}.`
      : names.length > most ? `${names.length} projects begin so; ${most} are shown.` : "";
  };
  let turn = 0;
  input.addEventListener("input", async () => {
    const mine = ++turn;
    const wanted = normal(input.value);
    if (wanted.length < 2) {
      matches.replaceChildren();
      found.textContent = wanted === "" ? "" : "Two letters at least.";
      return;
    }
    try {
      const names = await list(wanted.slice(0, 2));
      if (mine === turn) show(names.filter((name) => name.startsWith(wanted)), wanted);
    } catch {
      found.textContent = "The list of names cannot be read here; the letters below lead there, too.";
    }
  });
  input.hidden = false;
})();
