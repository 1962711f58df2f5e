
"use strict";
const controls = document.getElementById("controls");
const key = document.getElementById("key");
const words = document.getElementById("words");
const count = document.getElementById("count");
const list = document.getElementById("cards");
const cards = Array.from(list.children, (card) => ({
  card,
  values: card.dataset.values.split(" ").map(Number),
  text: Array.from(card.querySelectorAll("h3, li, .name"), (part) => part.textContent)
    .join("\n")
    .toLowerCase(),
}));

function show() {
  const column = key.selectedIndex;
  const sign = controls.elements.order.value === "best" ? -1 : 1;
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const one of cards) {
    one.card.hidden = !wanted.every((word) => one.text.includes(word));
    shown += !one.card.hidden;
  }
  cards.sort((a, b) => sign * (a.values[column] - b.values[column]));
  list.append(...cards.map((one) => one.card));
  count.textContent = shown + " of " + cards.length + " photos";
}

controls.hidden = false;
controls.addEventListener("input", show);
controls.addEventListener("submit", (event) => event.preventDefault());
show();
