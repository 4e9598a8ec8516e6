/** What a pipeline and its augmentation thread tell each other. */

import type { Augmentation, Normalization } from './dataset';

/** What the thread starts with. The samples lie in shared memory, so threads of several pipelines read one copy. */
export interface AugmentThreadData {
  readonly samples: SharedArrayBuffer;
  /** Whether the samples are bytes; else float32. */
  readonly bytes: boolean;
  /** Shape of one sample. */
  readonly shape: readonly number[];
  readonly normalization: Normalization;
  readonly augmentation: Augmentation;
}

export interface BatchRequest {
  readonly id: number;
  readonly rows: Uint32Array;
  /** State of the batch's Random. */
  readonly random: readonly number[];
}

export interface BatchReply {
  readonly id: number;
  readonly inputs: Float32Array<ArrayBuffer>;
}
