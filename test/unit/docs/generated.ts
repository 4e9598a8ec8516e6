/** The parts of docs/ that follow from the code: the config's fields, the reward language, the methods. docs.test.ts compares, write.ts writes. */
import { methods } from '../../../src/engine/methods/registry';
import { configJsonSchema, type SchemaNode } from '../../../src/protocol/config-schema';
import { REWARD_FUNCTIONS, REWARD_NAMES } from '../../../src/protocol/reward/names';
import { REWARD_PRESETS } from '../../../src/protocol/reward/presets';

const WIDTH = 160;

/** Breaks a list item so that its lines keep to the width; what follows the first line is indented. */
function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

const code = (value: unknown): string => `\`${JSON.stringify(value)}\``;

function typeOf(node: SchemaNode): string {
  if (node.anyOf) return [...new Set(node.anyOf.map(typeOf))].join(' or ');
  if (node.enum) return node.enum.map(code).join(', ');
  if (node.const !== undefined) return code(node.const);
  if (node.type === 'array') return `list of ${node.items ? typeOf(node.items) : 'anything'}`;
  if (node.type === 'integer') return 'whole number';
  if (node.type === 'boolean') return 'true or false';
  if (node.type === 'string') return 'text';
  return node.type ?? 'anything';
}

const isGroup = (node: SchemaNode): boolean => node.properties !== undefined;

/** One list item a field, in the order of the schema; a field that is a group of fields comes before them. */
function describeFields(node: SchemaNode, path: string): string[] {
  const items: string[] = [];
  for (const [name, field] of Object.entries(node.properties ?? {})) items.push(...describeField(field, path ? `${path}.${name}` : name));
  return items;
}

function describeField(field: SchemaNode, path: string): string[] {
  const branches = field.anyOf ?? [field];
  const groups = branches.filter(isGroup);
  const maps = branches.filter((b) => typeof b.additionalProperties === 'object');
  const plain = branches.filter((b) => !isGroup(b) && !maps.includes(b));
  const types = [...new Set([...plain.map(typeOf), ...groups.map(() => 'object'), ...maps.map(() => 'object of named values')])].join(
    ' or ',
  );
  const initial = field.default;
  const empty = typeof initial === 'object' && initial !== null && Object.keys(initial).length === 0;
  const shown = initial === undefined || (empty && groups.length > 0) ? '' : `, default ${code(initial)}`;
  const description = field.description ?? branches.find((b) => b.description !== undefined)?.description;
  const items = [wrap(`- \`${path}\` (${types}${shown})${description ? `: ${description}` : ''}`, '  ')];
  for (const group of groups) items.push(...describeFields(group, path));
  for (const map of maps) {
    const value = map.additionalProperties as SchemaNode;
    if (isGroup(value)) items.push(...describeFields(value, `${path}.<name>`));
  }
  return items;
}

/** Every field of a config file, a section for each top-level field that has fields of its own. */
export function configReference(): string {
  const sections: string[] = [];
  const single: string[] = [];
  for (const [name, field] of Object.entries(configJsonSchema().properties ?? {})) {
    const items = describeField(field, name);
    if (items.length === 1) single.push(items[0]);
    else sections.push(`### \`${name}\`\n\n${items.join('\n')}`);
  }
  return [`### Fields of their own\n\n${single.join('\n')}`, ...sections].join('\n\n');
}

const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

export function rewardNames(): string {
  const kinds = { measure: 'of the candidate', original: 'of the original model', goal: 'from the config', run: 'of the search' } as const;
  return [
    row('name', 'where from', 'unit', 'meaning'),
    row('---', '---', '---', '---'),
    ...[...REWARD_NAMES.values()].map((n) => row(`\`${n.name}\``, kinds[n.kind], n.unit, n.description)),
  ].join('\n');
}

export function rewardFunctions(): string {
  return [
    row('function', 'value'),
    row('---', '---'),
    ...[...REWARD_FUNCTIONS.values()].map((f) => row(`\`${f.signature}\``, f.description)),
  ].join('\n');
}

export function rewardPresets(): string {
  return [...REWARD_PRESETS.values()]
    .map((p) => `- ${wrap(`**${p.name}** (${p.source}). ${p.description}`, '  ')}\n\n      ${p.formula}`)
    .join('\n\n');
}

export function methodList(): string {
  return [
    row('name', 'title', 'scored', 'source'),
    row('---', '---', '---', '---'),
    ...methods.map((m) => row(`\`${m.name}\``, m.title, m.credit === 'step' ? 'after every step' : 'at the end of an episode', m.source)),
  ].join('\n');
}

/** Generated parts: the file under docs/, the part's name, its text. A part stands between `<!-- name: generated -->` and `<!-- end -->`. */
export const generatedParts: ReadonlyArray<{ readonly file: string; readonly part: string; readonly text: () => string }> = [
  { file: 'config.md', part: 'fields', text: configReference },
  { file: 'reward.md', part: 'names', text: rewardNames },
  { file: 'reward.md', part: 'functions', text: rewardFunctions },
  { file: 'reward.md', part: 'presets', text: rewardPresets },
  { file: 'methods.md', part: 'methods', text: methodList },
];

export interface Place {
  readonly start: number;
  readonly end: number;
}

/** Where a generated part stands in a page. @throws Error where the page has no such part */
export function placeOf(page: string, part: string): Place {
  const open = `<!-- ${part}: generated -->\n\n`;
  const from = page.indexOf(open);
  const end = page.indexOf('\n\n<!-- end -->', from);
  if (from < 0 || end < 0) throw new Error(`the page has no part '${part}'`);
  return { start: from + open.length, end };
}
