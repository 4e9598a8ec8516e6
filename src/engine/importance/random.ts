import type { Criterion } from './criterion';

/** Uniform scores: the baseline that every criterion must beat. */
export const random: Criterion = {
  name: 'random',
  description: 'Channels drawn at random.',
  score: (group, _model, generator) => Float64Array.from({ length: group.channels }, () => generator.uniform()),
};
