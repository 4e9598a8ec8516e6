/**
 * Inputs without labels: what a label-free run is judged on (agreement with the original model), for people who have a model and some inputs only.
 */

import { extname } from 'node:path';
import { UserError } from '../errors';
import { type ArrayLayout, datasetFromArrays } from './arrays';
import type { Dataset } from './dataset';
import { readNpy, readNpz } from './npy';

/** The unlabelled inputs of a .npy file, or of a .npz archive (its only array, or the one called inputs, x, images or data). Labels beside them are ignored. */
export function readUnlabelled(path: string, layout: ArrayLayout = 'auto'): Dataset {
  if (extname(path).toLowerCase() !== '.npz') return datasetFromArrays(path, { name: path, array: readNpy(path) }, undefined, layout);
  const arrays = readNpz(path);
  const names = [...arrays.keys()];
  const key = names.length === 1 ? names[0] : ['inputs', 'x', 'images', 'data'].find((wanted) => arrays.has(wanted));
  if (key === undefined) {
    throw new UserError(
      `${path} holds the arrays ${names.join(', ')}, and none of them is called inputs, x, images or data.`,
      'Rename the array.',
    );
  }
  return datasetFromArrays(path, { name: `${path} › ${key}`, array: arrays.get(key)! }, undefined, layout);
}
