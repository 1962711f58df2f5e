import { WORDS } from "/words.js";
import { showDetails, unmark } from "/details.js";

const AT_ONCE = 4;
const WAYS = {
  greedy: () => ({ beam: 1 }),
  beam: (form) => ({ beam: form.beam.value }),
  sample: (form) => ({ sample: true, temperature: form.temperature.value, seed: form.seed.value }),
};
const find = (id) => document.getElementById(id);
const cards = [];
let limits = null;
let width = 1;
let language = "en";

// Words

export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  localStorage.setItem("unrolled.language", chosen);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
  }
  translate(document);
  find("progress").setAttribute("aria-label", say("progress"));
  showLimits();
  cards.forEach(show);
  showCount();
}

function translate(root) {
  for (const part of root.querySelectorAll("[data-say]")) part.textContent = say(part.dataset.say);
}

function announce(text) {
  find("said").textContent = text;
}

function toast(text) {
  find("toast").textContent = text;
  clearTimeout(toast.later);
  toast.later = setTimeout(() => { find("toast").textContent = ""; }, 4000);
}

// The service

async function ask(path, init = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  let reply;
  try {
    reply = await fetch(path, { ...init, headers });
  } catch {
    throw { code: "unreachable" };
  }
  const body = await reply.json().catch(() => ({ error: { code: "broken" } }));
  if (reply.ok) return body;
  if (reply.status === 401) find("token").hidden = false;
  throw { ...body.error, wait: Number(reply.headers.get("Retry-After")) };
}

function wishes() {
  const form = find("options").elements;
  const way = WAYS[form.search.value];
  const said = { max_length: form.max_length.value, ...(way ? way(form) : {}) };
  return said;
}

async function caption(card, more = {}) {
  const query = new URLSearchParams({ ...card.wishes, ...more });
  const init = { method: "POST", body: card.file, headers: { "Content-Type": "application/octet-stream" } };
  return (await ask(`/v1/captions?${query}`, init)).photos[0];
}

// The queue: some photos at once, the others wait here rather than there

let running = 0;

async function work() {
  const card = cards.find((each) => each.state === "waiting");
  if (!card || running >= AT_ONCE) return;
  running += 1;
  set(card, "working");
  work();
  const round = card.round;
  let next;
  try {
    const told = await caption(card);
    next = ["done", { caption: told.caption, said: told.caption, logProb: told.log_prob }];
  } catch (reason) {
    if (reason.code === "busy") {
      set(card, "busy");
      await new Promise((resolve) => setTimeout(resolve, 1000 * (reason.wait || 1)));
      next = ["waiting", {}];
    } else {
      next = ["failed", { reason: reason.code in WORDS.en ? reason.code : "broken" }];
    }
  }
  running -= 1;
  if (card.round === round) set(card, ...next);
  work();
}

function set(card, state, more = {}) {
  Object.assign(card, more, { state });
  show(card);
  showCount();
  if (state === "done") announce(say("done", { name: card.file.name, caption: card.caption }));
  if (state === "failed") announce(say("failed", { name: card.file.name, reason: say(card.reason) }));
}

// Cards

function add(files) {
  for (const file of files) {
    const node = find("card").content.cloneNode(true).querySelector("li");
    const card = { file, node, state: "waiting", round: 0, wishes: wishes() };
    const part = (selector) => node.querySelector(selector);
    translate(node);
    part(".name").textContent = file.name;
    const picture = part("img");
    picture.src = URL.createObjectURL(file);
    picture.onerror = () => { part(".picture").hidden = true; };
    part("textarea").oninput = (event) => { card.caption = event.target.value; };
    part(".alt").onclick = () => copy(card.caption);
    part(".html").onclick = () => copy(`<img src="${escaped(file.name)}" alt="${escaped(card.caption)}">`);
    part(".retry").onclick = () => { set(card, "waiting"); work(); };
    part(".behind").ontoggle = () => {
      if (part(".behind").open) look(card);
      else if (card.details) showDetails(card, say); // no word is chosen when it opens again
    };
    cards.push(card);
    find("cards").append(node);
    if (limits && file.size > limits.photo_bytes) set(card, "failed", { reason: "photo_too_large" });
    else show(card);
  }
  find("results").hidden = cards.length === 0;
  showCount();
  work();
}

function show(card) {
  const part = (selector) => card.node.querySelector(selector);
  const done = card.state === "done";
  const state = part(".state");
  state.hidden = done;
  state.classList.toggle("bad", card.state === "failed");
  state.textContent = done ? "" : say(card.state === "failed" ? card.reason : card.state);
  part(".caption").hidden = part(".text > .buttons").hidden = part(".behind").hidden = !done;
  part(".retry").hidden = card.state !== "failed";
  if (done && part("textarea").value !== card.caption) part("textarea").value = card.caption;
  if (card.details) showDetails(card, say);
}

function showCount() {
  const all = cards.length;
  const done = cards.filter((card) => card.state === "done" || card.state === "failed").length;
  find("progress").max = all || 1;
  find("progress").value = done;
  find("count").textContent = say("count", { done, all });
}

async function look(card) {
  if (card.details) return;
  const { round } = card;
  const inside = card.node.querySelector(".inside");
  inside.textContent = say("working");
  try {
    const many = card.wishes.sample ? {} : { n_best: card.wishes.beam || width };
    const told = await caption(card, { details: true, ...many });
    if (card.round !== round) return;
    card.details = { ...told.details, candidates: told.candidates || [] };
    showDetails(card, say);
  } catch (reason) {
    inside.textContent = say(reason.code in WORDS.en ? reason.code : "broken");
  }
}

// What is taken away

function escaped(text) {
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (sign) => signs[sign]);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(say("copied"));
  } catch {
    toast(say("notCopied"));
  }
}

function rows() {
  return cards.filter((card) => card.state === "done").map((card) => ({
    name: card.file.name, caption: card.caption, model_caption: card.said, log_prob: card.logProb,
  }));
}

function csv() {
  // A sheet would take what begins with one of these for a formula.
  const safe = (value) => typeof value === "string" ? value.replace(/^(?=[-=+@\t\r])/, "'") : value;
  const cell = (value) => `"${String(safe(value)).replace(/"/g, '""')}"`;
  const lines = [["name", "caption", "model_caption", "log_prob"], ...rows().map(Object.values)];
  return "\ufeff" + lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The page

function showLimits() {
  if (limits === null) return;
  const megabytes = Math.floor(limits.photo_bytes / 2 ** 20);
  find("limits").textContent = say("limits", { megabytes, megapixels: Math.floor(limits.photo_pixels / 1e6) });
}

async function meet() {
  try {
    const told = await ask("/v1/models");
    limits = told.limits;
    width = told.decoding.sample ? 1 : Math.min(told.decoding.width, 20);
    if (told.decoding.max_length <= 50) find("options").elements.max_length.value = told.decoding.max_length;
    showLimits();
  } catch (reason) {
    toast(say(reason.code in WORDS.en ? reason.code : "broken"));
  }
}

function showWays() {
  const { value } = find("options").elements.search;
  for (const label of find("options").querySelectorAll("[data-for]")) label.hidden = label.dataset.for !== value;
}

function again() {
  for (const card of cards) {
    card.round += 1;
    card.details = null;
    card.wishes = wishes();
    card.node.querySelector(".behind").open = false;
    card.node.querySelector(".inside").replaceChildren();
    unmark(card);
    set(card, "waiting");
  }
  work();
}

function clear() {
  for (const card of cards) {
    card.round += 1;
    URL.revokeObjectURL(card.node.querySelector("img").src);
    card.node.remove();
  }
  cards.length = 0;
  find("results").hidden = true;
  find("choose").focus();
}

function listen() {
  const place = find("place");
  for (const [button, input] of [["choose", "files"], ["shoot", "camera"]]) {
    find(button).onclick = () => find(input).click();
    find(input).onchange = (event) => { add([...event.target.files]); event.target.value = ""; };
  }
  addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over"); });
  addEventListener("dragleave", () => place.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    add([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) add([...event.clipboardData.files]);
  });
  find("options").oninput = showWays;
  find("options").onsubmit = (event) => { event.preventDefault(); again(); };
  find("token").onsubmit = (event) => {
    event.preventDefault();
    // A header has no room for other signs, and no token has them.
    sessionStorage.setItem("token", event.target.elements.token.value.trim().replace(/[^!-~]/g, "?"));
    find("token").hidden = true;
    meet();
    cards.filter((card) => card.reason === "token_wanted").forEach((card) => set(card, "waiting"));
    work();
  };
  find("csv").onclick = () => download("captions.csv", "text/csv;charset=utf-8", csv());
  find("json").onclick = () => download("captions.json", "application/json", JSON.stringify(rows(), null, 2));
  find("clear").onclick = clear;
  for (const button of document.querySelectorAll("[data-language]")) {
    button.onclick = () => speak(button.dataset.language);
  }
}

listen();
const spoken = localStorage.getItem("unrolled.language");
speak(spoken in WORDS ? spoken : navigator.language.startsWith("zh") ? "zh" : "en");
showWays();
meet();
