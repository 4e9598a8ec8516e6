/** Takes a model of any format as far as the engine reads files before anything runs, and tells how that ended. */
import { UserError } from '../../errors';
import { examine, type Outcome } from '../../graph/testing/examine';
import { modelBytes } from '../../onnx/file';
import { loadAnyModel } from '../registry';

export async function examineFile(path: string): Promise<Outcome> {
  try {
    return examine(modelBytes(await loadAnyModel(path)));
  } catch (e) {
    if (e instanceof UserError) return { kind: 'refused', message: e.message };
    return { kind: 'fault', message: e instanceof Error ? (e.stack ?? e.message) : String(e) };
  }
}
