/**
 * Messages between the extension host and a web view, over postMessage. Each end checks what it receives with the schema here.
 * A request carries an `id`, and its `response` with the same id always comes, also for an error. Snapshots are whole.
 * This file imports nothing but zod and records, so that it stays small in the web view's bundle.
 */
import * as z from 'zod';
import { layerGraphSchema, sensitivitySchema } from './layer-graph';
import { runSnapshotSchema } from './run-summary';

// A web view's content security policy forbids code from text; zod would try it first, and the browser would report a violation.
z.config({ jitless: true });

/** What a person looks at: kept by the web view over reloads, and nothing else is. */
export const viewStateSchema = z.object({
  runFolder: z.string().optional(),
  modelPath: z.string().optional(),
  selectedNode: z.string().optional(),
  selectedCandidate: z.string().optional(),
  /** Scopes that are unfolded. */
  expanded: z.array(z.string()),
  zoom: z.number().positive(),
  x: z.number(),
  y: z.number(),
});
export type ViewState = z.output<typeof viewStateSchema>;

const requestId = z.int().min(0);

/** Web view → host. */
export const panelToHostSchema = z.discriminatedUnion('type', [
  /** The view is loaded (again): the host answers with `show`. */
  z.object({ type: z.literal('ready'), state: viewStateSchema.optional() }),
  z.object({ type: z.literal('stateChanged'), state: viewStateSchema }),
  z.object({ type: z.literal('pauseRun'), id: requestId, folder: z.string() }),
  /** For good, also of a run that is paused; the host then offers to export the best so far. */
  z.object({ type: z.literal('stopRun'), id: requestId, folder: z.string() }),
  z.object({ type: z.literal('resumeRun'), id: requestId, folder: z.string() }),
  z.object({ type: z.literal('exportCandidate'), id: requestId, folder: z.string(), candidate: z.string() }),
  /** Empty lists ask for every group and layer. */
  z.object({ type: z.literal('requestSensitivity'), id: requestId, groups: z.array(z.string()), layers: z.array(z.string()) }),
  z.object({ type: z.literal('stopSensitivity'), id: requestId }),
  /** Opens the report of what was measured of the model shown. */
  z.object({ type: z.literal('openSensitivityReport'), id: requestId }),
  /** Starts the questions that lead to a run of the model shown. */
  z.object({ type: z.literal('compressModel'), id: requestId }),
  z.object({
    type: z.literal('setOverride'),
    id: requestId,
    /** Group or layer name, as in the config's `layers`. */
    name: z.string().min(1),
    /** Null takes the override away. */
    override: z
      .strictObject({
        skip: z.boolean().optional(),
        ratio: z.number().min(0).lt(1).optional(),
        bits: z.union([z.int().min(1).max(8), z.literal(16), z.literal(32)]).optional(),
      })
      .nullable(),
  }),
  z.object({ type: z.literal('openSource'), file: z.string(), line: z.int().min(1) }),
  z.object({ type: z.literal('openConfig') }),
  z.object({ type: z.literal('showLog') }),
  z.object({ type: z.literal('copyText'), text: z.string() }),
  /** An error inside the view, for the log. */
  z.object({ type: z.literal('viewError'), message: z.string(), stack: z.string().optional() }),
]);
export type PanelToHost = z.output<typeof panelToHostSchema>;

export const overridesSchema = z.record(
  z.string(),
  z.object({ skip: z.boolean().optional(), ratio: z.number().optional(), bits: z.number().optional() }),
);

/** Host → web view. */
export const hostToPanelSchema = z.discriminatedUnion('type', [
  /** Everything at once; parts that do not exist are null. */
  z.object({
    type: z.literal('show'),
    graph: layerGraphSchema.nullable(),
    run: runSnapshotSchema.nullable(),
    sensitivity: sensitivitySchema.nullable(),
    overrides: overridesSchema,
    /** File name of the config that overrides are written to; absent where there is none yet. */
    configName: z.string().optional(),
    state: viewStateSchema.nullable(),
    /** False where workspace code and runs are not allowed: the reason is in `limited`. */
    trusted: z.boolean(),
    limited: z.string().optional(),
  }),
  z.object({ type: z.literal('graph'), graph: layerGraphSchema }),
  z.object({ type: z.literal('run'), run: runSnapshotSchema }),
  z.object({ type: z.literal('sensitivity'), sensitivity: sensitivitySchema }),
  z.object({ type: z.literal('overrides'), overrides: overridesSchema }),
  z.object({ type: z.literal('selectNode'), node: z.string() }),
  z.object({ type: z.literal('status'), health: z.enum(['ok', 'warning', 'error']), quiescent: z.boolean(), message: z.string() }),
  z.object({
    type: z.literal('response'),
    id: requestId,
    /** The person left or stopped it: nothing was done, and nothing is wrong. */
    cancelled: z.boolean().optional(),
    error: z.object({ message: z.string(), hint: z.string().optional() }).optional(),
  }),
]);
export type HostToPanel = z.output<typeof hostToPanelSchema>;

export type MessageReading<T> = { readonly message: T } | { readonly problem: string };

/** Checks what came over postMessage. Never throws. */
export function readMessage<T>(schema: z.ZodType<T>, data: unknown): MessageReading<T> {
  const result = schema.safeParse(data);
  if (result.success) return { message: result.data };
  const issue = result.error.issues[0];
  return { problem: `${issue.path.join('.') || 'message'}: ${issue.message}` };
}
