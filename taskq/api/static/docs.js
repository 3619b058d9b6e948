// Shows /openapi.json. Every text goes in as text: the document has names and sentences that others chose.

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 6;

let openapi;

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// `code` in backticks, and nothing else of Markdown.
function prose(text) {
  return (text ?? "").split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

function paragraphs(text) {
  return (text ?? "").split("\n\n").map((part) => el("p", {}, prose(part)));
}

function resolve(node) {
  while (node?.$ref) node = node.$ref.slice(2).split("/").reduce((at, step) => at[step], openapi);
  return node ?? {};
}

function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : undefined;
}

function kind(schema) {
  const name = nameOf(schema);
  const found = resolve(schema);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (found.anyOf) return found.anyOf.map(kind).join(" or ");
  if (found.type === "array") return `list of ${kind(found.items ?? {})}`;
  if (name) return name;
  return found.format ?? found.type ?? "any JSON value";
}

function limits(schema) {
  const found = resolve(schema);
  const words = {
    minimum: "at least", maximum: "at most", minLength: "length at least", maxLength: "length at most",
    minItems: "items at least", maxItems: "items at most", pattern: "pattern", default: "default",
  };
  const told = Object.entries(words).filter(([word]) => found[word] !== undefined);
  return [
    ...told.map(([word, text]) => `${text} ${found[word]}`),
    ...(found.anyOf ?? []).flatMap(limits),
    ...(found.type === "array" && found.items && !nameOf(found.items) ? limits(found.items).map((text) => `each: ${text}`) : []),
  ];
}

// The schema whose members are worth showing: through lists and alternatives.
function inner(schema) {
  const found = resolve(schema);
  if (found.properties) return [schema];
  if (found.items) return inner(found.items);
  return (found.anyOf ?? []).flatMap(inner);
}

function members(schema, seen = []) {
  const found = resolve(schema);
  const name = nameOf(schema);
  if (!found.properties || seen.includes(name) || seen.length > DEEPEST) return null;
  const entries = Object.entries(found.properties).map(([key, value]) => {
    const told = limits(value);
    return [
      el("dt", {}, el("code", {}, key), " ", el("span", { class: "kind" }, kind(value)), " ",
        found.required?.includes(key) ? el("span", { class: "needed" }, "always") : null),
      el("dd", {}, prose(value.description ?? ""), told.length ? el("div", { class: "quiet" }, told.join("; ")) : null,
        inner(value).map((each) => folded(each, [...seen, name]))),
    ];
  });
  return el("dl", { class: "members" }, entries);
}

function folded(schema, seen = []) {
  const shown = members(schema, seen);
  if (!shown) return null;
  return el("details", { class: "shape" }, el("summary", {}, nameOf(schema) ?? "members"), shown);
}

function shape(schema) {
  const found = resolve(schema);
  const told = limits(schema);
  return [
    el("p", {}, el("span", { class: "kind" }, kind(schema)), found.description ? [" ", prose(found.description)] : null,
      told.length ? el("span", { class: "quiet" }, ` ${told.join("; ")}`) : null),
    inner(schema).map((each, at) => {
      const node = folded(each);
      if (node && at === 0) node.open = true;
      return node;
    }),
  ];
}

function code(text, label) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  });
  return el("div", {}, button, el("pre", { tabindex: "0" }, el("code", {}, text)));
}

function parameters(operation) {
  const rows = operation.parameters.map(resolve).map((each) =>
    el("tr", {},
      el("td", {}, el("code", {}, each.name), el("div", { class: "quiet" }, each.in)),
      el("td", {}, el("span", { class: "kind" }, kind(each.schema)), " ",
        each.required ? el("span", { class: "needed" }, "required") : null),
      el("td", {}, prose(each.description), el("div", { class: "quiet" }, limits(each.schema).join("; "))),
    ));
  const head = el("tr", {}, ["Name", "Kind", "Meaning"].map((text) => el("th", { scope: "col" }, text)));
  return rows.length ? [el("h4", {}, "Parameters"), el("table", {}, el("thead", {}, head), el("tbody", {}, rows))] : null;
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(path, method, operation) {
  const filled = operation.parameters.map(resolve).filter((each) => each.in === "path")
    .reduce((at, each) => at.replace(`{${each.name}}`, each.example ?? `$${each.name.toUpperCase()}`), path);
  const example = Object.values(operation.requestBody?.content["application/json"]?.examples ?? {})[0];
  const line = [`curl -s ${method === "get" ? "" : `-X ${method.toUpperCase()} `}"${location.origin}${filled}"`];
  if (operation.security?.length) line.push('-H "Authorization: Bearer $TASKQ_TOKEN"');
  if (example) line.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(resolve(example).value))}`);
  return line.join(" \\\n     ");
}

function request(operation) {
  const body = operation.requestBody;
  if (!body) return null;
  return [
    el("h4", {}, body.required ? "Body" : "Body (may be left out)"),
    Object.entries(body.content).map(([media, content]) => [
      el("p", {}, el("code", {}, media)),
      shape(content.schema),
      Object.values(content.examples ?? {}).map((each) => code(JSON.stringify(resolve(each).value, null, 2), "example")),
    ]),
  ];
}

function answer([status, response]) {
  const found = resolve(response);
  const headers = Object.entries(found.headers ?? {}).map(([name, header]) => {
    const described = resolve(header);
    return [el("dt", {}, el("code", {}, name), " ", described.required ? el("span", { class: "needed" }, "always") : null),
      el("dd", {}, prose(described.description))];
  });
  const bodies = Object.entries(found.content ?? {});
  const same = new Set(bodies.map(([, content]) => JSON.stringify(content.schema))).size === 1;
  return el("details", { class: "answer" },
    el("summary", {}, el("span", { class: "status" }, status), " ", prose(found.description)),
    headers.length ? [el("p", { class: "quiet" }, "Headers"), el("dl", { class: "members" }, headers)] : null,
    bodies.map(([media, content], at) => [
      el("p", {}, el("code", {}, media)),
      same && at > 0 ? null : shape(content.schema),
      same && at > 0 ? null : [
        ...(content.example === undefined ? [] : [content.example]),
        ...Object.values(content.examples ?? {}).map((each) => resolve(each).value),
      ].map((value) => code(JSON.stringify(value, null, 2), "example")),
    ]),
    Object.keys(found.links ?? {}).length
      ? el("p", { class: "quiet" }, "Leads to ", Object.keys(found.links).map((id) => [el("a", { href: `#${id}` }, id), " "]))
      : null);
}

function operationNode(path, method, operation) {
  const details = el("details", {},
    el("summary", {}, el("h3", {},
      el("span", { class: `method ${method}` }, method.toUpperCase()), " ",
      el("span", { class: "path" }, path), "  ", el("span", { class: "quiet" }, operation.summary))),
    el("div", { class: "body" },
      el("p", {}, prose(operation.description)),
      operation["x-role"] ? el("p", { class: "quiet" }, `Role: ${operation["x-role"]}`) : null,
      code(curl(path, method, operation), "curl"),
      parameters(operation),
      request(operation),
      el("h4", {}, "Answers"),
      Object.entries(operation.responses).map(answer)));
  return el("article", { id: operation.operationId }, details);
}

function operations() {
  return Object.entries(openapi.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, operation: methods[method] })));
}

function show() {
  const all = operations();
  document.title = `${openapi.info.title} ${openapi.info.version} API`;
  document.getElementById("title").textContent = document.title;
  const main = document.getElementById("main");
  const index = document.getElementById("index");
  main.replaceChildren(el("h1", {}, document.title), ...paragraphs(openapi.info.description),
    el("p", {}, el("a", { href: "/openapi.json" }, "The document"), " for generators of clients."));
  for (const tag of openapi.tags) {
    const own = all.filter(({ operation }) => operation.tags.includes(tag.name));
    if (!own.length) continue;
    main.append(el("section", { "aria-label": tag.name }, el("h2", {}, tag.name), el("p", { class: "quiet" }, tag.description),
      own.map(({ path, method, operation }) => operationNode(path, method, operation))));
    index.append(el("section", {}, el("h2", {}, tag.name), el("ul", {}, own.map(({ path, method, operation }) =>
      el("li", { "data-words": `${method} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase() },
        el("a", { href: `#${operation.operationId}` },
          el("span", { class: `method ${method}` }, method.toUpperCase()), operation.summary))))));
  }
  const names = Object.keys(openapi.components.schemas);
  main.append(el("section", { "aria-label": "schemas" }, el("h2", {}, "schemas"), names.map((name) =>
    el("article", { id: `schema-${name}` }, el("details", {}, el("summary", {}, el("h3", {}, name)),
      el("div", { class: "body" }, shape({ $ref: `#/components/schemas/${name}` })))))));
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.querySelector("details");
  if (!details) return;
  details.open = true;
  target.scrollIntoView();
  details.querySelector("summary").focus();
}

function filter(words) {
  for (const item of document.querySelectorAll("#index li")) {
    item.hidden = !words.every((word) => item.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("#index section")) {
    section.hidden = !section.querySelector("li:not([hidden])");
  }
}

function listen() {
  const find = document.getElementById("find");
  find.addEventListener("input", () => filter(find.value.toLowerCase().split(/\s+/).filter(Boolean)));
  find.addEventListener("keydown", (event) => {
    const first = document.querySelector("#index li:not([hidden]) a");
    if (event.key === "Enter" && first) first.click();
    if (event.key === "Escape") { find.value = ""; filter([]); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && document.activeElement !== find) {
      event.preventDefault();
      find.focus();
    }
  });
  window.addEventListener("hashchange", openTarget);
}

try {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json answered ${response.status}`);
  openapi = await response.json();
  show();
  listen();
  openTarget();
} catch (error) {
  document.getElementById("state").textContent = `The document cannot be shown: ${error.message}`;
}
