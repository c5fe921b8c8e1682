"use strict";

const at = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1, minimumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const STATUSES = ["matched", "mismatched", "partial"];
const POLL_MS = 1500;
const POINTS = 80;
const rates = [];
let before = null;

function perSecond(value) {
  return value === 0 || value >= 10 ? whole.format(Math.round(value)) : value.toFixed(1);
}

/** Two sides of one rule, written alike: with cents as soon as one of them has some. */
function sides(found) {
  const both = [found.expected, found.actual];
  if (!both.every((one) => typeof one === "number")) return both.map(String);
  const places = both.every(Number.isInteger) ? 0 : 2;
  return both.map((one) => one.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: 6 }));
}

/** What is wrong with a key, one line each: [what, expected, actual]. */
function wrongs(verdict) {
  const missing = verdict.missing_events.map((leg) => [`${leg} is missing`, "", ""]);
  const failed = Object.entries(verdict.validation_errors).map(([rule, found]) => {
    if ("rule_error" in found) return [`${rule}: ${found.rule_error}`, "", ""];
    return "expected" in found ? [rule, ...sides(found)] : [rule, "", ""];
  });
  return [...missing, ...failed];
}

function cell(row, label, kind) {
  const made = row.insertCell();
  made.dataset.label = label;
  if (kind) made.className = kind;
  return made;
}

function lines(into, texts) {
  for (const text of texts) {
    const line = document.createElement("div");
    line.textContent = text;
    into.append(line);
  }
  if (texts.every((text) => text === "")) into.classList.add("none");
}

function keyRow(verdict) {
  const row = document.createElement("tr");
  const found = wrongs(verdict);
  const link = document.createElement("a");
  const path = [verdict.contract, verdict.key].map(encodeURIComponent);
  const client = encodeURIComponent(verdict.client_id);
  link.href = `/api/v1/contracts/${path[0]}/verdicts/${path[1]}?client_id=${client}&history=true`;
  link.textContent = verdict.key;
  const contract = document.createElement("small");
  contract.textContent = verdict.contract;
  cell(row, "Key", "key").append(link, contract);
  cell(row, "Status", `tag ${verdict.status}`).textContent = verdict.status;
  lines(cell(row, "What is wrong"), found.map((one) => one[0]));
  lines(cell(row, "Expected", "right num"), found.map((one) => one[1]));
  lines(cell(row, "Actual", "right num"), found.map((one) => one[2]));
  const when = document.createElement("time");
  when.dateTime = when.title = verdict.created_at;
  when.textContent = clock.format(new Date(verdict.created_at));
  cell(row, "Decided", "right num soft").append(when);
  return row;
}

function showMismatches(verdicts, status) {
  const judged = STATUSES.some((name) => status.verdicts[name] > 0);
  at("waiting").hidden = true;
  at("table").hidden = verdicts.length === 0;
  at("fine").hidden = verdicts.length > 0 || !judged;
  at("bare").hidden = verdicts.length > 0 || judged;
  // A row that somebody has the focus in is not taken from under them.
  if (at("rows").contains(document.activeElement)) return;
  at("rows").replaceChildren(...verdicts.map(keyRow));
}

function showSpark() {
  const most = Math.max(1, ...rates);
  const step = 240 / (POINTS - 1);
  const points = rates.map((rate, n) => {
    const x = 240 - (rates.length - 1 - n) * step;
    return `${x.toFixed(1)},${(54 - (rate / most) * 48).toFixed(1)}`;
  });
  if (points.length < 2) return;
  const first = points[0].split(",")[0];
  at("line").setAttribute("d", `M${points.join("L")}`);
  at("area").setAttribute("d", `M${first},56L${points.join("L")}L240,56Z`);
  const now = perSecond(rates[rates.length - 1]);
  at("rate").textContent = now;
  at("spark").setAttribute("aria-label", `Verdicts a second: now ${now}, at most ${perSecond(most)}`);
}

function showRates(status, total) {
  const now = performance.now();
  if (before !== null && now > before.now) {
    const seconds = (now - before.now) / 1000;
    rates.push(Math.max(0, (total - before.total) / seconds));
    rates.splice(0, rates.length - POINTS);
    at("events-rate").textContent = `${perSecond(Math.max(0, (status.head - before.head) / seconds))}/s`;
    showSpark();
  }
  before = { head: status.head, total, now };
}

function showStatus(status) {
  const total = STATUSES.reduce((sum, name) => sum + (status.verdicts[name] ?? 0), 0);
  for (const name of STATUSES) {
    const count = status.verdicts[name] ?? 0;
    at(name).textContent = whole.format(count);
    const share = at(`${name}-share`);
    if (share) share.textContent = total > 0 ? percent.format(count / total) : "";
    const part = at("bar").querySelector(`.${name}`);
    part.hidden = count === 0;
    part.style.flexGrow = String(count);
  }
  at("share").textContent = total > 0 ? percent.format((status.verdicts.matched ?? 0) / total) : "–";
  at("of").textContent = total > 0 ? `of ${whole.format(total)} keys judged` : "no key is judged yet";
  at("head").textContent = whole.format(status.head);
  at("contracts").textContent = whole.format(status.contracts);
  showRates(status, total);
  at("version").textContent = status.version;
  at("lag").textContent =
    status.lag_events === 0 ? "· views are caught up" : `· views are ${whole.format(status.lag_events)} events behind`;
  showState(status.ready ? "ready" : "not ready", status.ready);
}

function showState(text, good) {
  const state = at("state");
  if (state.textContent === text) return;
  state.textContent = text;
  state.className = `state ${good ? "good" : "bad"}`;
}

async function read(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  try {
    const [status, wrong] = await Promise.all([
      read("/api/v1/status"),
      read("/api/v1/reconciliation/mismatches?limit=12"),
    ]);
    showStatus(status);
    showMismatches(wrong.verdicts, status);
  } catch {
    showState("no answer, trying again", false);
    before = null;
  }
  setTimeout(refresh, document.hidden ? 10000 : POLL_MS);
}

refresh();
