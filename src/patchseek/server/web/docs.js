// The routes of openapi.json as a page. FastAPI's own would load its scripts from the network.

import { ROOT } from "./api.js";
import { $, el } from "./dom.js";

const { paths, components } = await (await fetch(`${ROOT}openapi.json`)).json();

const typeOf = (schema) =>
  schema.type === "array" ? `${typeOf(schema.items ?? {})}, several` : (schema.contentMediaType ? "file" : schema.type) ?? (schema.anyOf ?? []).map(typeOf).filter((type) => type !== "null").join(" or ");

function bodyFields(operation) {
  const content = Object.values(operation.requestBody?.content ?? {})[0];
  const schema = components.schemas[content?.schema.$ref?.split("/").pop()] ?? content?.schema;
  return Object.entries(schema?.properties ?? {}).map(([name, field]) => [name, typeOf(field), field.description ?? ""]);
}

for (const [path, methods] of Object.entries(paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const inPath = (operation.parameters ?? []).map(({ name, schema, description }) => [name, typeOf(schema), description ?? ""]);
    const rows = [...inPath, ...bodyFields(operation)];
    $("routes").append(
      el("section", { class: "route" },
        el("h2", {}, el("span", { class: "method", text: method.toUpperCase() }), el("code", { text: ROOT.slice(0, -1) + path })),
        el("p", { text: operation.description ?? "" }),
        rows.length
          ? el("table", {}, el("tbody", {}, ...rows.map((row) => el("tr", {}, el("th", { scope: "row" }, el("code", { text: row[0] })), el("td", { class: "muted", text: row[1] }), el("td", { text: row[2] })))))
          : null),
    );
  }
}
