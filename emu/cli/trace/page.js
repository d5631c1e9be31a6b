"use strict";
/*
 * The diagram: a column for each task, a row for each line that strace would print. Only what is in
 * view is drawn, anew whenever that changes; so a recording may have any length.
 *
 * data.calls: [task, type, row, endRow, enter, spent, flags, name, text, full, errno, [objects]]
 * (see html.c). Row -1 as an end: it never came back.
 */
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const FAILED = 1, SLEPT = 2, NEVER = 4, NATIVE = 8;
const SIGNAL = 1, FORK = 2;
const SOON = new Set(["EAGAIN", "EINPROGRESS", "EALREADY", "EINTR"]);
const HEAD = 52, GUTTER = 92;

const calls = data.calls.map((c, index) => ({
  index, task: c[0], type: c[1], row: c[2], end: c[3], enter: c[4], spent: c[5], flags: c[6],
  name: c[7], text: c[8], full: c[9], errno: c[10], objects: c[11],
}));
const channels = new Map(data.objects.map((object) => [object.number, { ...object, calls: 0,
  bytes: 0, records: 0 }]));
const rows = Math.max(1, data.rows);
const state = { rowHeight: 24, column: 260, picked: null, channel: null, found: [], at: -1,
  hits: new Set() };

/* ---- What belongs together ---- */

function sharedChannel(from, to) {
  for (const number of from.objects) {
    const peer = channels.get(number)?.peer;
    if (to.objects.includes(number) || (peer && to.objects.includes(peer)))
      return number;
  }
  return from.objects[0] ?? 0;
}

const arrows = data.arrows.map(([from, to, amount, records]) => ({
  from: calls[from], to: calls[to], amount, records,
  channel: sharedChannel(calls[from], calls[to]),
}));
const arrowsOf = new Map();
for (const arrow of arrows) {
  for (const call of [arrow.from, arrow.to]) {
    if (!arrowsOf.has(call.index))
      arrowsOf.set(call.index, []);
    arrowsOf.get(call.index).push(arrow);
  }
  const channel = channels.get(arrow.channel);
  if (channel)
    channel[arrow.records ? "records" : "bytes"] += arrow.amount;
}
for (const call of calls)
  for (const number of new Set(call.objects))
    if (channels.has(number))
      channels.get(number).calls++;

/* Two ends of a connection are one channel: that of the smaller number. */
const channelOf = (number) => {
  const peer = channels.get(number)?.peer;
  return peer && peer < number ? peer : number;
};
const hue = (number) => (channelOf(number) * 137.5) % 360; /* the golden angle: neighbours differ */
const colour = (number) => `hsl(${hue(number)} var(--arrow-sat) var(--arrow-light))`;
const isOf = (call, channel) => call.objects.some((number) => channelOf(number) === channel);

/* The rows of a call, for drawing and for looking up which are in view. */
const lastRow = (call) => (call.end < 0 ? taskEnd(data.tasks[call.task]) : call.end);
const taskEnd = (task) => (task.end < 0 ? rows - 1 : task.end);
const byRow = new Array(rows);
for (const call of calls) {
  byRow[call.row] = call;
  if (call.end >= 0)
    byRow[call.end] = byRow[call.end] ?? call;
}

/* ---- Text ---- */

function duration(us) {
  if (us < 1000)
    return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`;
  return us < 1e6 ? `${(us / 1000).toPrecision(3)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

const size = (bytes) => (bytes < 10000 ? `${bytes} B`
  : bytes < 1e6 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`);
const amountText = (arrow) => (arrow.records ? "" : size(arrow.amount));

function resultOf(call) {
  const at = call.text.lastIndexOf(") = ");
  return at < 0 ? "" : call.text.slice(at + 4);
}

const LETTER = 6.65; /* pixels, of a label */

function shorten(text, width) {
  const room = Math.floor(width / LETTER);
  return text.length <= room ? text : room < 2 ? "" : `${text.slice(0, room - 1)}…`;
}

/* A label keeps its result; arguments give way. A call that was split has one at each end. */
function labelOf(call, width) {
  const cut = call.text.lastIndexOf(") = ");
  if (cut < 0)
    return shorten(call.text, width);
  if (call.end !== call.row)
    return shorten(call.text.slice(0, cut + 1).replace(" <unfinished ...>)", ""), width);
  const result = call.text.slice(cut).replace(/ \(.*\)$/, "");
  const room = Math.floor(width / LETTER) - result.length;
  const start = call.text.slice(0, cut);
  return start.length <= room ? start + result
    : room < 8 ? shorten(start + result, width) : `${start.slice(0, room - 1)}…${result}`;
}

const endLabel = (call, width) => shorten(
  `… ${call.name} = ${resultOf(call).replace(/ \(.*\)$/, "")}`, width);

/* ---- Drawing ---- */

const stage = $("stage"), view = $("view");
const SVG = view.namespaceURI;
const middle = (task) => GUTTER + task * state.column + 22;
const y = (row) => (row + 0.5) * state.rowHeight;

function draw(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const key in attributes)
    element.setAttribute(key, attributes[key]);
  if (text !== undefined)
    element.textContent = text;
  parent.append(element);
  return element;
}

const labelRoom = () => state.column - 44;
const isDim = (call) => state.channel !== null && !isOf(call, state.channel);

function kindOf(call) {
  if (call.type === SIGNAL)
    return " signal";
  if (!(call.flags & FAILED))
    return "";
  return SOON.has(call.errno) ? " later" : " error";
}

function drawTime(group, first, last) {
  const every = Math.max(1, Math.ceil(16 / state.rowHeight));
  const gap = Math.min(Math.max(data.duration / 50, 1000), 10000); /* microseconds */
  let before = null;
  draw(group, "rect", { x: stage.scrollLeft, y: first * state.rowHeight, width: GUTTER - 8,
    height: (last - first + 1) * state.rowHeight, class: "gutter" });
  for (let row = Math.max(0, first - 1); row <= last; row++) {
    const call = byRow[row];
    if (!call)
      continue;
    const time = row === call.end ? call.enter + call.spent : call.enter;
    const wide = before !== null && time - before > gap;
    if (row >= first && (row % every === 0 || wide))
      draw(group, "text", { x: stage.scrollLeft + GUTTER - 16, y: y(row) + 4,
        class: wide ? "time gap" : "time" },
        wide ? `+${duration(time - before)}` : `${(time / 1e6).toFixed(6)}`);
    if (wide && row >= first)
      draw(group, "line", { x1: stage.scrollLeft + GUTTER - 8, x2: GUTTER + width(),
        y1: row * state.rowHeight, y2: row * state.rowHeight, class: "gapline" });
    before = time;
  }
}

function drawTasks(group, first, last) {
  data.tasks.forEach((task, index) => {
    const from = Math.max(first, task.begin), to = Math.min(last, taskEnd(task));
    if (index % 2 === 1)
      draw(group, "rect", { x: GUTTER + index * state.column, y: first * state.rowHeight,
        width: state.column, height: (last - first + 1) * state.rowHeight, class: "stripe" });
    if (from > to)
      return;
    draw(group, "line", { x1: middle(index), x2: middle(index), y1: y(from), y2: y(to),
      class: "life" });
    if (task.end >= first && task.end <= last && state.rowHeight >= 10) {
      draw(group, "line", { x1: middle(index) - 7, x2: middle(index) + 7, y1: y(task.end),
        y2: y(task.end), class: "life" });
      draw(group, "text", { x: middle(index) + 12, y: y(task.end) + 4,
        class: `end${task.bad ? " bad" : ""}` }, task.status);
    }
  });
}

function drawBlocked(group, call) {
  if (!(call.flags & (SLEPT | NEVER)) && call.end === call.row)
    return;
  const end = lastRow(call);
  if (end === call.row)
    return;
  draw(group, "rect", { x: middle(call.task) - 5, y: y(call.row), width: 10,
    height: Math.max(2, (end - call.row) * state.rowHeight), rx: 3,
    class: `blocked${call.flags & NEVER ? " forever" : ""}${isDim(call) ? " dim" : ""}` });
}

/* Where a line that goes to the right, or comes from there, leaves a row: behind its label. */
function behind(call, row) {
  if (state.rowHeight < 12)
    return middle(call.task) + 6;
  const text = row === call.row ? labelOf(call, labelRoom()) : endLabel(call, labelRoom());
  return middle(call.task) + 16 + text.length * LETTER;
}

/* How much it carries, where no other arrow says so already. */
function drawAmount(group, arrow, x, at, taken) {
  const place = `${Math.round(x / 40)},${Math.round(at / 12)}`;
  if (amountText(arrow) === "" || taken.has(place))
    return;
  taken.add(place);
  draw(group, "text", { x, y: at, class: "amount", style: `fill:${colour(arrow.channel)}` },
    amountText(arrow));
}

function drawArrow(group, arrow, taken) {
  const { from, to } = arrow;
  const end = lastRow(to), left = middle(to.task) < middle(from.task);
  const x1 = left ? middle(from.task) - 6 : behind(from, from.row);
  const x2 = left || from.task === to.task ? behind(to, end) : middle(to.task) - 6;
  const y1 = y(from.row), y2 = y(end);
  const on = state.picked !== null && (from === state.picked || to === state.picked);
  const dim = state.channel !== null && channelOf(arrow.channel) !== state.channel;
  const out = Math.max(x1, x2) + 36;
  const path = from.task === to.task ? `M${x1} ${y1}C${out} ${y1} ${out} ${y2} ${x2} ${y2}`
    : `M${x1} ${y1}L${x2} ${y2}`;
  draw(group, "path", { d: path, class: `arrow${on ? " on" : ""}${dim ? " dim" : ""}`,
    style: `stroke:${colour(arrow.channel)}`, "marker-end": `url(#tip${channelOf(arrow.channel)})`,
    "data-from": from.index, "data-to": to.index });
  if (state.rowHeight >= 20 && !dim && from.task !== to.task)
    drawAmount(group, arrow, x1 * 0.7 + x2 * 0.3, y1 * 0.7 + y2 * 0.3 - 3, taken);
}

function drawHeads(used) {
  const defs = draw(view, "defs", {});
  for (const number of used) {
    const marker = draw(defs, "marker", { id: `tip${number}`, viewBox: "0 0 8 8", refX: 7, refY: 4,
      markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" });
    draw(marker, "path", { d: "M0 0L8 4L0 8z", style: `fill:${colour(number)}` });
  }
}

function drawBirth(group, call) {
  const child = data.tasks.findIndex((task) => task.maker === call.index);
  if (call.type === FORK && child >= 0)
    draw(group, "path", { d: `M${behind(call, call.row)} ${y(call.row)}` +
      `L${middle(child)} ${y(data.tasks[child].begin)}`, class: "birth" });
}

function drawCall(group, call) {
  const x = middle(call.task), kind = kindOf(call), dim = isDim(call) ? " dim" : "";
  const split = call.end !== call.row;
  const radius = Math.min(5, state.rowHeight / 2.6);
  const band = { x: GUTTER + call.task * state.column, width: state.column,
    height: state.rowHeight };
  if (state.hits.has(call.index))
    draw(group, "rect", { ...band, y: call.row * state.rowHeight, class: "found" });
  if (state.picked === call)
    draw(group, "rect", { ...band, y: call.row * state.rowHeight, class: "picked" });
  draw(group, "circle", { cx: x, cy: y(call.row), r: radius,
    class: `node${split ? " begun" : kind}${dim}` });
  if (split && call.end >= 0)
    draw(group, "circle", { cx: x, cy: y(call.end), r: radius, class: `node${kind}${dim}` });
  if (state.rowHeight >= 12) {
    draw(group, "text", { x: x + 12, y: y(call.row) + 4, class: `call${split ? "" : kind}${dim}` },
      labelOf(call, labelRoom()));
    if (split && call.end >= 0)
      draw(group, "text", { x: x + 12, y: y(call.end) + 4, class: `call soft${kind}${dim}` },
        endLabel(call, labelRoom()));
  }
  for (const row of split && call.end >= 0 ? [call.row, call.end] : [call.row])
    draw(group, "rect", { ...band, y: row * state.rowHeight, class: "hit",
      "data-call": call.index });
}

function visible(first, last) {
  const list = [];
  for (const call of calls)
    if (call.row <= last && lastRow(call) >= first)
      list.push(call);
  return list;
}

const width = () => data.tasks.length * state.column;

function render() {
  const high = stage.clientHeight - HEAD, top = stage.scrollTop;
  const first = Math.max(0, Math.floor(top / state.rowHeight) - 2);
  const last = Math.min(rows - 1, Math.ceil((top + high) / state.rowHeight) + 2);
  view.replaceChildren();
  view.setAttribute("width", stage.clientWidth);
  view.setAttribute("height", Math.max(0, high));
  const group = draw(view, "g", { transform: `translate(${-stage.scrollLeft} ${-top})` });
  const shown = visible(first, last);
  const flying = arrows.filter((a) => a.from.row <= last && lastRow(a.to) >= first);
  drawHeads(new Set(flying.map((arrow) => channelOf(arrow.channel))));
  drawTasks(group, first, last);
  for (const call of shown)
    drawBlocked(group, call);
  for (const call of shown)
    drawBirth(group, call);
  const taken = new Set();
  for (const arrow of flying)
    drawArrow(group, arrow, taken);
  for (const call of shown)
    drawCall(group, call);
  drawTime(group, first, last);
  view.dataset.first = first;
  view.dataset.last = last;
}

let waiting = false;
function later() {
  if (waiting)
    return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; render(); });
}

function layout() {
  const room = stage.clientWidth - GUTTER - 12;
  state.column = Math.max(220, Math.min(460, Math.floor(room / Math.max(1, data.tasks.length))));
  $("paper").style.width = `${GUTTER + width()}px`;
  $("paper").style.height = `${rows * state.rowHeight + 24}px`;
  const head = $("head");
  head.style.width = `${GUTTER + width()}px`;
  head.replaceChildren();
  const corner = document.createElement("div");
  corner.className = "corner";
  corner.style.cssText = `width:${GUTTER - 8}px`;
  corner.innerHTML = "<small>seconds</small>";
  head.append(corner);
  data.tasks.forEach((task, index) => {
    const cell = document.createElement("div");
    cell.className = "task";
    cell.style.cssText = `left:${GUTTER + index * state.column}px;width:${state.column}px`;
    const name = document.createElement("b"), who = document.createElement("small");
    name.textContent = task.program || "?";
    who.textContent = task.tid === task.pid ? `pid ${task.pid}`
      : `thread ${task.tid} of ${task.pid}`;
    cell.append(name, who);
    head.append(cell);
  });
  render();
}

/* ---- The panel at the side ---- */

function line(parent, name, text, className) {
  const dt = document.createElement("dt"), dd = document.createElement("dd");
  dt.textContent = name;
  dd.textContent = text;
  if (className)
    dd.className = className;
  parent.append(dt, dd);
}

function links(parent, title, list) {
  if (list.length === 0)
    return;
  const head = document.createElement("h2"), items = document.createElement("ul");
  head.textContent = title;
  for (const [call, text] of list.slice(0, 50)) {
    const item = document.createElement("li"), button = document.createElement("button");
    button.className = "mono";
    button.textContent = text;
    button.onclick = () => pick(call, true);
    item.append(button);
    items.append(item);
  }
  parent.append(head, items);
}

function arrowLinks(call, outgoing) {
  return (arrowsOf.get(call.index) ?? []).filter((a) => (outgoing ? a.from : a.to) === call)
    .map((a) => [outgoing ? a.to : a.from,
      `${a.records ? `${a.amount} record${a.amount === 1 ? "" : "s"}` : size(a.amount)} ` +
      `${outgoing ? "→" : "←"} ${shorten((outgoing ? a.to : a.from).text, 330)}`]);
}

function showDetails(call) {
  const panel = $("details"), task = data.tasks[call.task];
  const title = document.createElement("h3"), close = document.createElement("button");
  const text = document.createElement("pre"), facts = document.createElement("dl");
  panel.replaceChildren();
  title.textContent = `${call.name}  #${call.index + 1}`;
  close.textContent = "×";
  close.title = "Close (Esc)";
  close.onclick = () => pick(null);
  title.append(close);
  text.textContent = call.full;
  line(facts, "Task", `${task.program} ${task.tid}`);
  line(facts, "Entered", `${(call.enter / 1e6).toFixed(6)} s`);
  line(facts, "Took", call.flags & NEVER ? "never came back" : duration(call.spent));
  if (call.flags & SLEPT)
    line(facts, "Slept", "yes");
  if (call.flags & NATIVE)
    line(facts, "Native", "the kernel served it");
  if (call.type !== SIGNAL && !(call.flags & NEVER))
    line(facts, "Result", resultOf(call), call.flags & FAILED ? "error" : "");
  for (const number of new Set(call.objects))
    line(facts, "Channel", channels.get(number)?.label ?? `${number}`);
  panel.append(title, text, facts);
  links(panel, "Its bytes went to", arrowLinks(call, true));
  links(panel, "Its bytes came from", arrowLinks(call, false));
  panel.hidden = false;
}

function reveal(call) {
  const top = call.row * state.rowHeight, left = GUTTER + call.task * state.column;
  const high = stage.clientHeight - HEAD;
  if (top < stage.scrollTop + 30 || top > stage.scrollTop + high - 60)
    stage.scrollTop = Math.max(0, top - high / 3);
  const right = stage.scrollLeft + stage.clientWidth;
  if (left < stage.scrollLeft + GUTTER || left + state.column > right)
    stage.scrollLeft = Math.max(0, left - GUTTER);
}

function pick(call, scroll) {
  const wasHidden = $("details").hidden;
  state.picked = call;
  if (call)
    showDetails(call);
  else
    $("details").hidden = true;
  history.replaceState(null, "", call ? `#call=${call.index + 1}`
    : location.pathname + location.search);
  if (wasHidden !== $("details").hidden)
    layout();
  if (call && scroll)
    reveal(call);
  render();
}

function listChannels() {
  const list = $("channels");
  for (const channel of channels.values()) {
    if (channelOf(channel.number) !== channel.number || channel.calls === 0)
      continue;
    const peer = channels.get(channel.peer);
    const item = document.createElement("li"), button = document.createElement("button");
    const swatch = document.createElement("i"), label = document.createElement("span");
    const count = document.createElement("small");
    swatch.style.background = colour(channel.number);
    label.textContent = channel.short;
    const bytes = channel.bytes + (peer?.bytes ?? 0);
    const records = channel.records + (peer?.records ?? 0);
    count.textContent = records > 0 ? `${records} rec` : bytes > 0 ? size(bytes) : "";
    button.append(swatch, label, count);
    const name = channel.name || peer?.name;
    if (name) {
      const small = document.createElement("small");
      small.className = "name";
      small.textContent = name;
      button.append(small);
    }
    button.title = `${channel.label}: ${channel.calls + (peer?.calls ?? 0)} calls`;
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => {
      state.channel = state.channel === channel.number ? null : channel.number;
      for (const other of list.querySelectorAll("button"))
        other.setAttribute("aria-pressed", String(other === button && state.channel !== null));
      render();
    };
    item.append(button);
    list.append(item);
  }
}

/* ---- Finding ---- */

function search(text) {
  const wanted = text.trim().toLowerCase();
  state.found = wanted === "" ? [] : calls.filter((c) => c.full.toLowerCase().includes(wanted));
  state.hits = new Set(state.found.map((call) => call.index));
  state.at = -1;
  $("matches").textContent = wanted === "" ? "" : `${state.found.length}`;
  render();
}

function step(by) {
  if (state.found.length === 0)
    return;
  state.at = (state.at + by + state.found.length) % state.found.length;
  $("matches").textContent = `${state.at + 1}/${state.found.length}`;
  pick(state.found[state.at], true);
}

function neighbour(by) {
  const from = state.picked ? state.picked.index : by > 0 ? -1 : calls.length;
  const next = calls[from + by];
  if (next)
    pick(next, true);
}

const failures = calls.filter((c) => (c.flags & FAILED) && !SOON.has(c.errno));
const sleepers = calls.filter((c) => (c.flags & (SLEPT | NEVER)) || c.end !== c.row)
  .sort((a, b) => ((b.flags & NEVER) - (a.flags & NEVER)) || b.spent - a.spent);

function cycle(list) {
  if (list.length > 0)
    pick(list[(list.indexOf(state.picked) + 1) % list.length], true);
}

function zoom(factor, around) {
  const at = around ?? stage.clientHeight / 2;
  const row = (stage.scrollTop + at) / state.rowHeight;
  state.rowHeight = Math.max(2, Math.min(48, Math.round(state.rowHeight * factor)));
  layout();
  stage.scrollTop = row * state.rowHeight - at;
  render();
}

/* ---- The mouse, the keys ---- */

function callAt(event) {
  const index = event.target.dataset?.call;
  return index === undefined ? null : calls[Number(index)];
}

function hover(event) {
  const call = callAt(event), tip = $("tip");
  tip.hidden = call === null;
  if (call === null)
    return;
  const time = document.createElement("small");
  time.textContent = `at ${(call.enter / 1e6).toFixed(6)} s, ` +
    (call.flags & NEVER ? "never came back" : `took ${duration(call.spent)}`) +
    (call.flags & SLEPT ? ", slept" : "");
  tip.className = "mono";
  tip.replaceChildren(call.full, time);
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
}

function key(event) {
  if (event.target === $("search")) {
    if (event.key === "Enter")
      step(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape")
      stage.focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey)
    return;
  const actions = {
    "/": () => $("search").focus(), "Escape": () => pick(null), "+": () => zoom(1.3),
    "-": () => zoom(1 / 1.3), "e": () => cycle(failures), "b": () => cycle(sleepers),
    "n": () => step(1), "N": () => step(-1), "ArrowDown": () => neighbour(1),
    "ArrowUp": () => neighbour(-1), "j": () => neighbour(1), "k": () => neighbour(-1),
  };
  if (actions[event.key]) {
    event.preventDefault();
    actions[event.key]();
  }
}

function listen() {
  stage.addEventListener("scroll", later, { passive: true });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey)
      return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientY - stage.getBoundingClientRect().top);
  }, { passive: false });
  view.addEventListener("mousemove", hover);
  view.addEventListener("mouseleave", () => { $("tip").hidden = true; });
  view.addEventListener("click", (event) => pick(callAt(event)));
  addEventListener("keydown", key);
  addEventListener("resize", layout);
  addEventListener("hashchange", follow);
  $("search").addEventListener("input", (event) => search(event.target.value));
  $("errors").onclick = () => cycle(failures);
  $("longest").onclick = () => cycle(sleepers);
  $("larger").onclick = () => zoom(1.3);
  $("smaller").onclick = () => zoom(1 / 1.3);
  $("theme").onclick = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
}

/* "#call=17&find=EAGAIN&zoom=12&channel=3": what a link to this page may ask for. */
function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.has("zoom")) {
    state.rowHeight = Math.max(2, Math.min(48, Number(wanted.get("zoom")) || 24));
    layout();
  }
  if (wanted.has("theme"))
    document.documentElement.dataset.theme = wanted.get("theme");
  if (wanted.has("find")) {
    $("search").value = wanted.get("find");
    search(wanted.get("find"));
  }
  if (wanted.has("channel"))
    [...$("channels").querySelectorAll("button")][Number(wanted.get("channel")) - 1]?.click();
  const call = calls[Number(wanted.get("call")) - 1];
  if (call)
    pick(call, true);
}

function begin() {
  $("name").textContent = data.name;
  document.title = `${data.name} - sockrig trace`;
  const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  $("counts").textContent = `${plural(data.tasks.length, "task")}, ` +
    `${plural(calls.length, "call")}, ` +
    `${duration(data.duration)}` + (data.left_out > 0 ? `; ${data.left_out} calls left out` : "");
  $("errors").textContent = `${failures.length} failed`;
  $("errors").disabled = failures.length === 0;
  $("longest").textContent = `${sleepers.length} waited`;
  $("longest").disabled = sleepers.length === 0;
  listChannels();
  listen();
  layout();
  follow();
  document.body.dataset.ready = "yes";
}

begin();
