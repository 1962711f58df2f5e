// The OpenAPI document, laid out for people.

function made(tag, text = "", ...children) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.append(...children);
  return element;
}

function table(heads, rows) {
  const top = made("tr", "", ...heads.map((head) => Object.assign(made("th", head), { scope: "col" })));
  const body = rows.map((row) => made("tr", "", ...row.map((cell) => made("td", cell))));
  return made("table", "", made("thead", "", top), made("tbody", "", ...body));
}

function kind(schema) {
  const plain = (schema.anyOf || [schema]).find((each) => each.type !== "null");
  const { minimum: low, maximum: high, exclusiveMinimum: above } = plain;
  const range = high === undefined ? "" : ` ${low ?? `above ${above}`} to ${high}`;
  return `${plain.type || ""}${range}`;
}

function operation(path, method, told) {
  const section = made("section", "", made("h2", `${method.toUpperCase()} ${path}`), made("p", told.description));
  if (told.requestBody) {
    section.append(made("h3", "Body"), made("p", Object.keys(told.requestBody.content).join(", ")));
  }
  if (told.parameters) {
    const rows = told.parameters.map((each) => [each.name, kind(each.schema), each.description || ""]);
    section.append(made("h3", "Options"), table(["name", "kind", "what"], rows));
  }
  const answers = Object.entries(told.responses).map(([status, answer]) => [status, answer.description]);
  section.append(made("h3", "Answers"), table(["status", "what"], answers));
  return section;
}

const told = await (await fetch("/openapi.json")).json();
document.getElementById("example").textContent =
  `curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" ${location.origin}/v1/captions\n` +
  `curl -F photo=@one.jpg -F photo=@two.jpg "${location.origin}/v1/captions?beam=5&n_best=3"`;
for (const [path, methods] of Object.entries(told.paths)) {
  for (const [method, each] of Object.entries(methods)) {
    document.getElementById("operations").append(operation(path, method, each));
  }
}
