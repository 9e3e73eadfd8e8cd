// Saves what an authorised request answers as a file. The token goes in a header, so a plain link
// would not do.
export async function save(response: Promise<Response>, name: string): Promise<void> {
  const url = URL.createObjectURL(await (await response).blob());
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
