// The query language as the editor sees it: colours and completion. What it means is the server's to say.
import { autocompletion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { sql, StandardSQL } from '@codemirror/lang-sql';
import { StreamLanguage } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { fieldNames, fieldValues } from '../api/fields';
import { quote, splitPipes } from '../shared/query';
import type { Range } from '../shared/time';
import { t } from '../strings/en';
import { place } from './context';

const stageNames = Object.keys(t.stages);
const functions =
  'count countif dcount dcountif sum sumif avg min max percentile make_set make_list arg_max arg_min take_any ago now datetime todatetime bin tolower toupper trim strlen strcat substring split replace_string tostring tolong todouble iff case coalesce isempty isnotempty isnull isnotnull array_length hourofday dayofweek ipv4_is_private ipv4_is_in_range cidr'.split(
    ' ',
  );
const words = new Set(['and', 'or', 'not', 'by', 'in', 'between', 'asc', 'desc', 'on', 'kind', 'contains', 'has', 'startswith', 'endswith', 'matches', 'regex', 'has_any', 'has_all', 'to']);

const huntSyntax = StreamLanguage.define<{ stage: boolean; piped: boolean }>({
  startState: () => ({ stage: false, piped: false }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    if (stream.match('//')) {
      stream.skipToEnd();
      return 'comment';
    }
    if (stream.match('|')) {
      state.stage = state.piped = true;
      return 'operator';
    }
    if (stream.match(/^@?"(\\.|[^"\\])*"?/) || (state.piped && stream.match(/^'(\\.|[^'\\])*'?/))) return 'string';
    if (state.stage && stream.match(/^[a-z]+(-[a-z]+)*/)) {
      state.stage = false;
      return 'keyword';
    }
    state.stage = false;
    if (stream.match(/^[\w@][\w@.-]*(?=\s*(:|>=|<=|>|<))/)) return 'propertyName';
    if (stream.match(/^\d+(\.\d+)?(us|ms|[smhdw])?(?![\w.])/)) return 'number';
    const word = stream.match(/^[\w@][\w@.-]*/) as RegExpMatchArray | null;
    if (word) {
      if (words.has(word[0].toLowerCase())) return 'keyword';
      if (state.piped && stream.match(/^\s*\(/, false)) return 'variableName.function';
      return state.piped && word[0].includes('.') ? 'propertyName' : null;
    }
    stream.next();
    return 'operator';
  },
  tokenTable: {},
});

/** Offers stages, fields and values of the events in the present range. */
function complete(range: () => Range) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const text = context.state.doc.toString();
    const here = place(text, context.pos);
    if (!here) return null;
    if (here.kind === 'stage') {
      const options = stageNames.map((label) => ({ label, detail: t.stages[label as keyof typeof t.stages], type: 'keyword' }));
      return { from: here.from, options, validFor: /^[\w-]*$/ };
    }
    if (here.kind === 'value') {
      // What is being typed is no condition yet.
      const start = text.lastIndexOf(here.field, here.from);
      const rest = `${text.slice(0, start).replace(/-$/, '')} ${text.slice(context.pos).replace(/^\S*/, '')}`;
      const abort = new AbortController();
      context.addEventListener('abort', () => abort.abort());
      const prefix = here.prefix.replaceAll('*', '');
      try {
        const { values, complete: all } = await fieldValues(here.field, splitPipes(rest).filter, range(), { prefix, limit: 30, signal: abort.signal });
        const options = values.map(({ value, count }, i) => ({
          label: value,
          apply: here.quoted ? `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : quote(value),
          detail: String(count),
          boost: -i,
          type: 'constant',
        }));
        // What is complete need not be asked for again as more is typed.
        return { from: here.quoted ? here.from + 1 : here.from, ...(all ? { validFor: /^[^\s"()|]*$/ } : {}), options: here.quoted ? options.map((o) => ({ ...o, apply: o.apply.slice(1) })) : options };
      } catch {
        // Half a query is often a wrong one; completion then keeps quiet, running it says why.
        return null;
      }
    }
    if (!here.prefix && !context.explicit) return null;
    const names = await fieldNames().catch(() => []);
    const options = names.map((field) => ({
      label: field.name,
      apply: here.kind === 'field' ? `${field.name}:` : field.name,
      detail: field.type,
      boost: field.core ? 1 : 0,
      type: 'property',
    }));
    const more = here.kind === 'expression' ? functions.map((label) => ({ label, apply: `${label}(`, detail: t.hunt.function, type: 'function' })) : [];
    return { from: here.from, options: [...options, ...more], validFor: /^[\w@.-]*$/ };
  };
}

export const huntLanguage = (range: () => Range): Extension => [
  huntSyntax,
  autocompletion({ override: [complete(range)], activateOnTyping: true, selectOnOpen: false, interactionDelay: 0, icons: false, maxRenderedOptions: 60, activateOnTypingDelay: 80 }),
];

/** SQL with the fields as quoted and unquoted columns. */
export const sqlLanguage = (): Extension => [
  sql({ dialect: StandardSQL, upperCaseKeywords: true }),
  StandardSQL.language.data.of({
    autocomplete: async (context: CompletionContext): Promise<CompletionResult | null> => {
      const word = context.matchBefore(/[\w@.]+/);
      if (!word && !context.explicit) return null;
      const names = await fieldNames().catch(() => []);
      return {
        from: word?.from ?? context.pos,
        options: [...names.map((field) => ({ label: field.name, detail: field.type, type: 'property' })), { label: 'events', type: 'class' }],
        validFor: /^[\w@.]*$/,
      };
    },
  }),
  autocompletion({ icons: false, selectOnOpen: false }),
];
