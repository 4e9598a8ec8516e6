/** docs/operators.md: what Espalier knows of each operator, and how the standard's own models fared. Written by `bench -- conformance`. */
import type { Operator } from '../src/engine/ops/operator';
import { knownOperators } from '../src/engine/ops/registry';

/** How the models that hold an operator fared. */
export interface OperatorFigures {
  /** Test sets of models that hold it. */
  readonly models: number;
  /** Of these, those that onnxruntime runs as they are; every one of them must give the same after reading and writing. */
  readonly run: number;
  readonly same: number;
  /** Models all of whose output shapes are told without running them. */
  readonly shapes: number;
  /** Lowest and highest operator set among them; undefined where none names the standard set. */
  readonly opsets?: readonly [low: number, high: number];
}

export interface OperatorRow {
  readonly name: string;
  readonly cost: string;
  readonly gradient: string;
  readonly channels: string;
}

/** 'Conv' or 'com.microsoft.BiasGelu'. */
export const qualified = (domain: string, opType: string): string => (domain === '' ? opType : `${domain}.${opType}`);

function gradientOf(operator: Operator): string {
  if (operator.training) return operator.gradient ? 'yes, and a form for training' : 'yes, with a form for training';
  if (operator.gradient) return 'yes';
  return operator.noGradient ? `none: ${operator.noGradient}` : 'not yet';
}

function channelsOf(operator: Operator): string {
  if (operator.keepsChannels) return `stay: ${operator.keepsChannels}`;
  return operator.channels ? 'followed' : 'stay';
}

/** What the code says of every registered operator, by name. */
export function operatorRows(): OperatorRow[] {
  return [...knownOperators()]
    .map(([key, operator]): OperatorRow => {
      const colon = key.indexOf(':');
      return {
        name: qualified(key.slice(0, colon), key.slice(colon + 1)),
        cost: operator.cost ? 'yes' : '',
        gradient: gradientOf(operator),
        channels: channelsOf(operator),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The first cells of a row of the table: what does not depend on a run of the benchmark. */
export const rowStart = (r: OperatorRow): string => `| \`${r.name}\` | ${r.cost} | ${r.gradient} | ${r.channels} |`;

export interface FamilyFigures {
  readonly family: string;
  readonly row: Readonly<Record<string, string | number>>;
}

const figuresOf = (f: OperatorFigures | undefined): string => {
  if (!f) return ' 0 | | | |';
  const opsets = f.opsets ? (f.opsets[0] === f.opsets[1] ? String(f.opsets[0]) : `${f.opsets[0]}–${f.opsets[1]}`) : '';
  return ` ${f.models} | ${f.same}/${f.run} | ${f.shapes} | ${opsets} |`;
};

/** The whole page; the same figures give the same bytes. */
export function operatorPage(
  families: readonly FamilyFigures[],
  operators: ReadonlyMap<string, OperatorFigures>,
  unknown: ReadonlyMap<string, OperatorFigures>,
  runtime: string,
): string {
  const keys = Object.keys(families[0]?.row ?? {});
  const lines = [
    '# Operators',
    '',
    'Written by `npm run bench -- conformance --data DIR`; do not edit. `DIR/onnx-node-tests` holds the backend tests of ONNX 1.16.2.',
    '',
    '- **Cost**: counted in multiply-accumulates. **Gradient**: training passes; each is held to finite differences by this command and by',
    '  `src/engine/ops/gradients.test.ts`. **Channels**: "followed" means that pruning sees through it as far as its axes allow; where an axis must stay',
    '  whole, the reason is shown with the group. "stay" means that no channel that reaches it is pruned.',
    '- **Models**: test sets of the standard that hold the operator, alone or among others. **Same**: of those that onnxruntime runs as they are, how many',
    '  give the same bytes after Espalier has read and written them. **Shapes**: all output shapes told without running. **Sets**: operator sets of those models.',
    '',
    '## The standard’s own models',
    '',
    `Measured with ${runtime}, graph optimisation off, on one thread. What onnxruntime-node cannot be fed (sequences, optional values, 4- and 8-bit floats, bfloat16)`,
    'and what it refuses itself counts as not run. "normalised" is the model after all passes of `src/engine/graph/passes`.',
    '',
    `| ${keys.join(' | ')} |`,
    `| ${keys.map(() => '---').join(' | ')} |`,
    ...families.map(({ row }) => `| ${keys.map((k) => row[k]).join(' | ')} |`),
    '',
    '## Known operators',
    '',
    '| operator | cost | gradient | channels | models | same | shapes | sets |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...operatorRows().map((r) => rowStart(r) + figuresOf(operators.get(r.name))),
    '',
    '## Carried through untouched',
    '',
    'Operators of the standard’s models that Espalier does not know: written back as they were read. Channels that reach them stay, no gradient passes them, and',
    'their shapes are those that the file states. Subgraphs (`If`, `Loop`, `Scan`) are carried whole; what they read of the graph around them counts as read.',
    '',
    '| operator | models | same | sets |',
    '| --- | --- | --- | --- |',
    ...[...unknown]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, f]) => {
        const [, same, , sets] = figuresOf(f)
          .split('|')
          .map((cell) => cell.trim());
        return `| \`${name}\` | ${f.models} | ${same} | ${sets} |`;
      }),
    '',
  ];
  return lines.join('\n');
}
