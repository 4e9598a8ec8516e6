/** Reads the text of a config file (JSON with comments and trailing commas) and says exactly where it is wrong. */
import { createScanner, findNodeAtLocation, getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import type * as z from 'zod';
import { type Config, configSchema } from './config';
import { fieldNamesAt, type SchemaNode, schemasAt } from './config-schema';
import { positionAt, stringOffsets } from './json-positions';
import { nearestName } from './nearest-name';
import type { FormulaProblem } from './reward/expression';
import { compileReward } from './reward/reward';

export type ConfigPath = ReadonlyArray<string | number>;

/** One thing wrong with a config, and where. */
export interface ConfigProblem {
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** The field; empty for the whole file. */
  readonly path: ConfigPath;
  /** Characters of the file's text, from 0. */
  readonly offset: number;
  readonly length: number;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  /** What to write instead; it would replace the range (for a field's name, within its quotes). */
  readonly suggestion?: string;
}

export interface ReadConfig {
  /** With all defaults; absent where any problem is an error. */
  readonly config?: Config;
  readonly problems: readonly ConfigProblem[];
}

/** A formula or preset name in the text of a config, for completion and hovers inside it. */
export interface FormulaSite {
  readonly path: ConfigPath;
  /** The string's value, escapes resolved. */
  readonly text: string;
  /** Offset in the file of each character of `text`, and last of the closing quote. */
  readonly offsets: readonly number[];
}

const MAX_DEPTH = 50;

interface Place {
  readonly offset: number;
  readonly length: number;
}

/** 'search.episodes', 'layers["conv*"].ratio', 'normalization.std[0]'. */
export function fieldText(path: ConfigPath): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text;
}

/** One line for a terminal: 'net.espalier.json:3:12: …'. */
export function problemText(problem: ConfigProblem, file: string): string {
  return `${file}:${problem.line}:${problem.column}: ${problem.message}`;
}

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is no JSON value; texts need double quotes',
  InvalidNumberFormat: 'this is no number',
  PropertyNameExpected: 'a field name in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: "':' is expected after the field name",
  CommaExpected: "',' is expected here",
  CloseBraceExpected: "'}' is missing",
  CloseBracketExpected: "']' is missing",
  EndOfFileExpected: 'nothing may follow the end of the config',
  InvalidCommentToken: 'this comment is not complete',
  UnexpectedEndOfComment: 'this comment is never closed',
  UnexpectedEndOfString: 'this text is never closed',
  UnexpectedEndOfNumber: 'this number is not complete',
  InvalidUnicode: 'this \\u escape needs four hexadecimal digits',
  InvalidEscapeCharacter: "this escape does not exist in JSON; a backslash itself is written '\\\\'",
  InvalidCharacter: 'this character may not stand in a JSON text',
};

/** Deepest nesting of brackets, found without recursion: the parser itself recurses, and a hostile file must not exhaust the stack. */
function tooDeepAt(text: string): Place | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenLength() > 0; scanner.scan()) {
    // A text token "{" has the value of a brace, but not its length.
    const token = scanner.getTokenLength() === 1 ? text[scanner.getTokenOffset()] : '';
    if (token === '{' || token === '[') {
      if (++depth > MAX_DEPTH) return { offset: scanner.getTokenOffset(), length: 1 };
    } else if (token === '}' || token === ']') depth--;
  }
  return undefined;
}

class Reader {
  readonly problems: ConfigProblem[] = [];

  constructor(readonly text: string) {}

  add(severity: ConfigProblem['severity'], message: string, path: ConfigPath, place: Place, suggestion?: string): void {
    const { offset, length } = place;
    const entry = { severity, message, path, offset, length, ...positionAt(this.text, offset) };
    this.problems.push(suggestion === undefined ? entry : { ...entry, suggestion });
  }

  get failed(): boolean {
    return this.problems.some((p) => p.severity === 'error');
  }
}

/** Where a value stands, or where it would: the opening brace of the nearest object around it. */
function placeOf(root: Node, path: ConfigPath): Place {
  const node = findNodeAtLocation(root, [...path]);
  if (node) return node.type === 'object' || node.type === 'array' ? { offset: node.offset, length: 1 } : node;
  const around = path.slice(0, -1);
  const parent = path.length > 0 ? placeOf(root, around) : { offset: root.offset, length: 1 };
  // Of a field that holds an object, its name says more than a brace.
  return keyPlace(root, around) ?? parent;
}

/** Where the name of a field stands, without its quotes. */
function keyPlace(root: Node, path: ConfigPath): Place | undefined {
  const key = findNodeAtLocation(root, [...path])?.parent;
  const name = key?.type === 'property' ? key.children?.[0] : undefined;
  return name ? { offset: name.offset + 1, length: Math.max(0, name.length - 2) } : undefined;
}

/** Fields that stand twice, and a name that JavaScript objects cannot hold. */
function checkKeys(reader: Reader, node: Node, path: ConfigPath): void {
  if (node.type === 'array') node.children?.forEach((child, i) => void checkKeys(reader, child, [...path, i]));
  if (node.type !== 'object') return;
  const seen = new Set<string>();
  for (const property of node.children ?? []) {
    const [name, value] = property.children ?? [];
    const key = String(name.value);
    const keyAt = { offset: name.offset + 1, length: Math.max(0, name.length - 2) };
    if (key === '__proto__') reader.add('error', "a field cannot be named '__proto__'", [...path, key], keyAt);
    if (seen.has(key)) reader.add('error', `'${fieldText([...path, key])}' stands here twice; remove one`, [...path, key], keyAt);
    seen.add(key);
    if (value) checkKeys(reader, value, [...path, key]);
  }
}

function kindText(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value.length <= 40 ? `the text ${JSON.stringify(value)}` : 'a text';
  if (typeof value === 'object') return 'an object';
  return String(value);
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object { … }',
  record: 'an object { … }',
  array: 'a list [ … ]',
};

/** What a schema takes, in words. */
function accepts(node: SchemaNode): string[] {
  if (node.anyOf) return node.anyOf.flatMap(accepts);
  if (node.const !== undefined) return [JSON.stringify(node.const)];
  if (node.enum) return node.enum.map((v) => JSON.stringify(v));
  if (node.type === 'integer') return [EXPECTED['int']];
  return node.type ? [EXPECTED[node.type] ?? node.type] : [];
}

/** The fixed texts that a schema takes. */
function textsOf(node: SchemaNode): string[] {
  return [...(node.enum ?? []), node.const, ...(node.anyOf ?? []).flatMap(textsOf)].filter((v): v is string => typeof v === 'string');
}

function alternatives(words: readonly string[]): string {
  const unique = [...new Set(words)];
  return unique.length <= 1 ? (unique[0] ?? 'something else') : `${unique.slice(0, -1).join(', ')} or ${unique[unique.length - 1]}`;
}

function addIssue(reader: Reader, root: Node, issue: z.core.$ZodIssue, base: ConfigPath): void {
  const path: ConfigPath = [...base, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))];
  const field = fieldText(path);
  const subject = field === '' ? 'the config' : `'${field}'`;
  const node = findNodeAtLocation(root, [...path]);
  const value: unknown = node ? getNodeValue(node) : undefined;
  const place = placeOf(root, path);
  const error = (message: string, suggestion?: string) => reader.add('error', message, path, place, suggestion);

  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      const names = fieldNamesAt(path);
      const suggestion = nearestName(key, names);
      const keyPath = [...path, key];
      const hint = suggestion ? ` (did you mean ${suggestion}?)` : names.length > 0 ? `; known here: ${names.join(', ')}` : '';
      reader.add('error', `unknown field '${fieldText(keyPath)}'${hint}`, keyPath, keyPlace(root, keyPath) ?? place, suggestion);
    }
    return;
  }
  if (node === undefined && issue.code !== 'custom') {
    error(`${subject} is missing`);
    return;
  }
  switch (issue.code) {
    case 'invalid_type':
      error(`${subject} must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${kindText(value)}`);
      return;
    case 'invalid_value': {
      const texts = issue.values.filter((v): v is string => typeof v === 'string');
      const suggestion = typeof value === 'string' ? nearestName(value, texts) : undefined;
      const hint = suggestion ? ` (did you mean ${suggestion}?)` : '';
      error(
        `${subject} must be ${alternatives(issue.values.map((v) => JSON.stringify(v)))}, not ${kindText(value)}${hint}`,
        suggestion === undefined ? undefined : JSON.stringify(suggestion),
      );
      return;
    }
    case 'too_small':
      if (issue.origin === 'string') error(`${subject} must not be empty`);
      else if (issue.origin === 'array') error(`${subject} needs at least ${issue.minimum} entries`);
      else error(`${subject} must be ${issue.inclusive ? 'at least' : 'above'} ${issue.minimum}, not ${kindText(value)}`);
      return;
    case 'too_big':
      error(`${subject} must be ${issue.inclusive ? 'at most' : 'below'} ${issue.maximum}, not ${kindText(value)}`);
      return;
    case 'invalid_union': {
      // The form that was meant is the one that objects to the parts, not to the kind of the whole.
      const meant = issue.errors.find(
        (branch) => branch.length > 0 && branch.every((i) => i.path.length > 0 || i.code === 'unrecognized_keys'),
      );
      if (meant) for (const inner of meant) addIssue(reader, root, inner, path);
      else {
        const schemas = schemasAt(path);
        const suggestion = typeof value === 'string' ? nearestName(value, schemas.flatMap(textsOf)) : undefined;
        error(
          `${subject} must be ${alternatives(schemas.flatMap(accepts))}, not ${kindText(value)}${suggestion ? ` (did you mean ${suggestion}?)` : ''}`,
          suggestion === undefined ? undefined : JSON.stringify(suggestion),
        );
      }
      return;
    }
    default:
      error(`${subject}: ${issue.message}`);
  }
}

function formulaSite(text: string, root: Node, path: ConfigPath): FormulaSite | undefined {
  const node = findNodeAtLocation(root, [...path]);
  if (node?.type !== 'string') return undefined;
  return { path, text: String(node.value), offsets: stringOffsets(text, node.offset, node.length) };
}

const REWARD_PATHS: readonly ConfigPath[] = [['reward'], ['reward', 'prune'], ['reward', 'quantize']];

/** The rewards written in a config's text, however broken the rest of it is. */
export function formulasIn(text: string): readonly FormulaSite[] {
  const root = tooDeepAt(text) ? undefined : parseTree(text, [], { allowTrailingComma: true });
  return root ? REWARD_PATHS.flatMap((path) => formulaSite(text, root, path) ?? []) : [];
}

/** The config's own constants, as far as they are numbers. */
function constantsIn(root: Node): Record<string, number> {
  const node = findNodeAtLocation(root, ['reward', 'constants']);
  const constants: Record<string, number> = {};
  if (node?.type !== 'object') return constants;
  for (const property of node.children ?? []) {
    const [name, value] = property.children ?? [];
    if (value?.type === 'number') constants[String(name.value)] = Number(value.value);
  }
  return constants;
}

/** Names in a formula whose value comes from a goal that the config does not set. */
const NEEDS_GOAL: Readonly<Record<string, string>> = { budget: 'flops', dropBound: 'maxAccuracyDrop' };

function checkFormulas(reader: Reader, root: Node): void {
  const constants = constantsIn(root);
  for (const path of REWARD_PATHS) {
    const site = formulaSite(reader.text, root, path);
    if (!site || site.text === '') continue;
    const place = (problem: FormulaProblem): Place => {
      const offset = site.offsets[problem.range.start];
      return { offset, length: Math.max(1, site.offsets[problem.range.end] - offset) };
    };
    const { reward, problems } = compileReward(site.text, constants);
    for (const problem of problems)
      reader.add('error', `'${fieldText(path)}': ${problem.message}`, path, place(problem), problem.suggestion);
    const bits = path.join('.') !== 'reward.prune' && findNodeAtLocation(root, ['stages', 'quantize'])?.value !== false;
    if (bits && reward?.names.some((name) => name === 'latency' || name === 'latency0')) {
      reader.add(
        'error',
        `'${fieldText(path)}': candidates of the bit-width stage are not timed, so its formula may not name 'latency'; give that formula as 'reward.prune'`,
        path,
        place({ message: '', range: { start: 0, end: site.text.length } }),
      );
    }
    for (const name of reward?.names ?? []) {
      const goal = NEEDS_GOAL[name];
      if (goal === undefined || findNodeAtLocation(root, ['goal', goal])) continue;
      const start = reward?.preset ? 0 : site.text.search(new RegExp(`\\b${name}\\b`));
      const end = reward?.preset ? site.text.length : start + name.length;
      const by = reward?.preset ? `preset ${reward.preset} reads '${name}'` : `it reads '${name}'`;
      reader.add(
        'error',
        `'${fieldText(path)}': ${by}, so 'goal.${goal}' must be set`,
        path,
        place({ message: '', range: { start, end } }),
      );
    }
  }
}

/**
 * Reads a config file's text. Never throws: whatever is wrong is in `problems`, in the order of the text.
 * Where the JSON itself is broken, only that is reported.
 */
export function parseConfigText(original: string): ReadConfig {
  // A byte-order mark is no part of the text, but the editor counts it.
  const text = original.startsWith('\uFEFF') ? ` ${original.slice(1)}` : original;
  const reader = new Reader(text);
  const deep = tooDeepAt(text);
  if (deep) {
    reader.add('error', `the config is nested more than ${MAX_DEPTH} deep`, [], deep);
    return { problems: reader.problems };
  }
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (!root) {
    reader.add('error', 'the file is empty; a config needs at least { "model": "…" }', [], { offset: 0, length: Math.min(1, text.length) });
    return { problems: reader.problems };
  }
  for (const { error, offset, length } of errors)
    reader.add('error', SYNTAX[printParseErrorCode(error)] ?? 'this is not valid JSON', [], { offset, length });
  if (!reader.failed && root.type !== 'object')
    reader.add('error', `the config must be an object { … }, not ${kindText(getNodeValue(root))}`, [], root);
  if (!reader.failed) checkKeys(reader, root, []);
  if (reader.failed) return { problems: reader.problems };

  const result = configSchema.safeParse(getNodeValue(root));
  if (!result.success) for (const issue of result.error.issues) addIssue(reader, root, issue, []);
  checkFormulas(reader, root);
  const problems = reader.problems.sort((a, b) => a.offset - b.offset);
  return result.success && !reader.failed ? { config: result.data, problems } : { problems };
}
