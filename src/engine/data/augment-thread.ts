/** The augmentation thread: makes the batches it is asked for. An entry of its own in the build; started by `augment-thread-client.ts`. */

import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '../random';
import { SampleWriter } from './augment';
import type { AugmentThreadData, BatchReply, BatchRequest } from './augment-thread-protocol';
import { writeSamples } from './write-samples';

const { samples, bytes, shape, normalization, augmentation } = workerData as AugmentThreadData;
const writer = new SampleWriter(shape, normalization, augmentation);
const source = bytes ? new Uint8Array(samples) : new Float32Array(samples);

parentPort!.on('message', ({ id, rows, random }: BatchRequest) => {
  const inputs = new Float32Array(rows.length * writer.size);
  writeSamples(writer, source, rows, inputs, new Random(random));
  const reply: BatchReply = { id, inputs };
  parentPort!.postMessage(reply, [inputs.buffer]);
});
