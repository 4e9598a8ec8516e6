/**
 * The ONNX standard's own models through the engine: `npm run -s bench -- conformance --data DIR [--json] [--out FILE] [--family NAME]`.
 * Every model must be read, written, and then give in onnxruntime what it gave before, to the bit; so must the model after all passes.
 * Inferred shapes are compared with the stored outputs, and every gradient with finite differences. onnxruntime runs in a process of
 * its own. Writes docs/operators.md (or --out); with one family, or a fault, nothing is written.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../src/engine/errors';
import { inferTypes } from '../src/engine/graph/infer';
import { normalize } from '../src/engine/graph/passes/normalize';
import { modelBytes, parseModel } from '../src/engine/onnx/file';
import { type Model, withGraph } from '../src/engine/onnx/model';
import { isFloat, type Tensor } from '../src/engine/onnx/tensor';
import { findOperator, knownOperators } from '../src/engine/ops/registry';
import { gradientCases, SAME_GRADIENT_AS } from '../src/engine/ops/testing/gradient-cases';
import { runtimeVersion } from '../src/engine/runtime/onnxruntime';
import { AnsweringChild } from './answering-child';
import { type BenchArguments, dataFolder, note, printRow } from './bench';
import { type Answer, numbersOf, type PlainTensor, plainTensor, type Question, serve } from './conformance-child';
import { type FamilyFigures, type OperatorFigures, operatorPage, qualified } from './operator-table';
import { FAMILIES, type Family, type StandardData, type StandardModel, standardData, standardModels } from './standard-models';

const TIME_LIMIT = 120_000;
/** Differences that a pass may make by computing constants beforehand, and that a stored output may show, relative to its largest value. */
const TOLERANCE = 1e-3;

type Child = AnsweringChild<Question, Answer>;

type Outputs = Readonly<Record<string, PlainTensor>>;

function sameBytes(a: PlainTensor, b: PlainTensor | undefined): boolean {
  if (!b || a.type !== b.type || a.dims.join() !== b.dims.join()) return false;
  if (a.strings) return a.strings.join('\0') === b.strings?.join('\0');
  return b.bytes !== undefined && Buffer.compare(a.bytes!, b.bytes) === 0;
}

/** Equal within the tolerance, relative to the largest finite value; NaN equals NaN. */
function closeTo(a: PlainTensor, b: PlainTensor | undefined): boolean {
  if (!b || a.type !== b.type || a.dims.join() !== b.dims.join()) return false;
  if (a.strings) return sameBytes(a, b);
  const [x, y] = [numbersOf(a)!, numbersOf(b) ?? []];
  const scale = x.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 1e-6);
  return x.length === y.length && x.every((v, i) => Object.is(v, y[i]) || v === y[i] || Math.abs(v - y[i]) <= TOLERANCE * scale);
}

const all = (a: Outputs, b: Outputs, equal: (x: PlainTensor, y: PlainTensor | undefined) => boolean): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([name, t]) => equal(t, b[name]));

/** A model that is read and written, and what was made of it. */
interface Taken {
  readonly model: Model;
  readonly original: Uint8Array;
  readonly written: Uint8Array;
  readonly passed: Uint8Array;
  readonly data: StandardData;
}

/** @throws whatever the engine throws: each exception is a fault here, as these files are whole */
function take(standard: StandardModel): Taken {
  const original = new Uint8Array(readFileSync(standard.file));
  const model = parseModel(original, dirname(standard.file));
  return {
    model,
    original,
    written: modelBytes(model),
    passed: modelBytes(normalize(model).model),
    data: standardData(standard, model.graph.inputs, model.graph.outputs),
  };
}

type ShapeVerdict = 'told' | 'open' | 'wrong';

/**
 * Inferred against stored output shapes. Whole-number inputs, and float ones that stand for settings, count as constants: networks have
 * axes, sizes and scales so. What the file itself says of shapes inside and at its outputs is taken away first.
 */
function judgeShapes({ model, data }: Taken): ShapeVerdict | string {
  const initializers = new Map(model.graph.initializers);
  const constant = (name: string, t: Tensor): boolean =>
    t.type !== 'string' && (!isFloat(t.type) || t.dims.length === 0 || /scales|roi|depth/.test(name));
  const inputs = model.graph.inputs.filter((input) => {
    const t = data.inputs.get(input.name);
    if (!t || !constant(input.name, t)) return true;
    initializers.set(input.name, t);
    return false;
  });
  const bare = withGraph(model, {
    inputs,
    initializers,
    valueInfo: undefined,
    outputs: model.graph.outputs.map((o) => ({ name: o.name, type: o.type })),
  });
  const shapes = Object.fromEntries([...data.inputs].flatMap(([name, t]) => (t ? [[name, t.dims]] : [])));
  let verdict: ShapeVerdict = 'told';
  const { types } = inferTypes(bare, { inputShapes: shapes });
  for (const [name, t] of data.outputs) {
    const shape = types.get(name)?.shape;
    if (!t || !shape) {
      verdict = 'open';
      continue;
    }
    if (shape.length !== t.dims.length || shape.some((d, axis) => typeof d === 'number' && d !== t.dims[axis]))
      return `output '${name}' is inferred as [${shape.join(', ')}] and is [${t.dims.join(', ')}]`;
    if (shape.some((d) => typeof d !== 'number')) verdict = 'open';
  }
  return verdict;
}

interface Verdict {
  /** onnxruntime runs the model as it is; else why not. */
  readonly run: boolean;
  readonly why?: string;
  readonly stored: boolean;
  readonly same: boolean;
  readonly normalized: boolean;
  readonly shapes: ShapeVerdict;
  readonly faults: readonly string[];
}

async function judge(taken: Taken, child: Child): Promise<Verdict> {
  const faults: string[] = [];
  let shapes: ShapeVerdict = 'wrong';
  try {
    const judged = judgeShapes(taken);
    if (judged === 'told' || judged === 'open') shapes = judged;
    else faults.push(judged);
  } catch (e) {
    faults.push(`inference: ${e instanceof UserError ? e.message : (e as Error).stack}`);
  }
  const off = (why: string): Verdict => ({ run: false, why, stored: false, same: false, normalized: false, shapes, faults });
  const feeds: Record<string, PlainTensor> = {};
  for (const [name, t] of taken.data.inputs) {
    if (!t) return off('inputs that are no tensors');
    feeds[name] = plainTensor(t);
  }
  const run = (model: Uint8Array): Promise<Answer> => child.ask({ kind: 'run', model, feeds });
  const before = await run(taken.original);
  if (before.kind !== 'outputs') return off(before.kind === 'refused' ? before.message : 'no answer');
  const compare = async (model: Uint8Array, what: string, equal: typeof sameBytes): Promise<boolean> => {
    const after = await run(model);
    if (after.kind !== 'outputs') faults.push(`${what}: ${after.kind === 'refused' ? after.message : 'no answer'}`);
    else if (!all(before.outputs, after.outputs, equal)) faults.push(`${what}: other outputs`);
    else return true;
    return false;
  };
  const same = await compare(taken.written, 'written', sameBytes);
  const normalized = await compare(taken.passed, 'normalised', closeTo);
  const expected = Object.fromEntries([...taken.data.outputs].flatMap(([name, t]) => (t ? [[name, plainTensor(t)] as const] : [])));
  const stored = Object.entries(expected).every(([name, t]) => closeTo(t, before.outputs[name]));
  return { run: true, stored, same, normalized, shapes, faults };
}

/** Sums up how the models that hold an operator fared. */
class Tally {
  private models = 0;
  private run = 0;
  private same = 0;
  private told = 0;
  private readonly opsets: number[] = [];

  add(verdict: Verdict, opset: number | undefined): void {
    this.models++;
    if (verdict.run) this.run++;
    if (verdict.same) this.same++;
    if (verdict.shapes === 'told') this.told++;
    if (opset !== undefined) this.opsets.push(opset);
  }

  get figures(): OperatorFigures {
    const opsets = this.opsets.length > 0 ? ([Math.min(...this.opsets), Math.max(...this.opsets)] as const) : undefined;
    return { models: this.models, run: this.run, same: this.same, shapes: this.told, opsets };
  }
}

async function runFamily(
  folder: string,
  family: Family,
  child: Child,
  tallies: Map<string, Tally>,
): Promise<{ figures: FamilyFigures; faults: number }> {
  const models = standardModels(folder, family);
  const count = { read: 0, run: 0, stored: 0, same: 0, normalised: 0, told: 0, open: 0 };
  const reasons = new Map<string, number>();
  let faults = 0;
  for (const standard of models) {
    let taken: Taken;
    try {
      taken = take(standard);
    } catch (e) {
      faults++;
      note(`${family}/${standard.name}: not read: ${e instanceof UserError ? e.message : (e as Error).stack}`);
      continue;
    }
    count.read++;
    const verdict = await judge(taken, child);
    const opset = taken.model.opsets.get('');
    for (const name of new Set(taken.model.graph.nodes.map((n) => qualified(n.domain, n.opType)))) {
      const tally = tallies.get(name) ?? new Tally();
      tally.add(verdict, opset);
      tallies.set(name, tally);
    }
    for (const fault of verdict.faults) note(`${family}/${standard.name}: ${fault}`);
    faults += verdict.faults.length;
    if (verdict.run) count.run++;
    else {
      if (/died|took longer/.test(verdict.why!)) note(`${family}/${standard.name}: onnxruntime: ${verdict.why}`);
      reasons.set(verdict.why!, (reasons.get(verdict.why!) ?? 0) + 1);
    }
    if (verdict.run && !verdict.stored) note(`${family}/${standard.name}: onnxruntime's outputs are not the stored ones`);
    if (verdict.stored) count.stored++;
    if (verdict.same) count.same++;
    if (verdict.normalized) count.normalised++;
    if (verdict.shapes === 'told') count.told++;
    if (verdict.shapes === 'open') count.open++;
  }
  for (const [reason, n] of [...reasons].sort(([a], [b]) => (a < b ? -1 : 1))) note(`${family}: not run by onnxruntime, ${n}: ${reason}`);
  const row = {
    family,
    models: models.length,
    'read and written': count.read,
    'run by onnxruntime': count.run,
    'as stored': count.stored,
    'same after writing': count.same,
    'same normalised': count.normalised,
    'shapes told': count.told,
    'shapes open': count.open,
    'shapes wrong': count.read - count.told - count.open,
  };
  return { figures: { family, row }, faults };
}

async function runGradients(args: BenchArguments, child: Child): Promise<number> {
  const claims = [...knownOperators()].filter(([, o]) => o.gradient ?? o.training).map(([name]) => name);
  const covered = new Set(gradientCases.map((c) => `${c.domain ?? ''}:${c.opType}`));
  let passed = 0;
  let worst = 0;
  for (const [index, c] of gradientCases.entries()) {
    const answer = await child.ask({ kind: 'gradient', index });
    if (answer.kind === 'gradient') {
      passed++;
      worst = Math.max(worst, answer.worst);
    } else {
      note(`gradient of ${qualified(c.domain ?? '', c.opType)} (${c.what}): ${answer.kind === 'refused' ? answer.message : 'no answer'}`);
    }
  }
  printRow(args, {
    family: 'gradients',
    'operators that claim one': claims.length,
    'operators checked': claims.filter((name) => covered.has(SAME_GRADIENT_AS.get(name) ?? name)).length,
    cases: gradientCases.length,
    passed,
    'worst relative error': worst,
  });
  return gradientCases.length - passed;
}

export async function run(args: BenchArguments): Promise<void> {
  if (args.options['child']) return serve();
  const folder = join(dataFolder(args), 'onnx-node-tests');
  const only = args.options['family'];
  const families = FAMILIES.filter((f) => only === undefined || f === only);
  if (families.length === 0) throw new Error(`there is no family '${only}'; families are ${FAMILIES.join(', ')}`);
  const child = new AnsweringChild({
    args: ['conformance', '--child', 'true'],
    timeLimit: TIME_LIMIT,
    fault: (message): Answer => ({ kind: 'refused', message }),
  });
  const tallies = new Map<string, Tally>();
  const rows: FamilyFigures[] = [];
  let faults = 0;
  for (const family of families) {
    const result = await runFamily(folder, family, child, tallies);
    printRow(args, result.figures.row);
    rows.push(result.figures);
    faults += result.faults;
  }
  faults += await runGradients(args, child);
  child.stop();
  if (faults > 0) {
    note(`${faults} faults`);
    process.exitCode = 1;
    return;
  }
  if (only !== undefined) return;
  const isKnown = (name: string): boolean => {
    const dot = name.lastIndexOf('.');
    return findOperator(name.slice(dot + 1), dot < 0 ? '' : name.slice(0, dot)) !== undefined;
  };
  const split = (known: boolean): Map<string, OperatorFigures> =>
    new Map([...tallies].filter(([name]) => isKnown(name) === known).map(([name, tally]) => [name, tally.figures]));
  const out = args.options['out'] ?? join('docs', 'operators.md');
  writeFileSync(out, operatorPage(rows, split(true), split(false), await runtimeVersion()));
  note(`wrote ${out}`);
}
