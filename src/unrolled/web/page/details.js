// What is behind a caption: its words, other candidates, where the model looked, and its gates.

const percent = (p) => (100 * p).toFixed(p < 0.1 ? 1 : 0);

function made(tag, text, more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, more);
}

export function unmark(card) {
  card.node.querySelector(".picture canvas")?.remove();
}

export function showDetails(card, say) {
  const { words, candidates, attention, gates } = card.details;
  const named = (word) => ({ "<END>": say("end"), "<UNK>": say("unknown") })[word] || word;
  const inside = card.node.querySelector(".inside");
  unmark(card);
  const list = made("ul", "", { className: "words" });
  const behind = made("div", "", { role: "status" });
  words.forEach((word, place) => {
    const button = made("button", named(word.word), { type: "button", lang: "en" });
    button.append(made("small", say("certain", { percent: percent(word.p) })));
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      const chosen = button.getAttribute("aria-pressed") === "false";
      for (const other of list.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(chosen && other === button));
      }
      unmark(card);
      behind.replaceChildren(...(chosen ? [others(word, named, say)] : []));
      if (chosen && attention && mark(card.node.querySelector(".picture"), attention[place])) {
        behind.append(made("p", say("looked", { word: named(word.word) }), { className: "faint" }));
      }
    };
    const item = document.createElement("li");
    item.append(button);
    list.append(item);
  });
  inside.replaceChildren(made("h3", say("words")), made("p", say("wordsHow"), { className: "faint" }), list, behind);
  if (candidates.length > 1) {
    const ranked = document.createElement("ol");
    ranked.start = 2;
    ranked.append(...candidates.slice(1).map((each) => made("li", each.caption, { lang: "en" })));
    inside.append(made("h3", say("candidates")), ranked);
  }
  if (gates) inside.append(made("h3", say("gates")), gateTable(gates, words, named, say));
}

function others(word, named, say) {
  const table = document.createElement("table");
  const about = say("others", { word: named(word.word), percent: percent(word.p) });
  table.createCaption().textContent = about;
  for (const other of word.others) {
    const row = table.insertRow();
    row.append(made("th", named(other.word), { scope: "row" }));
    row.insertCell().textContent = say("certain", { percent: percent(other.p) });
  }
  return table;
}

// The map over the photo, as large as the photo, so that it is laid out as the photo is. Says whether
// there is a photo: a browser does not show all kinds.
function mark(picture, map) {
  const photo = picture.querySelector("img");
  if (!photo.naturalWidth) return false;
  const small = Object.assign(document.createElement("canvas"), { width: map[0].length, height: map.length });
  const most = Math.max(...map.flat());
  const dots = small.getContext("2d").createImageData(small.width, small.height);
  // Dark where the model did not look.
  map.flat().forEach((weight, at) => { dots.data[4 * at + 3] = 215 * (1 - weight / most); });
  small.getContext("2d").putImageData(dots, 0, 0);
  const scale = Math.min(1, 480 / Math.max(photo.naturalWidth, photo.naturalHeight));
  const large = document.createElement("canvas");
  large.width = Math.max(1, Math.round(scale * photo.naturalWidth));
  large.height = Math.max(1, Math.round(scale * photo.naturalHeight));
  large.getContext("2d").drawImage(small, 0, 0, large.width, large.height);
  picture.append(large);
  return true;
}

function gateTable(gates, words, named, say) {
  const table = made("table", "", { className: "gates" });
  table.createTHead().append(document.createElement("tr"));
  const head = (text, scope, more = {}) => made("th", text, { scope, ...more });
  table.tHead.rows[0].append(
    document.createElement("td"),
    ...words.map((word) => head(named(word.word), "col", { lang: "en" })),
  );
  for (const [name, means] of Object.entries(gates)) {
    const row = table.createTBody().insertRow();
    row.append(head(say(`gate_${name}`), "row"));
    for (const mean of means) {
      const cell = made("td", mean.toFixed(2));
      cell.style.setProperty("--share", Math.max(0, mean));
      row.append(cell);
    }
  }
  const scrolled = made("div", "", { className: "scrolled", tabIndex: 0, role: "group", ariaLabel: say("gates") });
  scrolled.append(table);
  return scrolled;
}
