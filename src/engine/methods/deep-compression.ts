/** Deep Compression: magnitude pruning, shared weights, Huffman coding; no agent decides. */
import type { DeepCompressionOptions } from '../search/deep-compression-stage';
import { uniform } from './baselines';
import type { Method } from './method';

const OPTIONS: Readonly<Record<keyof DeepCompressionOptions, true>> = {
  sparsity: true,
  rounds: true,
  epochs: true,
  learningRate: true,
  convolutionBits: true,
  linearBits: true,
  start: true,
  codebookEpochs: true,
  codebookLearningRate: true,
};

export const deepCompression: Method = {
  name: 'deep-compression',
  title: 'Deep Compression',
  description: 'Weights are pruned by magnitude and retrained, share a few values a layer by k-means, and are Huffman coded.',
  source:
    'baseline; Han, Mao, Dally 2016, Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding',
  credit: 'episode',
  episodes: 1,
  space: 'codes',
  options: Object.keys(OPTIONS),
  createAgent: uniform.createAgent,
};
