/**
 * Scores many slightly different forms of one model on the same samples. What lies before the first difference is computed once
 * for all of them, chunk by chunk, so memory stays at a few chunks of activations; each form runs only what comes after.
 */

import type { Inferred } from '../graph/infer';
import { nodeMacs } from '../graph/layers';
import { partForRuntimes } from '../graph/passes/for-runtimes';
import { canStandBeside, sideBySide } from '../graph/side-by-side';
import { type Model, type Node, readsOf } from '../onnx/model';
import type { AttributeProto } from '../onnx/schema';
import { type Activation, extractSegment } from '../pruning/segment';
import { accuracyOf, classAnswers, type ScoringSet, scoringSignature } from '../runtime/evaluate';
import { feedsOf, partsOf } from '../runtime/feeds';
import { thresholdOf } from '../runtime/metrics';
import { type RuntimeTensor, Session } from '../runtime/onnxruntime';

/** Samples run at a time. */
export const CHUNK = 50;

export interface VariantOptions {
  readonly threads?: number;
  /** Of several that share the work, this one takes every `of`-th chunk from the `part`-th on. Default 0 of 1. */
  readonly part?: number;
  readonly of?: number;
  readonly signal?: AbortSignal;
  /** Values computed for an earlier call with the same model, samples and share of the work: the next one goes on from there. */
  readonly carry?: Carry;
}

/** Bytes that values carried from call to call may take. */
const CARRY_BYTES = 96 * 2 ** 20;

/** Values of the unchanged model, chunk by chunk. */
export class Carry {
  private chunks: Array<ReadonlyMap<string, RuntimeTensor>> = [];

  /** Names of the values at hand, with the shape of one sample. */
  get names(): ReadonlyMap<string, Activation> {
    return new Map([...(this.chunks[0] ?? [])].map(([name, t]) => [name, activationOf(t)]));
  }

  chunk(index: number): ReadonlyMap<string, RuntimeTensor> {
    return this.chunks[index] ?? new Map();
  }

  replace(chunks: Array<ReadonlyMap<string, RuntimeTensor>>): void {
    let bytes = 0;
    for (const c of chunks) for (const t of c.values()) bytes += t.data.byteLength;
    // Too large to keep: what there was still serves.
    if (bytes <= CARRY_BYTES) this.chunks = chunks;
  }
}

/** A variant's own part: what it needs from the shared part, and what it computes from there. */
interface Suffix {
  readonly variant: Model;
  /** Values of the shared part that it reads; empty where the variant answers as the original does. */
  readonly frontier: ReadonlySet<string>;
  readonly changed: boolean;
}

/**
 * How many samples each variant answers rightly (of those in this part of the work).
 * @param variants of `original`, with the same names of values; a value that no changed node leads to is the same in both
 */
export async function scoreVariants(
  original: Model,
  variants: readonly Model[],
  set: ScoringSet,
  options: VariantOptions = {},
): Promise<number[]> {
  const { inputs, output, fixedBatch } = scoringSignature(original);
  const { threads = 1, part = 0, of = 1, signal } = options;
  if (set.truth) return scoreWhole(variants, set, { threads, part, signal });
  const size = set.inputs.length / set.count;
  const threshold = thresholdOf(original, output.name);
  const inputNames = new Set(inputs.map((i) => i.name));
  const suffixes = variants.map((v): Suffix => suffixOf(original, v, inputNames, output.name));
  // An unchanged answer is computed as a variant of its own: it reads the output.
  const shared = new Set(suffixes.flatMap((s) => (s.changed ? [...s.frontier] : [output.name])));
  const carried = options.carry?.names ?? new Map<string, Activation>();
  const fedParts = partsOf(inputs, set).map((p): [string, Activation] => [
    p.input.name,
    { dims: p.shape, data: set.inputs, type: p.input.type },
  ]);
  // Only the form of the values is read here.
  const known = new Map<string, Activation>([...fedParts, ...carried]);
  const prefixOutputs = [...shared].filter((name) => !known.has(name));
  const kept: Array<ReadonlyMap<string, RuntimeTensor>> = [];
  const prefix = prefixOutputs.length > 0 ? await Session.create(extractSegment(original, known, prefixOutputs), { threads }) : undefined;
  const together = whatRunsTogether(suffixes);
  const parts: Part[] = [];
  const right = variants.map(() => 0);
  try {
    const chunk = fixedBatch ?? CHUNK;
    for (let first = part * chunk; first < set.count; first += of * chunk) {
      signal?.throwIfAborted();
      const rows = Math.min(chunk, set.count - first);
      const fed = fixedBatch ?? rows;
      // A copy of its own: onnxruntime takes no shared memory, and a fixed batch wants whole chunks.
      const samples = new Float32Array(fed * size);
      samples.set(set.inputs.subarray(first * size, (first + rows) * size));
      const values = new Map<string, RuntimeTensor>([
        ...Object.entries(feedsOf(inputs, set, samples, fed)),
        ...(options.carry?.chunk(kept.length) ?? []),
      ]);
      if (prefix) {
        const feeds = Object.fromEntries(prefix.inputNames.map((name) => [name, values.get(name)!]));
        for (const [name, value] of Object.entries(await prefix.run(feeds))) values.set(name, value);
      }
      kept.push(
        new Map([...shared].filter((name) => !inputNames.has(name) && name !== output.name).map((name) => [name, values.get(name)!])),
      );
      const count = (v: number, scores: RuntimeTensor): void => {
        const answers = classAnswers(scores.data as Float32Array, scores.data.length / fed, threshold);
        for (let i = 0; i < rows; i++) if (answers[i] === set.labels[first + i]) right[v]++;
      };
      suffixes.forEach((s, v) => {
        if (!s.changed) count(v, values.get(output.name)!);
      });
      for (const [k, members] of together.entries()) {
        parts[k] ??= await openPart(
          members.map((v) => suffixModel(suffixes[v], values, output.name)),
          threads,
        );
        const { session, outputs } = parts[k];
        const scores = await session.run(Object.fromEntries(session.inputNames.map((name) => [name, values.get(name)!])));
        for (const [i, v] of members.entries()) count(v, scores[outputs[i]]);
      }
    }
    if (kept.some((values) => values.size > 0)) options.carry?.replace(kept);
    return right;
  } finally {
    await prefix?.release();
    for (const { session } of parts) await session.release();
  }
}

/** What one session computes: the scores of some variants, by the names they have there. */
interface Part {
  readonly session: Session;
  readonly outputs: readonly string[];
}

/**
 * Indices of variants whose own parts one session computes, one after the other: what they read is laid out for onnxruntime's kernels once,
 * and so are the weights that they share. Those with subgraphs stand alone.
 */
function whatRunsTogether(suffixes: readonly Suffix[]): number[][] {
  const changed = [...suffixes.keys()].filter((v) => suffixes[v].changed);
  const free = changed.filter((v) => canStandBeside(suffixes[v].variant));
  return [free, ...changed.filter((v) => !free.includes(v)).map((v) => [v])].filter((members) => members.length > 0);
}

function suffixModel({ variant, frontier }: Suffix, values: ReadonlyMap<string, RuntimeTensor>, output: string): Model {
  const given = new Map([...frontier].map((name) => [name, activationOf(values.get(name)!)]));
  return extractSegment(variant, given, [output]);
}

async function openPart(models: readonly Model[], threads: number): Promise<Part> {
  const { model, outputs } =
    models.length > 1 ? sideBySide(models) : { model: models[0], outputs: [models[0].graph.outputs.map((o) => o.name)] };
  return { session: await Session.create(partForRuntimes(model), { threads }), outputs: outputs.map(([scores]) => scores) };
}

/**
 * Where samples are not right or wrong one by one, a score of all of them counts as that share of the samples; whoever has the first part of the work does it
 * all, because such a score is not the sum of its parts.
 */
async function scoreWhole(
  variants: readonly Model[],
  set: ScoringSet,
  { threads, part, signal }: { threads: number; part: number; signal?: AbortSignal },
): Promise<number[]> {
  const right: number[] = [];
  for (const variant of variants) right.push(part === 0 ? set.count * (await accuracyOf(variant, set, { threads, signal })) : 0);
  return right;
}

const activationOf = (t: RuntimeTensor): Activation => ({ dims: t.shape.slice(1), data: t.data, type: t.type });

/** Nodes that lie behind a difference between the two models. */
function changedNodes(original: Model, variant: Model): { dirty: Set<string>; nodes: Node[] } {
  const dirty = new Set<string>();
  const nodes: Node[] = [];
  variant.graph.nodes.forEach((node, i) => {
    const before = original.graph.nodes[i];
    const differs =
      !sameAttributes(before.attributes, node.attributes) ||
      node.inputs.some((name, k) => name !== before.inputs[k]) ||
      readsOf(node).some((name) => variant.graph.initializers.get(name) !== original.graph.initializers.get(name));
    if (!differs && !readsOf(node).some((name) => dirty.has(name))) return;
    nodes.push(node);
    for (const o of node.outputs) dirty.add(o);
  });
  return { dirty, nodes };
}

const sameAttributes = (a: ReadonlyMap<string, AttributeProto>, b: ReadonlyMap<string, AttributeProto>): boolean =>
  a.size === b.size && [...a].every(([name, value]) => b.get(name) === value);

function suffixOf(original: Model, variant: Model, inputs: ReadonlySet<string>, output: string): Suffix {
  const { dirty, nodes } = changedNodes(original, variant);
  if (!dirty.has(output)) return { variant, frontier: new Set(), changed: false };
  // Values that follow from the samples; what follows from constants alone is computed anew.
  const data = new Set(inputs);
  for (const node of original.graph.nodes) if (readsOf(node).some((r) => data.has(r))) for (const o of node.outputs) data.add(o);
  const frontier = new Set<string>();
  for (const node of nodes) for (const r of readsOf(node)) if (data.has(r) && !dirty.has(r)) frontier.add(r);
  return { variant, frontier, changed: true };
}

/** Multiply-accumulates of what a variant computes itself. */
export function suffixMacs(original: Model, variant: Model, inferred: Inferred): number {
  return changedNodes(original, variant).nodes.reduce((sum, node) => sum + nodeMacs(variant, node, inferred), 0);
}
