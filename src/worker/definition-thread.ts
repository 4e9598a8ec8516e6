/** Entry of a thread that imports one module of the user's and writes the model it builds. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../engine/errors';
import { modelFromModule } from '../engine/formats/tfjs-module';
import { saveModel } from '../engine/onnx/file';
import type { ImportDefinitionParams } from '../protocol/worker-messages';
import type { DefinitionAnswer } from './import-definition';

const { file, name, arguments: given, to } = workerData as ImportDefinitionParams;
const answer = (a: DefinitionAnswer): void => parentPort?.postMessage(a);

modelFromModule(file, name, given)
  .then((model) => {
    saveModel(model, to);
    answer({ done: true });
  })
  .catch((cause: unknown) => {
    const { message, stack } = cause as Error;
    answer(cause instanceof UserError ? { message, hint: cause.hint } : { message, stack });
  });
