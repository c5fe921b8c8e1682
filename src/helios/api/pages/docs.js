"use strict";

function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function typeOf(schema, schemas) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(one, schemas)).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items, schemas) || "anything"}`;
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "object") return "object";
  return schema.type || "any JSON";
}

function fieldsOf(schema, schemas) {
  if (schema && schema.type === "array") return fieldsOf(schema.items, schemas);
  const found = schema && schema.$ref ? schemas[schema.$ref.split("/").pop()] : schema;
  return found && found.properties ? found : null;
}

function table(rows) {
  const made = make("table");
  for (const [name, kind, text] of rows) {
    const row = made.insertRow();
    row.insertCell().append(make("code", name));
    row.insertCell().textContent = kind;
    row.insertCell().textContent = text || "";
  }
  return made;
}

function content(title, media, schemas) {
  const parts = [];
  for (const [kind, { schema }] of Object.entries(media || {})) {
    parts.push(make("h3", `${title} · ${kind} · ${typeOf(schema, schemas)}`));
    const found = fieldsOf(schema, schemas);
    if (found) {
      const needed = new Set(found.required || []);
      parts.push(table(Object.entries(found.properties).map(([name, one]) =>
        [name, typeOf(one, schemas), needed.has(name) ? "required" : ""])));
    }
  }
  return parts;
}

function operation(method, path, found, schemas) {
  const made = make("details");
  made.id = found.operationId;
  const summary = make("summary");
  summary.append(make("span", method.toUpperCase(), "verb"), make("code", path),
    make("span", found.summary, "what"));
  const inner = make("div", "", "inner");
  if (found.parameters.length > 0) {
    inner.append(make("h3", "Parameters"), table(found.parameters.map((one) =>
      [one.name, `${one.in} ${one.schema.type}`, one.description])));
  }
  inner.append(...content("Body", found.requestBody && found.requestBody.content, schemas));
  for (const [status, reply] of Object.entries(found.responses)) {
    if (status === "default") continue;
    inner.append(...content(`${status} ${reply.description}`, reply.content, schemas));
  }
  made.append(summary, inner);
  return made;
}

async function show() {
  const api = await (await fetch("/openapi.json")).json();
  document.getElementById("version").textContent = api.info.version;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, found] of Object.entries(methods)) {
      const tag = found.tags[0];
      if (!groups.has(tag)) groups.set(tag, make("div", "", "sheet"));
      groups.get(tag).append(operation(method, path, found, api.components.schemas));
    }
  }
  for (const [tag, sheet] of groups) {
    document.getElementById("groups").append(make("h2", tag), sheet);
  }
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

show();
