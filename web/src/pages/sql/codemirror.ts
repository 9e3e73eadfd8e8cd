// The SQL editor's parts, in a chunk of their own.

import { sql, PostgreSQL } from '@codemirror/lang-sql';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Prec } from '@codemirror/state';
import { keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { basicSetup, EditorView } from 'codemirror';

interface Wish {
  root: ShadowRoot;
  text: string;
  schema: Record<string, string[]>;
  changed: (text: string) => void;
  run: () => void;
}

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', color: 'var(--text)', backgroundColor: 'var(--ground)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': {
    fontFamily: 'var(--mono)',
    lineHeight: '20px',
    padding: '8px 0',
    caretColor: 'var(--text)',
  },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': {
    backgroundColor: 'var(--ground)',
    color: 'var(--quiet)',
    border: 'none',
    fontFamily: 'var(--mono)',
  },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'transparent' },
  // The library's own rule is more specific than any that a theme can write.
  '.cm-selectionBackground': { backgroundColor: 'var(--accent-soft) !important' },
  '.cm-matchingBracket': { backgroundColor: 'var(--hover)', outline: '1px solid var(--edge)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line)',
    color: 'var(--text)',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--accent-soft)',
    color: 'var(--text)',
  },
});
const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--accent)', fontWeight: '600' },
  { tag: tags.string, color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--running)' },
  { tag: tags.comment, color: 'var(--quiet)', fontStyle: 'italic' },
  { tag: tags.typeName, color: 'var(--warning)' },
]);

// When typing replaces styled text, Chrome keeps the look by an inline style, which the page's
// policy refuses and reports. Replaced by the editor itself, the text has no look to keep.
const replace_plainly = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { main } = view.state.selection;
    if (event.inputType !== 'insertText' || !event.data || main.empty) return false;
    event.preventDefault();
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: 'input.type' });
    return true;
  },
});

export function make_editor(wish: Wish): EditorView {
  const run = () => {
    wish.run();
    return true;
  };
  return new EditorView({
    doc: wish.text,
    root: wish.root,
    extensions: [
      Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
      replace_plainly,
      basicSetup,
      sql({ dialect: PostgreSQL, schema: wish.schema, upperCaseKeywords: true }),
      look,
      syntaxHighlighting(colors),
      EditorView.contentAttributes.of({ 'aria-label': 'SQL' }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) wish.changed(update.state.doc.toString());
      }),
    ],
  });
}
