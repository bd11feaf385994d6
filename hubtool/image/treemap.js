"use strict";
{
  const map = document.getElementById("map"), tip = document.getElementById("tip");
  const { width, height } = map.viewBox.baseVal;
  const names = ["x", "y", "width", "height"];
  const cells = [...map.querySelectorAll("svg")].map((cell) => ({
    cell, group: cell.parentNode, at: names.map((name) => Number(cell.getAttribute(name))),
  }));
  const buttons = [...document.querySelectorAll("nav button")];
  let shown = "";

  // Cells keep their place within the group; the group takes the whole map.
  const show = (name) => {
    shown = name;
    const group = [...map.querySelectorAll("g")].find((one) => one.dataset.group === name);
    const [x, y, w, h] = group ? group.dataset.bounds.split(" ").map(Number) : [0, 0, width, height];
    for (const { cell, group: own, at } of cells) {
      own.style.display = group && own !== group ? "none" : "";
      const now = [(at[0] - x) * width / w, (at[1] - y) * height / h, at[2] * width / w, at[3] * height / h];
      names.forEach((key, i) => cell.setAttribute(key, now[i]));
      cell.classList.toggle("small", now[2] < 46 || now[3] < 17);
      cell.classList.toggle("flat", now[3] < 31);
    }
    map.classList.toggle("zoomed", Boolean(group));
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.group === (group ? name : "")));
  };
  const groupAt = (event) => event.target.closest("g")?.dataset.group ?? "";

  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.group));
  map.addEventListener("click", (event) => show(shown ? "" : groupAt(event)));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && shown) show(""); });
  map.addEventListener("pointermove", (event) => {
    const cell = event.target.closest("#map svg");
    tip.textContent = cell && cell !== map ? cell.querySelector("title").textContent : "";
  });
  map.addEventListener("pointerleave", () => { tip.textContent = ""; });

  const rows = [...document.querySelectorAll("tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  document.getElementById("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const [row, text] of rows) row.hidden = !text.includes(wanted);
  });
  show("");
}
