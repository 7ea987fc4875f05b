// Describes the routes of docs/openapi.json, and lets them be tried. The page lies at <base>/docs.

const base = location.pathname.replace(/\/docs\/?$/, "");
const bearer = document.getElementById("bearer");
const routes = document.getElementById("routes");
document.getElementById("who").addEventListener("submit", (event) => event.preventDefault());

function element(name, given = {}, ...children) {
  const made = Object.assign(document.createElement(name), given);
  made.append(...children);
  return made;
}

function described(method, path, operation) {
  const fields = operation.parameters.map(({ name }) =>
    element("input", { name, required: true, placeholder: name, ariaLabel: name, spellcheck: false }));
  const example = operation.requestBody?.content["application/json"].example;
  const body = example === undefined ? null
    : element("textarea", { value: JSON.stringify(example, null, 2), ariaLabel: "body", spellcheck: false });
  const answer = element("pre", { hidden: true, tabIndex: 0, role: "log", ariaLabel: "answer" });
  const form = element("form", {}, ...fields, ...(body ? [body] : []), element("button", {}, "Try"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const filled = fields.reduce((so_far, field) =>
      so_far.replace(`{${field.name}}`, field.value.split("/").map(encodeURIComponent).join("/")), path);
    tried(method, filled, body?.value, answer);
  });
  return element("details", {},
    element("summary", {},
      element("span", { className: `method ${method}` }, method), element("code", {}, path), ` ${operation.summary}`),
    form, answer);
}

async function tried(method, path, body, answer) {
  answer.hidden = false;
  answer.textContent = "…";
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  if (bearer.value.trim()) headers.Authorization = `Bearer ${bearer.value.trim()}`;
  try {
    const response = await fetch(base + path, { method: method.toUpperCase(), headers, body });
    answer.textContent = `${response.status} ${response.headers.get("content-type") ?? ""}\n\n`;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) answer.append(part.value);
  } catch (error) {
    answer.append(`\n${error.message}`);
  }
}

const told = await (await fetch(`${base}/docs/openapi.json`)).json();
for (const { name, description } of told.tags) {
  const rows = Object.entries(told.paths).flatMap(([path, methods]) => Object.entries(methods)
    .filter(([, operation]) => operation.tags.includes(name))
    .map(([method, operation]) => described(method, path, operation)));
  routes.append(element("section", {}, element("h2", {}, name), element("p", {}, description), ...rows));
}
routes.ariaBusy = "false";
