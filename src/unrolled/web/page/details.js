// What is behind a caption: its words, what might have stood there, and other candidates.

const percent = (p) => (100 * p).toFixed(p < 0.1 ? 1 : 0);

function made(tag, text, more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, more);
}

export function showDetails(card, say) {
  const { words, candidates } = card.details;
  const named = (word) => ({ "<END>": say("end"), "<UNK>": say("unknown") })[word] || word;
  const inside = card.node.querySelector(".inside");
  const list = made("ul", "", { className: "words" });
  const behind = made("div", "", { role: "status" });
  words.forEach((word, place) => {
    const button = made("button", named(word.word), { type: "button", lang: "en" });
    button.append(made("small", say("certain", { percent: percent(word.p) })));
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      for (const other of list.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      behind.replaceChildren(others(word, named, say));
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
