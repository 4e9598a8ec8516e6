/** Policies and candidates: plain data that every process and every file shares. */
import * as z from 'zod';

/** What the agent decided: a prune ratio for each channel group, bits for each quantisable layer. */
export interface Policy {
  /** Fraction of channels removed, by group id, in [0, 1). A group that is absent keeps all its channels. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Weight bits by layer name: 1 to 8, or 16/32 to keep float. A layer that is absent stays float. */
  readonly bits: Readonly<Record<string, number>>;
  /**
   * Share of a layer's weights held at zero, by layer name, in [0, 1): those of the smallest magnitude in the original model go first.
   * A layer that is absent stays dense. Effective figures count it; structured ones do not.
   */
  readonly sparsity?: Readonly<Record<string, number>>;
  /** Channels removed one by one, by group id, where a method chooses each of them; `ratios` then holds their shares. */
  readonly channels?: Readonly<Record<string, readonly number[]>>;
  /** Parts of the network that were taken out whole (a layer, a residual block), by the name of the part. */
  readonly removed?: readonly string[];
}

/** Sizes of a model. "Structured" counts what a dense kernel computes; "effective" counts only weights that are not zero. */
export interface ModelCost {
  readonly macs: number;
  readonly effectiveMacs: number;
  readonly params: number;
  readonly effectiveParams: number;
  /** Weights at their bit-widths plus scales, computed, in bytes. */
  readonly weightBytes: number;
  /** Channels left in the prunable groups; absent where nobody counted them. */
  readonly channels?: number;
  /** The written file, and the same after brotli, in bytes; absent until a file was written. */
  readonly fileBytes?: number;
  readonly brotliBytes?: number;
}

/** Time of one run on this machine, in milliseconds: median over `runs` and the middle half's bounds. */
export interface Latency {
  readonly batch: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly runs: number;
  /** Threads of these runs; absent in runs of before this was told. */
  readonly threads?: number;
}

/** The model before compression: what a candidate is compared with. */
export interface OriginalFigures {
  readonly accuracy: number;
  readonly images?: number;
  readonly cost: ModelCost;
  readonly latency?: readonly Latency[];
}

/** A policy with what was measured of it. */
export interface Candidate {
  readonly id: string;
  readonly stage: 'prune' | 'quantize' | 'final';
  readonly policy: Policy;
  /** In [0, 1]: top-1 accuracy, or agreement with the original model where there are no labels. */
  readonly accuracy: number;
  /** How many images `accuracy` was measured on. */
  readonly images: number;
  readonly cost: ModelCost;
  readonly latency?: readonly Latency[];
  readonly reward: number;
  readonly episode: number;
  /** Who proposed it: 'ppo', 'uniform', 'random', 'user'… */
  readonly origin: string;
  /** True where only the groups up to some layer were decided yet (a step within an episode). */
  readonly partial: boolean;
  /** Of a final candidate: the original measured as it was, on the report images and from its file. Absent: the run's own original is. */
  readonly original?: OriginalFigures;
}

const count = z.number().nonnegative();

/** Bit-widths a policy may name: 1 to 8 as integers, 16 and 32 to keep float. */
export const bitsSchema = z.union([z.int().min(1).max(8), z.literal(16), z.literal(32)]);

export const policySchema: z.ZodType<Policy> = z.object({
  ratios: z.record(z.string(), z.number().min(0).lt(1)),
  bits: z.record(z.string(), bitsSchema),
  sparsity: z.record(z.string(), z.number().min(0).lt(1)).optional(),
  channels: z.record(z.string(), z.array(z.int().min(0))).optional(),
  removed: z.array(z.string()).optional(),
});

export const modelCostSchema: z.ZodType<ModelCost> = z.object({
  macs: count,
  effectiveMacs: count,
  params: count,
  effectiveParams: count,
  weightBytes: count,
  channels: count.optional(),
  fileBytes: count.optional(),
  brotliBytes: count.optional(),
});

export const latencySchema: z.ZodType<Latency> = z.object({
  batch: z.int().min(1),
  median: count,
  low: count,
  high: count,
  runs: z.int().min(1),
  threads: z.int().min(1).optional(),
});

export const originalFiguresSchema: z.ZodType<OriginalFigures> = z.object({
  accuracy: z.number(),
  /** How many images `accuracy` was measured on. */
  images: z.int().min(0).optional(),
  cost: modelCostSchema,
  latency: z.array(latencySchema).optional(),
});

export const candidateSchema: z.ZodType<Candidate> = z.object({
  id: z.string().min(1),
  stage: z.enum(['prune', 'quantize', 'final']),
  policy: policySchema,
  accuracy: z.number().min(0).max(1),
  images: z.int().min(0),
  cost: modelCostSchema,
  latency: z.array(latencySchema).optional(),
  reward: z.number(),
  episode: z.int().min(0),
  origin: z.string(),
  partial: z.boolean(),
  original: originalFiguresSchema.optional(),
});
