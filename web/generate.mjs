// Makes the typed client of the server's API, src/generated/api.ts, from the OpenAPI document that
// the server serves, src/generated/openapi.json. `--fetch` first takes the document from the server
// at $STRATA_URL.
//
// One function for each operation: its path and query parameters, and `body`, in one object. An
// answer that is one list is given as that list; one without a schema as the Response itself.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), 'src/generated');
const source = join(folder, 'openapi.json');
const target = join(folder, 'api.ts');

if (process.argv.includes('--fetch')) {
  const url = `${process.env.STRATA_URL ?? 'http://127.0.0.1:7700'}/api/openapi.json`;
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const served = await answer.json();
  for (const [path, item] of Object.entries(served.paths)) {
    for (const [method, operation] of Object.entries(item))
      if (operation['x-specification']) delete item[method]; // its clients have their own words
    if (Object.keys(item).length === 0) delete served.paths[path];
  }
  writeFileSync(source, `${JSON.stringify(served, null, 1)}\n`);
}

const { paths, components } = JSON.parse(readFileSync(source, 'utf8'));
const types = components.schemas;
const named = (ref) => ref.split('/').at(-1);
const words = { integer: 'number', number: 'number', string: 'string', boolean: 'boolean' };

function members(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(
    ([name, value]) => `${name}${required.has(name) ? '' : '?'}: ${type_of(value)}`,
  );
}

function type_of(schema) {
  if (!schema) return 'unknown';
  if (schema.$ref) return named(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(type_of).join(' | ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (Array.isArray(schema.type))
    return schema.type.map((type) => type_of({ ...schema, type })).join(' | ');
  if (schema.type === 'null') return 'null';
  if (schema.type === 'array') return `(${type_of(schema.items)})[]`;
  if (schema.type === 'object') {
    if (schema.properties) return `{ ${members(schema).join('; ')} }`;
    return `Record<string, ${type_of(schema.additionalProperties)}>`;
  }
  return words[schema.type] ?? 'unknown';
}

// The name and type of the only list in an answer, if that is all there is.
function only_list(schema) {
  const type = schema.$ref ? types[named(schema.$ref)] : schema;
  const [first, ...others] = Object.entries(type.properties ?? {});
  return first && !others.length && first[1].type === 'array' ? first : null;
}

const content_of = (part) => part?.content?.['application/json']?.schema;

function function_of(path, method, operation) {
  const lines = [];
  const parameters = operation.parameters ?? [];
  const inside = (place) => parameters.filter((p) => p.in === place).map((p) => p.name);
  const fields = parameters.map((p) =>
    `${p.name}${p.required ? '' : '?'}: ${type_of(p.schema)} | undefined`.replace(
      p.required ? ' | undefined' : /^$/,
      '',
    ),
  );
  const body = content_of(operation.requestBody);
  if (body) fields.push(`body: ${type_of(body)}`);
  const wanted = body || parameters.some((p) => p.required);
  const given = fields.length ? `given: { ${fields.join('; ')} }${wanted ? '' : ' = {}'}, ` : '';
  const address = path.replaceAll(/\{(\w+)\}/g, (_, name) => {
    return name === 'key' ? '${parts(given.key)}' : `\${part(given.${name})}`;
  });
  const request = [`'${method.toUpperCase()}'`, `\`${address}\``];
  const query = inside('query').map((name) => `${name}: given.${name}`);
  const options = [
    ...(query.length ? [`query: { ${query.join(', ')} }`] : []),
    ...(body ? ['json: given.body'] : []),
    '...options',
  ];
  request.push(`{ ${options.join(', ')} }`);
  const answer = content_of(operation.responses['2XX']);
  const list = answer && only_list(answer);
  lines.push(`// ${operation.summary}.`);
  const head = `export const ${operation.operationId} = (${given}options: Options = {})`;
  if (list) {
    lines.push(
      `${head}: Promise<${type_of(list[1])}> =>`,
      `  json<${type_of(answer)}>(${request.join(', ')}).then((answer) => answer.${list[0]});`,
    );
  } else {
    lines.push(`${head} =>`);
    lines.push(`  ${answer ? `json<${type_of(answer)}>` : 'send'}(${request.join(', ')});`);
  }
  if (!answer || method === 'put') {
    const place = given.replace(/, $/, '');
    lines.push(`export const ${operation.operationId}Path = (${place}) => \`${address}\`;`);
  }
  return lines.join('\n');
}

const out = ["import { json, part, parts, send, type Options } from '../lib/http';"];
for (const [name, schema] of Object.entries(types))
  out.push(
    `export interface ${name} {\n${members(schema)
      .map((m) => `  ${m};\n`)
      .join('')}}`,
  );
for (const [path, item] of Object.entries(paths)) {
  for (const [method, operation] of Object.entries(item))
    out.push(function_of(path, method, operation));
}
const text = `${out.join('\n\n')}\n`;
if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
