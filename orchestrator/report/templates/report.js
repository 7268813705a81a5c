// The examples: filters over an index of all questions, and texts fetched for one page at a time.
const PAGE = 10;
const at = id => document.getElementById(id);
const make = (tag, text = "", name = "") => {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
};
const fill = (select, entries) =>
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));

const report = {
  indices: {}, chunks: {}, waiting: {}, found: [], page: 0, turn: 0,
  index(name, index) { this.indices[name] = index; this.done(`${name}/index`); },
  chunk(name, number, texts) {
    this.chunks[`${name}/${number}`] = texts;
    this.done(`${name}/${number}`);
  },
  done(file) { this.waiting[file]?.resolve(); },
  // A script and not fetch(): pages opened from a disk may load no other way.
  load(file) {
    if (!this.waiting[file]) {
      const wait = {};
      wait.promise = new Promise((resolve, reject) => Object.assign(wait, { resolve, reject }));
      const script = make("script");
      script.src = `examples/${file}.js`;
      script.onerror = () => wait.reject(new Error(`examples/${file}.js is not beside this page`));
      this.waiting[file] = wait;
      document.head.append(script);
    }
    return this.waiting[file].promise;
  },
};

async function open() {
  const name = at("benchmark").value;
  await report.load(`${name}/index`);
  const { checkpoints, categories, tasks } = report.indices[name];
  const numbered = (all, list) => [["", all], ...list.map((text, n) => [n, text.replaceAll("_", " ")])];
  fill(at("category"), numbered("every category", categories));
  fill(at("task"), numbered("every task", tasks));
  at("task").hidden = tasks.length < 2;
  const states = [["1", "right"], ["0", "wrong"], ["e", "failed in the engine"]];
  fill(at("verdict"), [["", "right or wrong"],
    ...checkpoints.flatMap((c, n) => states.map(([s, text]) => [`${n}:${s}`, `${c} ${text}`]))]);
  const pairs = checkpoints.slice(1).map((c, n) => [n, n + 1, checkpoints[n], c]);
  if (checkpoints.length > 2) pairs.push([0, checkpoints.length - 1, checkpoints[0], checkpoints.at(-1)]);
  fill(at("change"), [["", "changed or not"],
    ...pairs.flatMap(([i, j, a, b]) => [[`${i}:0 ${j}:1`, `${a} wrong, ${b} right`],
                                        [`${i}:1 ${j}:0`, `${a} right, ${b} wrong`]])]);
  at("change").hidden = checkpoints.length < 2;
  await filter();
}

function filter() {
  const index = report.indices[at("benchmark").value];
  const [category, task, verdict, change] =
    ["category", "task", "verdict", "change"].map(id => at(id).value);
  const wanted = `${verdict} ${change}`.split(" ").filter(Boolean).map(one => one.split(":"));
  report.found = [];
  index.verdicts.forEach((signs, n) => {
    if (category !== "" && index.category[n] !== +category) return;
    if (task !== "" && index.task[n] !== +task) return;
    if (wanted.some(([checkpoint, sign]) => signs[checkpoint] !== sign)) return;
    report.found.push(n);
  });
  report.page = 0;
  return show();
}

async function show() {
  const turn = ++report.turn, name = at("benchmark").value, index = report.indices[name];
  const start = report.page * PAGE, shown = report.found.slice(start, start + PAGE);
  const file = n => `${name}/${Math.floor(n / index.chunk)}`;
  await Promise.all([...new Set(shown.map(file))].map(f => report.load(f)));
  if (turn !== report.turn) return; // another page was asked for in the meantime
  at("examples").replaceChildren(...shown.map(
    n => article(index, n, report.chunks[file(n)][n % index.chunk])));
  const last = start + shown.length, all = index.verdicts.length;
  at("count").textContent = shown.length
    ? `${start + 1} to ${last} of ${report.found.length.toLocaleString("en")}` +
      (report.found.length < all ? ` (of ${all.toLocaleString("en")} questions)` : " questions")
    : "no such question";
  at("before").disabled = start === 0;
  at("after").disabled = last >= report.found.length;
}

function article(index, n, { id, clip, strips, question, options, answer, answers }) {
  const whole = make("article"), ask = make("div", "", "ask"), text = make("div");
  for (const [file, width, height] of strips) {
    const picture = new Image(width, height);
    Object.assign(picture, { loading: "lazy", alt: "frames of the clip", src: `examples/frames/${file}` });
    const frames = make("div", "", "strip");
    frames.append(picture);
    whole.append(frames);
  }
  const category = index.categories[index.category[n]].replaceAll("_", " ");
  const caption = strips.map(strip => strip[3]).join(" · ") || "no frames in the cache";
  whole.append(make("p", `${category} · ${caption} · ${clip} · ${id}`, "note"));
  const list = make("ol");
  options.forEach((option, place) =>
    list.append(make("li", option, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[place] === answer ? "truth" : "")));
  text.append(make("p", question), list);
  const given = make("div", "", "answers");
  answers.forEach((one, place) =>
    given.append(response(index.checkpoints[place], index.verdicts[n][place], one)));
  ask.append(text, given);
  whole.append(ask);
  return whole;
}

function response(checkpoint, sign, given) {
  const box = make("div", "", "answer" + ({ 1: " right", 0: "", e: " failed" })[sign]);
  const mark = { 1: " ✓", 0: " ✗", e: "failed in the engine" }[sign];
  box.append(make("span", (given ? given.letter ?? "no answer" : "") + mark, "verdict"));
  box.append(make("b", checkpoint));
  if (given) box.append(" ", make("em", `${given.tokens} tokens`));
  for (const [tag, text] of Object.entries(given?.blocks ?? {})) {
    const line = make("div");
    line.append(make("em", tag), text);
    if (tag !== "answer") box.append(line);
  }
  if (given && !given.blocks) box.append(make("pre", given.response || "(empty)"));
  return box;
}

async function turn(step) {
  report.page += step;
  await show();
  at("filters").scrollIntoView();
}

if (at("examples")) {
  const or = action => () =>
    Promise.resolve(action()).catch(error => { at("count").textContent = error.message; });
  at("benchmark").addEventListener("change", or(open));
  for (const id of ["category", "task", "verdict", "change"]) at(id).addEventListener("change", or(filter));
  at("before").addEventListener("click", or(() => turn(-1)));
  at("after").addEventListener("click", or(() => turn(1)));
  or(open)();
}
