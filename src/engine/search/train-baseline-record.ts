/** What `espalier train` writes into the metadata of its model: enough to draw the initial weights again. */
import * as z from 'zod';
import type { Model } from '../onnx/model';

const KEY = 'espalier.train';

const recordSchema = z.object({
  /** Name of the architecture in the registry. */
  architecture: z.string(),
  /** Of the training, which the initial weights follow from. */
  seed: z.int(),
});

export type TrainingRecord = Readonly<z.infer<typeof recordSchema>>;

export const withTrainingRecord = (model: Model, { architecture, seed }: TrainingRecord): Model => ({
  ...model,
  metadata: new Map([...model.metadata, [KEY, JSON.stringify({ architecture, seed })]]),
});

/** undefined where another program made the model, or an Espalier that wrote no record, or where the record is damaged. */
export function trainingRecordOf({ metadata }: Model): TrainingRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(metadata.get(KEY) ?? 'null')).data;
  } catch {
    return undefined;
  }
}
