/** Stage 2 as an environment: one step decides the weight bits of one layer. The action is a fraction of the layer's bit range. */
import type { ActionBounds, Environment, Outcome, Step, StepResult } from '../agents/agent';
import { type Features, scaledFeatures } from './layer-features';

export interface QuantizeProblem {
  readonly layers: ReadonlyArray<{
    readonly name: string;
    /** Bits the layer may take, ascending and contiguous. */
    readonly bits: readonly number[];
    /** Weights in bytes at so many bits, with scales. */
    readonly bytes: (bits: number) => number;
    readonly features: Features;
  }>;
  /** Most bytes of all layers together; absent: bits are bounded by each layer's own range only. */
  readonly ceiling?: number;
  /** Measures the model with these layers quantised and all later ones at their largest bits. */
  evaluate(bits: Readonly<Record<string, number>>): Promise<Outcome>;
}

/** Largest bit-width, by which the two bounds are scaled in the observation. */
const MOST_BITS = 8;

export class QuantizeEnvironment implements Environment {
  readonly observationSize = 9;
  readonly steps: number;
  private readonly features: number[][];
  private chosen: number[] = [];

  constructor(private readonly problem: QuantizeProblem) {
    this.steps = problem.layers.length;
    this.features = scaledFeatures(problem.layers.map((l) => l.features));
  }

  reset(): Promise<Step> {
    this.chosen = [];
    return Promise.resolve(this.current()!);
  }

  /** `bits = round(b_min + a·(b_max − b_min))` over the layer's own range, then clipped to what the budget allows. */
  async step(action: number): Promise<StepResult> {
    const t = this.chosen.length;
    const { bits } = this.problem.layers[t];
    const low = bits[0];
    const high = bits[bits.length - 1];
    const allowed = this.allowed(t);
    const wanted = Math.round(low + action * (high - low));
    this.chosen.push(Math.min(allowed[allowed.length - 1], Math.max(allowed[0], wanted)));
    const outcome = await this.problem.evaluate(this.bits());
    const next = this.current();
    return { executed: this.fraction(t, this.chosen[t]), outcome, next, done: next === undefined };
  }

  /** Bits decided in this episode so far, by layer. */
  bits(): Record<string, number> {
    return Object.fromEntries(this.chosen.map((b, i) => [this.problem.layers[i].name, b]));
  }

  private fraction(t: number, bits: number): number {
    const own = this.problem.layers[t].bits;
    const span = own[own.length - 1] - own[0];
    return span === 0 ? 0 : (bits - own[0]) / span;
  }

  /** Bits with which the byte budget can still be met when every later layer takes its fewest. */
  private allowed(t: number): readonly number[] {
    const { layers, ceiling } = this.problem;
    const own = layers[t].bits;
    if (ceiling === undefined) return own;
    const spent = this.chosen.slice(0, t).reduce((a, b, i) => a + layers[i].bytes(b), 0);
    const least = layers.slice(t + 1).reduce((a, l) => a + l.bytes(l.bits[0]), 0);
    const fitting = own.filter((b) => spent + layers[t].bytes(b) + least <= ceiling);
    return fitting.length > 0 ? fitting : [own[0]];
  }

  private current(): Step | undefined {
    const t = this.chosen.length;
    if (t >= this.steps) return undefined;
    const allowed = this.allowed(t);
    const low = allowed[0];
    const high = allowed[allowed.length - 1];
    const bounds: ActionBounds = { low: this.fraction(t, low), high: this.fraction(t, high) };
    const [index, n, c, kh, kw, stride, flops] = this.features[t];
    return { observation: [index, n, c, kh, kw, stride, low / MOST_BITS, high / MOST_BITS, flops], bounds };
  }
}
