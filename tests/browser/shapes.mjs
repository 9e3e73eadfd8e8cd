// Holds what the server answers against the schemas of its OpenAPI document, so that the types of
// the generated client are true.

// What is wrong with `value` under `schema`, each with its place.
export function faults_of(value, schema, types, place = '') {
  if (schema.$ref) return faults_of(value, types[schema.$ref.split('/').at(-1)], types, place);
  if (schema.anyOf) {
    const all = schema.anyOf.map((one) => faults_of(value, one, types, place));
    return all.some((faults) => !faults.length) ? [] : all[0];
  }
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const fits = {
    integer: Number.isInteger(value),
    number: kind === 'number',
    string: kind === 'string',
    boolean: kind === 'boolean',
    null: kind === 'null',
    array: kind === 'array',
    object: kind === 'object',
  };
  if (schema.type && ![schema.type].flat().some((type) => fits[type]))
    return [`${place}: ${kind} where ${schema.type} stands`];
  if (kind === 'array' && schema.items)
    return value.flatMap((item, i) => faults_of(item, schema.items, types, `${place}[${i}]`));
  if (kind !== 'object') return [];
  const missing = (schema.required ?? [])
    .filter((name) => !(name in value))
    .map((name) => `${place}.${name} is missing`);
  const inner = Object.entries(value).flatMap(([name, item]) => {
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    return known ? faults_of(item, known, types, `${place}.${name}`) : [];
  });
  return [...missing, ...inner];
}

// Collects the faults of all answers that the page gets from now on.
export async function checked(page, server) {
  const document = await (await fetch(`${server.url}/api/openapi.json`)).json();
  const routes = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      parameters: path.split('{').length,
      // Only a key may hold slashes.
      pattern: new RegExp(`^${path.replaceAll('{key}', '.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      schema: operation.responses['2XX'].content?.['application/json']?.schema,
    })),
  );
  // What is named in full comes before what a parameter would take.
  routes.sort((a, b) => a.parameters - b.parameters);
  const found = [];
  page.on('requestfinished', async (request) => {
    const path = new URL(request.url()).pathname;
    const route = routes.find((r) => r.method === request.method() && r.pattern.test(path));
    const response = route?.schema && (await request.response());
    if (!response?.ok()) return;
    const body = await response.json().catch(() => undefined); // the page has gone on
    if (body === undefined) return;
    const faults = faults_of(body, route.schema, document.components.schemas, path);
    found.push(...faults.slice(0, 5));
  });
  return found;
}
