// Rows of delimited text, by RFC 4180 with the separator that the text itself shows.

const kSeparators = [',', ';', '\t'];
const kLines = 10;

// The one that stands the most often in each of the first lines, outside of quotes.
function separator_of(text: string): string {
  const lines = text
    .replace(/"[^"]*"/g, '')
    .split('\n', kLines)
    .filter((line) => line.trim());
  const least = (separator: string) =>
    Math.min(...lines.map((line) => line.split(separator).length));
  const fields = kSeparators.map(least);
  return kSeparators[fields.indexOf(Math.max(...fields))]!;
}

// Where the text is not `whole`, a last line that the cut broke is left out.
export function rows_of(text: string, whole: boolean): string[][] {
  const separator = separator_of(text);
  const rows: string[][] = [[]];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[i++]!;
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === separator || c === '\n') {
      rows.at(-1)!.push(cell.replace(/\r$/, ''));
      cell = '';
      if (c === '\n') rows.push([]);
    } else cell += c;
  }
  if (whole && cell) rows.at(-1)!.push(cell);
  else rows.pop();
  return rows.filter((row) => row.length > 0);
}
