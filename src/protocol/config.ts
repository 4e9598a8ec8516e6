/**
 * The config file `*.espalier.json`: one schema for TypeScript types, run-time checks, defaults, and (through config-schema.ts) the JSON Schema
 * behind completion and hovers in the editor. Its larger parts are declared in `config/`, one file each; all of it is imported from here.
 * Paths are relative to the config file. Shares and accuracies are numbers in [0, 1].
 */
import * as z from 'zod';
import { layerOverrideSchema, pruningSchema, quantizationSchema } from './config/compression';
import { dataSchema, type split, type splitsSchema } from './config/data';
import { path, wholeAtLeast } from './config/fields';
import { agentSchema, goalSchema, methodSchema, rewardSchema, searchSchema } from './config/search';
import { recoverySchema, trainSchema } from './config/training';

export * from './config/names';

const definitionSchema = z
  .strictObject({
    file: path.describe('Source file that defines the model, relative to this file.'),
    name: z.string().min(1).describe('Class, function or variable that is the model.'),
    arguments: z
      .string()
      .default('')
      .describe("What the class or function is called with, written in the file's language: 'num_classes=10'."),
    inputShape: z.array(wholeAtLeast(1)).min(1).optional().describe('Shape of one input with its batch: [1, 3, 32, 32].'),
    weights: path.optional().describe('Trained weights to load before the export: a state dict, a checkpoint or Keras weights.'),
  })
  .describe('Source code that `model` is exported from by the editor, and how it is called.');

const outputSchema = z
  .strictObject({
    folder: path.default('.espalier/runs').describe('Folder that gets one folder for each run.'),
  })
  .describe('Where results go.');

/** A config file as written: everything but `model` may be absent. */
export const configSchema = z
  .strictObject({
    $schema: z.string().optional().describe('The JSON Schema of this file, for editors that do not know Espalier.'),
    model: path.describe('The model to compress, relative to this file. With `train`, also where the trained network is written.'),
    definition: definitionSchema.optional(),
    dequantize: z
      .boolean()
      .default(false)
      .describe('Turn a model that is quantised already back into floats first; without it, such a model is refused.'),
    data: dataSchema.prefault({}),
    method: methodSchema.prefault('two-stage-ppo'),
    stages: z
      .strictObject({
        prune: z.boolean().default(true).describe('Stage 1: remove channels.'),
        quantize: z.boolean().default(true).describe('Stage 2: choose bit-widths.'),
      })
      .prefault({})
      .describe('Which stages run.'),
    goal: goalSchema.prefault({}),
    reward: rewardSchema.prefault({}),
    layers: z
      .record(z.string().min(1), layerOverrideSchema)
      .default({})
      .describe("Overrides by layer or group name; '*' stands for any characters. Where several match, the later one wins field by field."),
    pruning: pruningSchema.prefault({}),
    quantization: quantizationSchema.prefault({}),
    search: searchSchema.prefault({}),
    agent: agentSchema.prefault({}),
    recovery: recoverySchema.prefault({}),
    train: trainSchema.optional(),
    output: outputSchema.prefault({}),
    seed: wholeAtLeast(0)
      .max(0xffff_ffff)
      .default(1)
      .describe('Seed of everything random: the same seed, backend and machine give the same result.'),
    threads: wholeAtLeast(1).max(256).optional().describe('Processor threads to use; without it, all.'),
  })
  .superRefine((config, context) => {
    if (!config.stages.prune && !config.stages.quantize)
      context.addIssue({ code: 'custom', path: ['stages'], message: 'both stages are off, so there is nothing to do' });
  })
  .describe('An Espalier compression config.');

/** A config with every default filled in. */
export type Config = z.output<typeof configSchema>;
/** A config as a file may have it. */
export type ConfigInput = z.input<typeof configSchema>;
export type LayerOverride = z.output<typeof layerOverrideSchema>;
export type SplitSettings = z.output<typeof split>;
export type SplitsSettings = z.output<typeof splitsSchema>;
export type DataSettings = Config['data'];
export type GoalSettings = Config['goal'];
export type PruningSettings = Config['pruning'];
export type QuantizationSettings = Config['quantization'];
export type SearchSettings = Config['search'];
export type AgentSettings = Config['agent'];
export type RecoverySettings = Config['recovery'];
export type TrainSettings = NonNullable<Config['train']>;
export type RewardSettings = Config['reward'];

/** A budget of the goal as an absolute figure: up to 1 it is a share of the original's. */
export function absoluteBudget(budgetValue: number, original: number): number {
  return budgetValue <= 1 ? budgetValue * original : budgetValue;
}
