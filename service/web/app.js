// The page for people: text in, POST /analyze, labelled sentences and a summary out. Text only ever enters
// the page as text nodes.

const TARGETS = { russia: "Russia", north_korea: "North Korea", united_states: "United States" };
const HOLDERS = { author: "the author", ...TARGETS, united_states: "the United States", other: "another source" };
const FRAMES = { sacred_struggle: "Sacred struggle", desperation: "Desperation" };
const VIEWS = { ...TARGETS, framing: "Framing", sentiment: "Sentiment" };
const MARKS = { favor: "+", against: "−", neutral: "=", positive: "+", negative: "−", sacred_struggle: "S", desperation: "D" };
const EXAMPLE = `PYONGYANG, June 20 — The leaders of Russia and North Korea met for more than two hours on Wednesday and signed a partnership treaty.

“The Russian people have risen in a just war to defend their sovereignty, and our Republic will always stand at their side,” Kim Jong Un told his guest, state media reported. He called the friendship of the two countries invincible.

Analysts said the trip showed how badly Moscow needs shells and friends after two years of sanctions. “This is a marriage of convenience between two isolated regimes,” a former diplomat in Tokyo said.

The White House condemned the treaty and warned that arming Moscow would violate UN resolutions. Washington announced no new measures. A commentary by the KCNA accused the United States of stirring up war in Asia and called its drills a rehearsal for invasion.

Read more: What is in the treaty

Officials from both countries will meet again in the autumn.`;

const at = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)}%`;
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(2)}`;

function make(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Asking ----------------------------------------------------------------------------------------------------

let request = null;

async function analyze(text) {
  request = new AbortController();
  busy(true);
  show("status", make("p", { className: "notice working" }, `Labelling ${text.length.toLocaleString("en")} characters…`));
  show("alert");
  try {
    const response = await fetch("/analyze", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ documents: [{ id: "page", text }] }),
      signal: request.signal,
    });
    const answer = await response.json();
    if (response.ok) present(text, answer);
    else fail(answer.detail, answer.errors);
  } catch (error) {
    if (error.name === "AbortError") show("status", make("p", { className: "notice" }, "Stopped."));
    else fail("The server cannot be reached, or gave an answer that is no JSON. Is it still running?");
  } finally {
    busy(false);
  }
}

function busy(working) {
  at("submit").disabled = working;
  at("cancel").hidden = !working;
  at("results").setAttribute("aria-busy", working);
}

function show(id, ...children) {
  at(id).replaceChildren(...children.filter((child) => child !== null));
}

function fail(detail, errors = []) {
  const list = errors.map(({ field, detail: why }) => make("li", {}, `${field.replace("documents[0].text", "The text")} ${why}`));
  at("results").hidden = at("summary").hidden = true;
  show("status");
  const said = detail[0].toUpperCase() + detail.slice(1);
  show("alert", make("div", { className: "notice error" }, said, list.length ? make("ul", {}, ...list) : null));
}

// Sentences ---------------------------------------------------------------------------------------------------

let shown = { text: "", sentences: [], elements: [], chosen: 0, view: "russia" };

function present(text, answer) {
  const { sentences, summary } = answer.documents[0];
  const warnings = (answer.warnings ?? []).map((warning) => make("p", { className: "notice" }, warning));
  at("results").hidden = at("summary").hidden = !sentences.length;
  if (!sentences.length) {
    show("status", make("p", { className: "notice" }, "There is no sentence in this text."));
    return;
  }
  show("status", make("p", { className: "unseen" }, `${sentences.length} sentences labelled.`), ...warnings);
  shown = { ...shown, text, sentences, chosen: 0 };
  drawDocument();
  drawSummary(summary);
  close();
  at("results").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

// What the chosen view says of a sentence: classes for its colour, a mark, and words for those who hear the page.
function reading(sentence, view) {
  if (sentence.kind === "furniture") return { names: ["furniture"], words: "page furniture, not counted" };
  if (view === "framing") {
    const labels = sentence.framing.labels;
    const words = labels.map((frame) => `${FRAMES[frame]} ${percent(sentence.framing.probabilities[frame])}`);
    return { names: labels, mark: labels.map((frame) => MARKS[frame]).join(""), words: words.join(", ") || "no frame" };
  }
  const said = view === "sentiment" ? sentence.sentiment : sentence.stance[view];
  const holder = said.holder ? `, held by ${HOLDERS[said.holder]}` : "";
  const abstained = said.abstained ? ", abstained" : "";
  const seen = said.label !== "absent" || said.abstained;
  return {
    names: [seen ? said.label : "", said.abstained ? "abstained" : ""].filter(Boolean),
    mark: (MARKS[said.label] ?? "") + (said.abstained ? "?" : ""),
    words: `${VIEWS[view]}: ${said.label} ${percent(said.confidence)}${abstained}${holder}`,
  };
}

function drawDocument() {
  const points = Array.from(shown.text);
  let paragraph = make("p");
  let end = 0;
  const paragraphs = [paragraph];
  shown.elements = shown.sentences.map((sentence, i) => {
    const gap = points.slice(end, sentence.start).join("");
    end = sentence.end;
    if (i && gap.includes("\n")) paragraphs.push((paragraph = make("p")));
    else if (i && gap) paragraph.append(" ");
    const element = make("span", { tabIndex: i ? -1 : 0 });
    element.setAttribute("role", "button");
    element.addEventListener("mouseenter", () => choose(i));
    element.addEventListener("focus", () => choose(i));
    element.addEventListener("click", () => open(i));
    paragraph.append(element);
    return element;
  });
  show("document", ...paragraphs);
  drawView();
  choose(0);
}

function drawView() {
  shown.elements.forEach((element, i) => {
    const { names, mark, words } = reading(shown.sentences[i], shown.view);
    element.className = ["sentence", ...names].join(" ");
    const sign = mark ? make("span", { className: "mark", aria: { hidden: "true" } }, mark) : null;
    element.replaceChildren(...[sign, shown.sentences[i].text, make("span", { className: "unseen" }, `(${words})`)].filter(Boolean));
    element.title = words;
  });
  const keys = { framing: ["sacred_struggle", "desperation"], sentiment: ["positive", "negative", "neutral"] }[shown.view];
  const labels = keys ?? ["favor", "against", "neutral"];
  const swatch = (name, mark, words) =>
    make("li", {}, make("span", { className: `sentence ${name}` }, make("span", { className: "mark" }, mark), words));
  show(
    "legend",
    ...labels.map((label) => swatch(label, MARKS[label], FRAMES[label] ?? label)),
    ...(keys ? [] : [swatch("neutral abstained", "?", "abstained: too unsure to count on"), make("li", {}, "unmarked: absent")]),
    make("li", {}, make("span", { className: "sentence furniture" }, "page furniture")),
  );
}

// Details of one sentence ----------------------------------------------------------------------------------------

function choose(i) {
  shown.elements[shown.chosen].tabIndex = -1;
  shown.elements[shown.chosen].removeAttribute("aria-current");
  shown.elements[i].tabIndex = 0;
  shown.elements[i].setAttribute("aria-current", "true");
  shown.chosen = i;
  const sentence = shown.sentences[i];
  const furniture = sentence.kind === "furniture";
  const entries = [
    ...Object.entries(TARGETS).map(([key, name]) => entry(name, sentence.stance[key])),
    entry("Sentiment", sentence.sentiment),
    ...Object.entries(FRAMES).map(([key, name]) => frameEntry(name, key, sentence.framing)),
  ];
  show(
    "details",
    make("button", { className: "close", type: "button", onclick: close }, "Close"),
    make("h3", {}, `Sentence ${i + 1} of ${shown.sentences.length}`),
    make("p", { className: sentence.evidence ? "quote whole" : "quote" }, ...marked(sentence)),
    furniture ? null : why(sentence, i),
    furniture ? make("p", { className: "quiet" }, "Page furniture: left out of the summary.") : null,
    sentence.truncated ? make("p", { className: "quiet" }, "Longer than the model reads: its end was left out.") : null,
    make("dl", {}, ...entries),
  );
}

// The words that moved the labels most: asked for one sentence at a time, since each word takes a pass.
function why(sentence, i) {
  if (sentence.evidence) {
    if (!sentence.evidence.length) return make("p", { className: "quiet" }, "No single word moved a label: nobody evaluates, or many words do.");
    const named = [...new Set(sentence.evidence.map((word) => word.for))].map((key) => ({ ...TARGETS, ...FRAMES })[key]);
    return make("p", { className: "quiet" }, `Underlined: the words that moved ${named.join(", ")} most. Point at one for how far.`);
  }
  const button = make("button", { type: "button", className: "link" }, "Which words moved the labels?");
  button.addEventListener("click", () => explain(i, button));
  return button;
}

async function explain(i, button) {
  const sentence = shown.sentences[i];
  button.disabled = true;
  button.textContent = "Looking…";
  try {
    const response = await fetch("/predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sentences: [sentence.text], evidence: true }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail);
    sentence.evidence = answer.sentences[0].evidence;
    if (shown.sentences[shown.chosen] === sentence) choose(i);
  } catch {
    button.disabled = false;
    button.textContent = "The server could not say; try again";
  }
}

function marked(sentence) {
  const points = Array.from(sentence.text);
  const words = new Map();
  for (const { for: key, start, end, weight } of sentence.evidence ?? []) {
    const said = `${{ ...TARGETS, ...FRAMES }[key]}: ${percent(weight)} less sure without it`;
    words.set(start, { end, said: [...(words.get(start)?.said ?? []), said] });
  }
  const parts = [];
  let place = 0;
  for (const [start, { end, said }] of [...words].sort(([a], [b]) => a - b)) {
    parts.push(points.slice(place, start).join(""));
    parts.push(make("mark", { title: said.join("\n") }, points.slice(start, end).join("")));
    place = end;
  }
  return [...parts, points.slice(place).join("")];
}

function entry(name, said) {
  const held = said.holder ? ` by ${HOLDERS[said.holder]}` : "";
  const value = make("span", { className: `value ${said.label}` }, `${said.label}${said.abstained ? " (abstained)" : ""}`);
  return make(
    "div",
    {},
    make("dt", {}, name),
    make("dd", {}, make("div", { className: "said" }, make("span", {}, value, held), percent(said.confidence)), bar(said.probabilities)),
  );
}

function frameEntry(name, key, framing) {
  const there = framing.labels.includes(key);
  const value = make("span", { className: there ? `value ${key}` : "" }, there ? "yes" : "no");
  const probability = framing.probabilities[key];
  return make(
    "div",
    {},
    make("dt", {}, name),
    make("dd", {}, make("div", { className: "said" }, value, percent(probability)), bar({ [key]: probability, absent: 1 - probability })),
  );
}

function bar(shares) {
  const parts = Object.entries(shares).map(([label, share]) => {
    const part = make("i", { className: label, title: `${label} ${percent(share)}` });
    part.style.flex = `${share} 0 0`;
    return part;
  });
  return make("div", { className: "bar", aria: { hidden: "true" } }, ...parts);
}

function open(i) {
  choose(i);
  at("details").classList.add("open");
  shown.elements[i].scrollIntoView({ block: "nearest" });
}

function close() {
  at("details").classList.remove("open");
}

function step(event) {
  const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const i = shown.elements.indexOf(document.activeElement);
  if (i < 0) return;
  if (event.key in moves) {
    event.preventDefault();
    shown.elements[i + moves[event.key]]?.focus();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    open(i);
  }
}

// Summary ---------------------------------------------------------------------------------------------------------

function drawSummary(summary) {
  const count = summary.sentences === 1 ? "1 sentence" : `${summary.sentences} sentences`;
  show("summary-note", `${count}, page furniture left out. Ranges are 95% intervals that include the model’s own error.`);
  show("targets", ...Object.entries(TARGETS).map(([key, name]) => targetCard(name, summary.stance[key])));
  show("frames", ...Object.entries(FRAMES).map(([key, name]) => frameCard(name, summary.framing[key])));
}

function targetCard(name, { mentioned, counts, by_holder, net }) {
  if (!mentioned) return make("div", { className: "card" }, make("h3", {}, name), make("p", { className: "quiet" }, "Not mentioned."));
  const labels = ["favor", "neutral", "against"];
  const items = labels.map((label) => make("li", { className: label }, make("b", {}, `${counts[label]} `), label));
  return make(
    "div",
    { className: "card" },
    make("h3", {}, name),
    make("p", { className: "quiet" }, `mentioned in ${mentioned}`),
    bar(Object.fromEntries(labels.map((label) => [label, counts[label] / mentioned]))),
    make("ul", { className: "counts" }, ...items),
    figure("net stance", net, -1, ["all against", "all in favor"], signed),
    holderTable(by_holder),
  );
}

function holderTable(holders) {
  const rows = Object.entries(holders).filter(([, { favor, against }]) => favor + against);
  if (!rows.length) return null;
  const cells = rows.map(([holder, { favor, against }]) =>
    make("tr", {}, make("th", { scope: "row" }, HOLDERS[holder]), make("td", {}, favor), make("td", {}, against)),
  );
  const head = ["holder", "favor", "against"].map((title) => make("th", { scope: "col" }, title));
  return make("table", {}, make("caption", {}, "Who holds it"), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...cells));
}

function frameCard(name, share) {
  const body = share ? figure("of the sentences", share, 0, ["none", "all"], percent) : make("p", { className: "quiet" }, "No sentence.");
  return make("div", { className: "card" }, make("h3", {}, name), body);
}

function figure(name, { value, low, high }, least, ends, write) {
  const place = (x) => `${(100 * (x - least)) / (1 - least)}%`;
  const range = make("span", { className: "range" });
  const point = make("span", { className: "point" });
  const zero = make("span", { className: "zero" });
  Object.assign(range.style, { left: place(low), right: `calc(100% - ${place(high)})` });
  point.style.left = place(value);
  zero.style.left = place(0);
  return make(
    "div",
    { className: "figure" },
    make("p", {}, make("strong", {}, write(value)), ` ${name} `, make("span", { className: "quiet" }, `(${write(low)} to ${write(high)})`)),
    make("div", { className: "axis", aria: { hidden: "true" } }, zero, range, point),
    make("div", { className: "ends", aria: { hidden: "true" } }, ...ends.map((end) => make("span", {}, end))),
  );
}

// Start -------------------------------------------------------------------------------------------------------------

function measure() {
  const size = at("text").value.length;
  show("size", size ? `${size.toLocaleString("en")} characters` : "Ctrl + Enter labels");
}

function submit() {
  const text = at("text").value.toWellFormed?.() ?? at("text").value;
  if (text.trim()) analyze(text);
  else {
    fail("Paste a text first, or try the example.");
    at("text").focus();
  }
}

function start() {
  const choices = Object.entries(VIEWS).map(([value, name]) => {
    const input = make("input", { type: "radio", name: "view", value, checked: value === shown.view });
    return make("label", {}, input, make("span", {}, name));
  });
  show("views", ...choices);
  at("views").addEventListener("change", (event) => {
    shown.view = event.target.value;
    drawView();
  });
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  at("text").addEventListener("input", measure);
  at("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
  });
  at("document").addEventListener("keydown", step);
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  at("cancel").addEventListener("click", () => request?.abort());
  at("example").addEventListener("click", () => {
    at("text").value = EXAMPLE;
    measure();
    submit();
  });
  at("clear").addEventListener("click", () => {
    at("text").value = "";
    at("results").hidden = at("summary").hidden = true;
    for (const id of ["status", "alert"]) show(id);
    measure();
    at("text").focus();
  });
  measure();
  fetch("/model")
    .then((response) => response.json())
    .then(({ tag }) => show("model", tag))
    .catch(() => show("model"));
}

start();
