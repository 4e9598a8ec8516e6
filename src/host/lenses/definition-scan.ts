/**
 * Finds model definitions in source code by one pass over its lines: no parser, no import, nothing run.
 * It may name a class that is no network; it never misses one written in the usual forms.
 */

export type DefinitionKind =
  | 'torch-module'
  | 'lightning-module'
  | 'keras-subclass'
  | 'keras-sequential'
  | 'keras-functional'
  | 'tfjs-sequential'
  | 'tfjs-model'
  | 'tfjs-file';

export type SourceLanguage = 'python' | 'javascript' | 'json';

/** A definition by its kind and name: what code lenses pass on. */
export interface DefinitionReference {
  readonly kind: DefinitionKind;
  /** Class, function or variable; for model.json, 'model'. */
  readonly name: string;
}

export interface Definition extends DefinitionReference {
  /** Line of the class, call or variable, from 0. */
  readonly line: number;
}

/** Language ids of the editor that are scanned. */
export const LANGUAGES: Readonly<Record<string, SourceLanguage>> = {
  python: 'python',
  javascript: 'javascript',
  javascriptreact: 'javascript',
  typescript: 'javascript',
  typescriptreact: 'javascript',
  json: 'json',
  jsonc: 'json',
};

/** Files longer than this are generated ones. */
const MAX_LINES = 20_000;
const MAX_LINE_LENGTH = 1000;

const PYTHON_CLASS = /^(\s*)class\s+(\w+)\s*\(([^)]*)\)?/;
const TORCH_BASE = /^(?:(?:torch\.)?nn\.)?Module$/;
const LIGHTNING_BASE = /(?:^|\.)LightningModule$/;
const KERAS_BASE = /^(?:(?:tf\.|tensorflow\.)?keras\.(?:models\.)?Model|(?:keras\.)?models\.Model)$/;
const PYTHON_FUNCTION = /^(\s*)(?:async\s+)?def\s+(\w+)\s*\(/;
const PYTHON_ASSIGNMENT = /^\s*(?:self\.)?(\w+)\s*(?::[^=]+)?=\s*/;
const KERAS_SEQUENTIAL = /(?:^|[^\w.])(?:(?:tf\.|tensorflow\.)?keras\.(?:models\.)?|models\.)?Sequential\s*\(/;
/** Of torch, where a Sequential is a part of a module and no model of its own. */
const TORCH_SEQUENTIAL = /\bnn\.Sequential\s*\(/;
const KERAS_FUNCTIONAL = /(?:^|[^\w.])(?:(?:tf\.|tensorflow\.)?keras\.(?:models\.)?|models\.)?Model\s*\(\s*(?:inputs?\s*=|\[?\w+\]?\s*,)/;
const PYTHON_IMPORTS_TORCH = /^\s*(?:from|import)\s+(?:torch|lightning|pytorch_lightning)\b/;
const PYTHON_IMPORTS_KERAS = /^\s*(?:from|import)\s+(?:tensorflow|keras)\b/;

const SCRIPT_CALL = /\btf\s*\.\s*(sequential|model)\s*\(/;
const SCRIPT_FUNCTION =
  /(?:^|\s)(?:async\s+)?function\s*\*?\s+(\w+)\s*\(|(?:^|\s)(?:const|let|var)\s+(\w+)\s*=\s*(?:async\s*)?(?:\([^)]*\)|\w+)\s*(?::[^=]+)?=>/;
const SCRIPT_VARIABLE = /(?:^|\s)(?:const|let|var)\s+(\w+)\s*(?::[^=]+)?=\s*/;

/** Definitions in the order of their lines. `fileName` decides for JSON, where only TensorFlow.js's own file is a model. */
export function scanDefinitions(text: string, language: SourceLanguage, fileName: string): Definition[] {
  if (language === 'json') return scanModelJson(text, fileName);
  const lines = text.split(/\r\n|\r|\n/, MAX_LINES);
  return language === 'python' ? scanPython(lines) : scanScript(lines);
}

function scanPython(lines: readonly string[]): Definition[] {
  const found: Definition[] = [];
  const importsTorch = lines.some((line) => PYTHON_IMPORTS_TORCH.test(line));
  const importsKeras = lines.some((line) => PYTHON_IMPORTS_KERAS.test(line));
  /** Classes of this file that are networks: their subclasses are too. */
  const networks = new Map<string, DefinitionKind>();
  const scopes: Array<{ indent: number; name: string }> = [];
  let quote: string | undefined;
  lines.forEach((raw, line) => {
    if (raw.length > MAX_LINE_LENGTH) return;
    const inside = quote !== undefined;
    quote = openQuote(raw, quote);
    if (inside) return;
    const code = raw.replace(/(^|\s)#.*$/, '');
    if (code.trim() === '') return;
    const indent = code.length - code.trimStart().length;
    while (scopes.length > 0 && indent <= scopes[scopes.length - 1].indent) scopes.pop();

    const declared = PYTHON_CLASS.exec(code);
    if (declared) {
      const bases = declared[3].split(',').map((base) => base.trim());
      const kind = bases.map((base) => kindOfBase(base, importsTorch, importsKeras) ?? networks.get(base)).find((k) => k !== undefined);
      if (kind) {
        networks.set(declared[2], kind);
        found.push({ kind, name: declared[2], line });
      }
      scopes.push({ indent, name: declared[2] });
      return;
    }
    const defined = PYTHON_FUNCTION.exec(code);
    if (defined) {
      scopes.push({ indent, name: defined[2] });
      return;
    }
    if (TORCH_SEQUENTIAL.test(code) || !importsKeras) return;
    const kind = KERAS_SEQUENTIAL.test(code) ? 'keras-sequential' : KERAS_FUNCTIONAL.test(code) ? 'keras-functional' : undefined;
    if (!kind) return;
    // In a function the function is what can be called; at the top the variable is what can be imported.
    const name = scopes.at(-1)?.name ?? PYTHON_ASSIGNMENT.exec(code)?.[1];
    if (name !== undefined && !networks.has(name)) found.push({ kind, name, line });
  });
  return found;
}

function kindOfBase(base: string, importsTorch: boolean, importsKeras: boolean): DefinitionKind | undefined {
  if (LIGHTNING_BASE.test(base)) return 'lightning-module';
  if (TORCH_BASE.test(base)) return base === 'Module' && !importsTorch ? undefined : 'torch-module';
  if (KERAS_BASE.test(base) || (base === 'Model' && importsKeras)) return 'keras-subclass';
  return undefined;
}

/** The triple quote that is open after a line, given the one open before it. */
function openQuote(line: string, before: string | undefined): string | undefined {
  let open = before;
  for (const [mark] of line.matchAll(/"""|'''/g)) {
    if (open === undefined) open = mark;
    else if (open === mark) open = undefined;
  }
  return open;
}

function scanScript(lines: readonly string[]): Definition[] {
  const found: Definition[] = [];
  let depth = 0;
  const functions: Array<{ depth: number; name: string }> = [];
  let inComment = false;
  lines.forEach((raw, line) => {
    if (raw.length > MAX_LINE_LENGTH) return;
    let code = raw;
    if (inComment) {
      const end = code.indexOf('*/');
      if (end < 0) return;
      code = code.slice(end + 2);
      inComment = false;
    }
    code = code.replace(/\/\*.*?\*\//g, '').replace(/(^|\s)\/\/.*$/, '');
    const opened = code.indexOf('/*');
    if (opened >= 0) {
      inComment = true;
      code = code.slice(0, opened);
    }
    const declared = SCRIPT_FUNCTION.exec(code);
    if (declared) functions.push({ depth, name: declared[1] ?? declared[2] });
    const call = SCRIPT_CALL.exec(code);
    if (call) {
      const name = functions.at(-1)?.name ?? SCRIPT_VARIABLE.exec(code)?.[1];
      if (name !== undefined) found.push({ kind: call[1] === 'model' ? 'tfjs-model' : 'tfjs-sequential', name, line });
    }
    for (const character of code) {
      if (character === '{') depth++;
      else if (character === '}') {
        depth--;
        while (functions.length > 0 && depth <= functions[functions.length - 1].depth) functions.pop();
      }
    }
    // An arrow function without a body in braces ends with its line.
    if (declared && !code.includes('{') && !/(=>|\()\s*$/.test(code)) functions.pop();
  });
  return found;
}

function scanModelJson(text: string, fileName: string): Definition[] {
  if (fileName !== 'model.json') return [];
  const head = text.slice(0, 20_000);
  return /"modelTopology"|"weightsManifest"/.test(head) ? [{ kind: 'tfjs-file', name: 'model', line: 0 }] : [];
}
