/** A run in brief, as lists show it; and a run as it stands, as the panel shows it. Both are whole: none is a change to an earlier one. */
import * as z from 'zod';
import { candidateSchema, originalFiguresSchema, policySchema } from './policy';
import { diagnosticsSchema, machineSchema, measuresSchema, phaseSchema, progressSchema } from './run-events';

export const runStatusSchema = z.enum(['queued', 'running', 'finished', 'interrupted', 'failed']);
export type RunStatus = z.output<typeof runStatusSchema>;

export const runSummarySchema = z.object({
  id: z.string().min(1),
  /** The model's file name without its ending. */
  name: z.string(),
  folder: z.string(),
  modelPath: z.string(),
  configPath: z.string().optional(),
  method: z.string(),
  seed: z.int().min(0).optional(),
  status: runStatusSchema,
  /** Why it was interrupted or failed, in one sentence. */
  reason: z.string().optional(),
  /** True for an interrupted run that a person paused: nothing is wrong. */
  paused: z.boolean().optional(),
  /** True for an interrupted run that a person ended: its best so far is its result, and nobody is asked to resume it. */
  stopped: z.boolean().optional(),
  /** True where another process is working on the run: it can be watched, but neither resumed nor deleted from here. */
  elsewhere: z.boolean().optional(),
  /** ISO 8601. */
  startedAt: z.string(),
  endedAt: z.string().optional(),
  secondsElapsed: z.number().min(0),
  phase: phaseSchema.optional(),
  episode: z.int().min(0),
  episodes: z.int().min(0),
  /** Before compression. */
  original: originalFiguresSchema.optional(),
  best: candidateSchema.optional(),
  /** Absent until the run has ended. */
  goalMet: z.boolean().optional(),
  resumable: z.boolean(),
});
export type RunSummary = z.output<typeof runSummarySchema>;

/** One point of the curves over episodes. */
export const episodePointSchema = z.object({
  stage: z.enum(['prune', 'quantize']),
  episode: z.int().min(0),
  reward: z.number(),
  accuracy: z.number(),
  flops: z.number(),
  policy: policySchema,
});
export type EpisodePoint = z.output<typeof episodePointSchema>;

export const runSnapshotSchema = z.object({
  /** Rises with each snapshot of a run; a reader drops one that is not newer than what it shows. */
  revision: z.int().min(0),
  summary: runSummarySchema,
  progress: progressSchema.nullable(),
  machine: machineSchema.nullable(),
  measures0: measuresSchema.nullable(),
  /** The policy being tried now, as far as it is decided. */
  current: policySchema.nullable(),
  /** Everything scored completely, and the ids of those that no other betters. */
  candidates: z.array(candidateSchema),
  front: z.array(z.string()),
  episodes: z.array(episodePointSchema),
  diagnostics: z.array(z.object({ episode: z.int().min(0), step: z.int().min(0), figures: diagnosticsSchema })),
  warnings: z.array(z.string()),
});
export type RunSnapshot = z.output<typeof runSnapshotSchema>;
