/** What happens in a run, one record each: the lines of `journal.jsonl`. Plain JSON; numbers that have no value are null, never NaN. */
import * as z from 'zod';
import { candidateSchema, policySchema } from './policy';

/** Raised when a journal of an older version could no longer be resumed. */
export const JOURNAL_FORMAT = 1;

const count = z.int().min(0);
const seconds = z.number().min(0);
/** A figure that an algorithm may not have. */
const figure = z.number().nullable();

/** JSON has no NaN and no infinity: both become null. */
export function jsonFigure(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

export const phaseSchema = z.enum(['prepare', 'prune', 'reconstruct', 'quantize', 'recover', 'export', 'report']);
export type Phase = z.output<typeof phaseSchema>;

/** The machine and its software: every figure is shown with what it was measured on. */
export const machineSchema = z.object({
  cpu: z.string(),
  cores: z.int().min(1),
  memoryBytes: count,
  platform: z.string(),
  architecture: z.string(),
});
export type Machine = z.output<typeof machineSchema>;

/** Measures of one model, by the names of the reward language. Absent: not measured. */
export const measuresSchema = z.object({
  accuracy: z.number().min(0).max(1),
  flops: z.number().min(0),
  params: z.number().min(0),
  bytes: z.number().min(0),
  latency: z.number().min(0).optional(),
  sparsity: z.number(),
  channels: z.number().min(0).optional(),
});

/** Figures of one update of the agent; null where an algorithm has no such figure. */
export const diagnosticsSchema = z.object({
  criticLoss: figure,
  actorLoss: figure,
  approxKl: figure,
  clipFraction: figure,
  explainedVariance: figure,
  entropy: figure,
  qMean: figure,
});
export type Diagnostics = z.output<typeof diagnosticsSchema>;

/** Where a run is. `best` is the best complete candidate within the goal so far. */
export const progressSchema = z.object({
  phase: phaseSchema,
  /** Episodes done and planned of this stage; for recovery, epochs. */
  episode: count,
  episodes: count,
  best: candidateSchema.nullable(),
  secondsElapsed: seconds,
  /** Null while there is nothing to estimate it from. */
  secondsLeft: seconds.nullable(),
});
export type Progress = z.output<typeof progressSchema>;

/** An event may say how many seconds of running time the run had behind it (pauses between resumes not counted). */
const event = <T extends string, S extends z.core.$ZodLooseShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), seconds: seconds.optional(), ...shape });

/** First line of a journal. */
export const runHeaderSchema = event('header', {
  format: z.int().min(1),
  id: z.string().min(1),
  /** As resolved, with all defaults (record `Config`); read again with configSchema where it is needed. */
  config: z.record(z.string(), z.unknown()),
  configPath: z.string().optional(),
  /** Path of the model, and the SHA-256 of its file in hexadecimal: resume refuses another file. */
  model: z.object({ path: z.string(), sha256: z.string() }),
  seed: count,
  /** Versions by name: espalier, node, onnxruntime, tfjs. */
  versions: z.record(z.string(), z.string()),
  /** What runs the agent's networks: resume refuses another. */
  backend: z.string(),
  machine: machineSchema,
  /** ISO 8601. */
  startedAt: z.string(),
});
export type RunHeader = z.output<typeof runHeaderSchema>;

/** Measures of the model before compression. */
export const originalEventSchema = event('original', { candidate: candidateSchema, measures: measuresSchema });

export const phaseEventSchema = event('phase', { phase: phaseSchema });

/** One scoring of a policy, partial ones included. */
export const evaluationEventSchema = event('evaluation', {
  episode: count,
  step: count,
  actor: count,
  policy: policySchema,
  outcome: z.object({ accuracy: z.number().min(0).max(1), flops: z.number().min(0), measures: z.record(z.string(), z.number()) }),
  images: count,
  /** What was measured, in short: the same key in the same run always has the same outcome. */
  key: z.string(),
  /** True where the same policy had been scored before and was not run again. */
  cached: z.boolean(),
});
export type EvaluationEvent = z.output<typeof evaluationEventSchema>;

/** A result that resuming recalls instead of measuring it again. */
export const measurementEventSchema = event('measurement', { key: z.string(), result: z.unknown() });

export const updateEventSchema = event('update', { episode: count, step: count, diagnostics: diagnosticsSchema });
export type UpdateEvent = z.output<typeof updateEventSchema>;

/** The end of an episode: what its complete policy earned. */
export const episodeEventSchema = event('episode', {
  episode: count,
  actor: count,
  reward: z.number(),
  accuracy: z.number().min(0).max(1),
  flops: z.number().min(0),
  policy: policySchema,
  candidate: z.string(),
});
export type EpisodeEvent = z.output<typeof episodeEventSchema>;

export const candidateEventSchema = event('candidate', { candidate: candidateSchema });

/** The whole Pareto front, by candidate id. */
export const frontEventSchema = event('front', { candidates: z.array(z.string()) });

export const checkpointEventSchema = event('checkpoint', { episode: count });

/** A stage was continued from its last checkpoint, by this process. */
export const resumedEventSchema = event('resumed', { episode: count, versions: z.record(z.string(), z.string()), backend: z.string() });

/** Something a person should know, which does not end the run. */
export const warningEventSchema = event('warning', { message: z.string() });

export const progressEventSchema = event('progress', { progress: progressSchema });

export const finishedEventSchema = event('finished', {
  candidate: z.string(),
  goalMet: z.boolean(),
  /** Why it ended: every episode done, or a limit. */
  reason: z.enum(['complete', 'time-limit', 'scorings-limit']),
  files: z.array(z.string()),
});

/** Stopped or killed; it can be resumed. */
export const interruptedEventSchema = event('interrupted', {
  reason: z.string(),
  /** True where a person asked for it. */
  asked: z.boolean().optional(),
  /** True where that person is done with the run: its best so far is its result. It can be resumed all the same. */
  ended: z.boolean().optional(),
});

/** Cannot go on: one sentence, and the next step. */
export const failedEventSchema = event('failed', { reason: z.string(), hint: z.string().optional() });

export const runEventSchema = z.discriminatedUnion('type', [
  runHeaderSchema,
  originalEventSchema,
  phaseEventSchema,
  evaluationEventSchema,
  measurementEventSchema,
  updateEventSchema,
  episodeEventSchema,
  candidateEventSchema,
  frontEventSchema,
  checkpointEventSchema,
  resumedEventSchema,
  warningEventSchema,
  progressEventSchema,
  finishedEventSchema,
  interruptedEventSchema,
  failedEventSchema,
]);
export type RunEvent = z.output<typeof runEventSchema>;

/** Reads one line of a journal; undefined where it is none (a line cut off by a kill is the usual case). */
export function readJournalLine(line: string): RunEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return runEventSchema.safeParse(value).data;
}
