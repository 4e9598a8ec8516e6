/** Data sets in memory, and batches drawn from them. */

/** One of several inputs of a model, as a part of each sample's row. */
export interface SampleField {
  /** The model input's name. */
  readonly name: string;
  /** Without the batch; [] is one value. */
  readonly shape: readonly number[];
}

/** Truth that is not one class: what regression and multi-label networks are scored and trained on. */
export interface Targets {
  /** Values of each sample for one output of the model; without a name, the first. */
  readonly outputs: ReadonlyArray<{
    readonly name?: string;
    /** Values a sample. */
    readonly width: number;
    /** [count, width] */
    readonly values: Float32Array;
  }>;
}

/** Images (or any inputs) and labels, in the data set's own units (0 to 255 for pixels), one row a sample. */
export interface Dataset {
  readonly name: string;
  readonly count: number;
  /** Shape of one sample without the batch, e.g. [3, 32, 32] (channels first); with `fields`, [values of a row]. */
  readonly shape: readonly number[];
  /** Where the model has several inputs: a sample's row holds their values one after the other. */
  readonly fields?: readonly SampleField[];
  /** count × product(shape) values. Pixels stay bytes until a batch is made. */
  readonly inputs: Uint8Array | Float32Array;
  /** Class of each sample; undefined where the data has no labels (label-free: agreement with the original model). */
  readonly labels?: Uint8Array | Int32Array;
  readonly classes?: number;
  /** Names of the classes, where the data has words for them. */
  readonly classNames?: readonly string[];
  /** Instead of `labels`, where samples have values or several classes at once. */
  readonly targets?: Targets;
}

/** A part of a data set: rows [from, to) or the given rows. */
export interface Split {
  readonly dataset: Dataset;
  readonly rows: Uint32Array;
}

/** How raw values become model inputs: (raw · scale − mean) / std per channel. */
export interface Normalization {
  /** 1/255 for pixels to [0, 1]; 1 for raw. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Random changes of training images, drawn for each image; absent fields are off. Applied to raw values before normalisation. */
export interface Augmentation {
  /** Largest shift in pixels, each direction. */
  readonly shift?: number;
  /** Pad by this many pixels (black), then crop back to size at a random place. */
  readonly crop?: number;
  /** Horizontal flip with probability one half. */
  readonly flip?: boolean;
  /** Largest rotation in degrees. */
  readonly rotate?: number;
  /** Largest relative scale change, e.g. 0.1. */
  readonly scale?: number;
  /** Largest shear, as a tangent. */
  readonly shear?: number;
  /** Standard deviation of a random relative gain of the sample and of a random offset of each channel, both of the normalised inputs. */
  readonly jitter?: number;
  /**
   * Elastic distortion (Simard 2003): noise in [−alpha, alpha] pixels smoothed by a Gaussian of `sigma` pixels. As in the paper alpha counts
   * before smoothing: 34 with sigma 4 moves pixels by 1.4 (root mean square), about the most that a 28×28 digit bears.
   */
  readonly elastic?: { readonly alpha: number; readonly sigma: number };
}

/** Model inputs and labels of some rows: `inputs` is [rows, ...shape] in float32. */
export interface Batch {
  readonly inputs: Float32Array;
  readonly labels?: Int32Array;
  /** Targets of the first output, [rows, width]. */
  readonly targets?: Float32Array;
  readonly count: number;
}

/** What a name or path in a config or on the command line leads to: the data set's training and test parts as far as they exist. */
export interface DataSource {
  readonly name: string;
  readonly train?: Dataset;
  readonly test?: Dataset;
  /** The usual normalisation of this data set: a default where neither config nor model says otherwise. */
  readonly normalization: Normalization;
  /** True where the model's file or the config states it, so that no other is tried. */
  readonly normalizationStated?: boolean;
  /** Things worth saying about how it was read. */
  readonly notes?: readonly string[];
}
