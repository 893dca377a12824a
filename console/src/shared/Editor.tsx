// CodeMirror in a shadow root: there it adopts its style sheets instead of adding <style> elements, which the page's
// policy forbids.
import { acceptCompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, moveCompletionSelection, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, Prec, RangeSetBuilder, StateEffect, StateField, type Extension } from '@codemirror/state';
import { Decoration, EditorView, keymap, lineNumbers, placeholder, drawSelection, type DecorationSet } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { Diagnostic } from '../api/model';

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--lane-identity)', fontWeight: '600' },
  { tag: [tags.propertyName, tags.attributeName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--lane-network)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--lane-cloud)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--faint)', fontStyle: 'italic' },
  { tag: [tags.operator, tags.punctuation, tags.separator], color: 'var(--dim)' },
  { tag: [tags.function(tags.variableName), tags.standard(tags.name)], color: 'var(--level-high)' },
]);

const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'transparent', fontSize: '13px' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--accent)', padding: '7px 0' },
  '.cm-line': { padding: '0 10px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--faint)', border: '0' },
  '.cm-placeholder': { color: 'var(--faint)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--bar-dim)' },
  '.cm-matchingBracket': { backgroundColor: 'var(--hover)', outline: '1px solid var(--line-strong)' },
  '.cm-wrong': { textDecoration: 'underline wavy var(--bad)', textUnderlineOffset: '3px', backgroundColor: 'color-mix(in srgb, var(--bad) 18%, transparent)' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', border: '1px solid var(--line-strong)', borderRadius: '8px', boxShadow: 'var(--shadow)', overflow: 'hidden', color: 'var(--text)', zIndex: '400' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '300px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px', lineHeight: '20px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--selected)', color: 'var(--text)' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '700' },
  '.cm-completionDetail': { fontStyle: 'normal', color: 'var(--dim)', marginLeft: '14px' },
  '.cm-completionIcon': { display: 'none' },
});

const setWrong = StateEffect.define<Diagnostic[]>();
const wrongMark = Decoration.mark({ class: 'cm-wrong' });
const wrong = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let now = transaction.docChanged ? Decoration.none : marks;
    for (const effect of transaction.effects) {
      if (!effect.is(setWrong)) continue;
      const builder = new RangeSetBuilder<Decoration>();
      const { doc } = transaction.state;
      for (const { line, column } of [...effect.value].sort((a, b) => a.line - b.line || a.column - b.column)) {
        if (line < 1 || line > doc.lines) continue;
        const text = doc.line(line);
        const from = Math.min(text.from + Math.max(0, column - 1), text.to);
        const word = /^\S+/.exec(doc.sliceString(from, text.to))?.[0].length ?? 0;
        if (word > 0) builder.add(from, Math.min(from + word, text.to), wrongMark);
        else if (text.length > 0) builder.add(Math.max(text.from, from - 1), Math.max(text.from + 1, from), wrongMark);
      }
      now = builder.finish();
    }
    return now;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/**
 * Typing over what is selected. Left to the browser it would carry the look of the old text over in a style attribute,
 * which the page's policy forbids.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, editor) {
    const { state, composing } = editor;
    const { main } = state.selection;
    const text = event.inputType === 'insertText' ? event.data : null;
    if (!text || main.empty || composing || state.readOnly) return false;
    const typed = () => state.update(state.replaceSelection(text), { userEvent: 'input.type', scrollIntoView: true });
    const taken = state.facet(EditorView.inputHandler).some((handle) => handle(editor, main.from, main.to, text, typed));
    if (!taken) editor.dispatch(typed());
    return true;
  },
});

export interface EditorProps {
  value: string;
  onChange: (value: string) => void;
  label: string;
  /** Enter: in one line of a query it runs, and Shift-Enter makes a new line. Mod-Enter always runs. */
  onRun?: (text: string) => void;
  enterRuns?: boolean;
  language: Extension;
  diagnostics?: Diagnostic[] | undefined;
  hint?: string;
  lines?: boolean;
  readOnly?: boolean;
  height?: string;
  focusKey?: number;
}

export function Editor(props: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const language = useRef(new Compartment());
  const latest = useRef(props);
  latest.current = props;
  /** What was typed and has not come back as `value` yet, the oldest first. */
  const typed = useRef<string[]>([]);

  useEffect(() => {
    const root = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open' });
    // What the editor shows is run: the page may not have drawn the last letters yet.
    const run = (editor: EditorView) => {
      latest.current.onRun?.(editor.state.doc.toString());
      return latest.current.onRun !== undefined;
    };
    const bindings = [
      { key: 'Mod-Enter', run },
      ...(latest.current.enterRuns ? [{ key: 'Enter', run: (editor: EditorView) => acceptCompletion(editor) || run(editor) }] : []),
      // Tab takes the first offer; Enter only one that was chosen, so that it runs what was typed.
      { key: 'Tab', run: (editor: EditorView) => acceptCompletion(editor) || (completionStatus(editor.state) === 'active' && moveCompletionSelection(true)(editor) && acceptCompletion(editor)) },
      { key: 'Ctrl-Space', run: startCompletion },
      // Out of the editor, for those without a mouse.
      { key: 'Escape', run: (editor: EditorView) => (editor.contentDOM.blur(), true) },
    ];
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          // A list of completions takes Escape and Enter first.
          Prec.high(keymap.of(bindings.filter((it) => it.key !== 'Escape'))),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          latest.current.lines ? lineNumbers() : [],
          EditorView.lineWrapping,
          keymap.of([
            ...completionKeymap,
            ...closeBracketsKeymap,
            ...historyKeymap,
            ...bindings.filter((it) => it.key === 'Escape'),
            ...defaultKeymap,
            ...(latest.current.lines && !latest.current.readOnly ? [indentWithTab] : []),
          ]),
          language.current.of(latest.current.language),
          syntaxHighlighting(colours),
          look,
          typedOver,
          wrong,
          latest.current.hint ? placeholder(latest.current.hint) : [],
          EditorState.readOnly.of(latest.current.readOnly ?? false),
          EditorView.editable.of(true),
          EditorView.contentAttributes.of({ 'aria-label': latest.current.label, spellcheck: 'false', autocapitalize: 'off' }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            const text = update.state.doc.toString();
            // Typed and taken back at once, nothing comes back.
            if (text === latest.current.value) typed.current = [];
            else typed.current.push(text);
            latest.current.onChange(text);
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = undefined;
    };
  }, []);

  const { value, diagnostics, focusKey } = props;
  useEffect(() => {
    const editor = view.current;
    // What was typed comes back late when the browser is busy: it must not take away what was typed since.
    const echo = typed.current.lastIndexOf(value);
    typed.current = echo < 0 ? [] : typed.current.slice(echo + 1);
    if (editor && echo < 0 && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
      typed.current = [];
    }
  }, [value]);
  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(props.language) });
  }, [props.language]);
  useEffect(() => {
    view.current?.dispatch({ effects: setWrong.of(diagnostics ?? []) });
  }, [diagnostics]);
  useEffect(() => {
    if (focusKey) view.current?.focus();
  }, [focusKey]);

  return <div ref={host} data-editor style={{ height: props.height, overflow: props.height ? 'auto' : undefined }} />;
}
