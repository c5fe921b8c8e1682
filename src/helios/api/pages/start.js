"use strict";

const at = (id) => document.getElementById(id);
const shown = new Intl.NumberFormat("en");
const STATUSES = ["matched", "mismatched", "partial"];
let before = null;

function why(verdict) {
  const missing = verdict.missing_events.map((leg) => `${leg} is missing`);
  const wrong = Object.entries(verdict.validation_errors).map(([rule, found]) => {
    if ("rule_error" in found) return `${rule}: ${found.rule_error}`;
    if ("expected" in found) return `${rule}: ${found.actual} instead of ${found.expected}`;
    return rule;
  });
  return [...missing, ...wrong].join("; ") || "–";
}

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function showMismatches(verdicts) {
  at("table").hidden = verdicts.length === 0;
  at("empty").hidden = verdicts.length > 0;
  const rows = verdicts.map((verdict) => {
    const row = document.createElement("tr");
    cell(row, verdict.key, "key");
    cell(row, verdict.contract);
    cell(row, verdict.status, `tag ${verdict.status}`);
    cell(row, why(verdict));
    cell(row, verdict.created_at.replace("T", " ").replace(/\.\d+Z$|Z$/, ""), "num");
    return row;
  });
  at("rows").replaceChildren(...rows);
}

function showStatus(status) {
  for (const name of STATUSES) {
    const count = status.verdicts[name] ?? 0;
    at(name).textContent = shown.format(count);
    const part = at("bar").querySelector(`.${name}`);
    part.hidden = count === 0;
    part.style.flexGrow = String(count);
  }
  at("head").textContent = shown.format(status.head);
  at("contracts").textContent = shown.format(status.contracts);
  const now = performance.now();
  if (before !== null) {
    const perSecond = ((status.head - before.head) * 1000) / (now - before.now);
    at("rate").textContent = shown.format(Math.max(0, Math.round(perSecond)));
  }
  before = { head: status.head, now };
  at("version").textContent = status.version;
  at("lag").textContent =
    status.lag_events === 0 ? "views are caught up" : `views are ${shown.format(status.lag_events)} events behind`;
  const state = at("state");
  state.textContent = status.ready ? "ready" : "not ready";
  state.className = `state ${status.ready ? "good" : "bad"}`;
}

async function read(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function refresh() {
  try {
    showStatus(await read("/api/v1/status"));
    showMismatches((await read("/api/v1/reconciliation/mismatches?limit=20")).verdicts);
  } catch (error) {
    at("state").textContent = "no answer";
    at("state").className = "state bad";
    before = null;
  }
  setTimeout(refresh, document.hidden ? 10000 : 1500);
}

refresh();
