// What a page asks by itself begins so; the history leaves it out, since nobody typed it.
export const kPageQuery = '/* page */';
