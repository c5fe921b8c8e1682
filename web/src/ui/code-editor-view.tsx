import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  HighlightStyle,
  StreamLanguage,
  syntaxHighlighting,
} from "@codemirror/language";
import { yaml } from "@codemirror/legacy-modes/mode/yaml";
import { EditorState, RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { CodeEditorProps } from "./code-editor";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--link)" },
  { tag: [tags.string, tags.content], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--paused)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.bracket], color: "var(--soft)" },
  { tag: tags.invalid, color: "var(--bad)" },
]);

const look = EditorView.theme({
  "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--raised)", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-1px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.55" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--faint)", border: "none" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--sun) 7%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    {
      backgroundColor: "color-mix(in srgb, var(--sun) 30%, transparent)",
    },
  ".cm-problem": { backgroundColor: "var(--bad-wash)", boxShadow: "inset 3px 0 var(--bad)" },
});

const setMarks = StateEffect.define<DecorationSet>();
const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update: (before, transaction) => {
    const given = transaction.effects.find((effect) => effect.is(setMarks));
    return given ? given.value : before.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

// JSON is YAML too, and colours are all that is wanted: a grammar would weigh as much as a screen.
const STREAM = StreamLanguage.define(yaml);
const LANGUAGES = { json: STREAM, yaml: STREAM, text: [] };

/**
 * CodeMirror in a shadow root: there it keeps its styles in a constructed sheet, where in the document
 * it would make a `<style>`, which the content security policy forbids.
 */
export default function CodeEditorView({
  value,
  onChange,
  language,
  label,
  readOnly = false,
  height = "20rem",
  problems = [],
}: CodeEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  const latest = useRef({ onChange, value });
  latest.current = { onChange, value };

  useEffect(() => {
    const host = place.current;
    if (!host) return;
    const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
    const view = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          highlightActiveLine(),
          keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
          LANGUAGES[language],
          syntaxHighlighting(colours),
          look,
          marks,
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({ "aria-label": label }),
          EditorView.lineWrapping,
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    editor.current = view;
    return () => view.destroy();
  }, [language, label, readOnly]);

  useEffect(() => {
    const view = editor.current;
    if (view && view.state.doc.toString() !== value)
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const view = editor.current;
    if (!view) return;
    const builder = new RangeSetBuilder<Decoration>();
    const lines = problems
      .filter((each) => each.line >= 1 && each.line <= view.state.doc.lines)
      .toSorted((one, other) => one.line - other.line);
    for (const { line, message } of lines) {
      const { from } = view.state.doc.line(line);
      builder.add(
        from,
        from,
        Decoration.line({ attributes: { class: "cm-problem", title: message } }),
      );
    }
    view.dispatch({ effects: setMarks.of(builder.finish()) });
  }, [problems]);

  return (
    <div>
      <div
        ref={place}
        className="overflow-hidden rounded-md border border-edge"
        // The editor fills its host; Tab indents in it, and Escape before Tab leaves it.
        style={{ height, display: "grid" }}
      />
      {problems.length > 0 && (
        <ul className="mt-1 text-sm text-bad" aria-label={`Problems in ${label}`}>
          {problems.map((each) => (
            <li key={`${each.line}${each.message}`}>
              Line {each.line}: {each.message}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
