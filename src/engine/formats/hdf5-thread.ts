/** A thread that reads one HDF5 file, so that it can be ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../errors';
import type { Hdf5Answer, Hdf5Request } from './hdf5';
import { damaged, readHdf5Here } from './hdf5-content';

const { bytes, label, only } = workerData as Hdf5Request;
const answer = (a: Hdf5Answer): void => parentPort?.postMessage(a);

readHdf5Here(bytes, label, only, () => answer({ ready: true }))
  .then((content) => answer({ content }))
  .catch((cause: unknown) => {
    const { message, hint } = cause instanceof UserError ? cause : damaged(label, cause);
    answer({ message, hint });
  });
