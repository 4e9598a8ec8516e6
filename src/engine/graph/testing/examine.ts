/** Takes a file as far as the engine reads files before anything runs, and tells how that ended. */
import { UserError } from '../../errors';
import { modelBytes, parseModel } from '../../onnx/file';
import { findChannelGroups } from '../channel-groups';
import { countCosts } from '../costs';
import { inferTypes } from '../infer';
import { normalize } from '../passes/normalize';

export type Outcome =
  /** Everything went through; `model` is the file as the engine writes it. */
  | { readonly kind: 'success'; readonly model: Uint8Array }
  | { readonly kind: 'refused'; readonly message: string }
  /** Anything but a UserError: a fault of ours. */
  | { readonly kind: 'fault'; readonly message: string };

/** load → normalize → inferTypes → findChannelGroups → countCosts → encode */
export function examine(bytes: Uint8Array): Outcome {
  try {
    const { model } = normalize(parseModel(bytes));
    const inferred = inferTypes(model);
    findChannelGroups(model, inferred);
    const costs = countCosts(model);
    for (const figure of [costs.macs, costs.params, costs.weightBytes])
      if (!Number.isFinite(figure) || figure < 0) throw new Error(`costs came out as ${figure}`);
    const written = modelBytes(model);
    // What was written must be readable again.
    parseModel(written);
    return { kind: 'success', model: written };
  } catch (e) {
    if (e instanceof UserError) return { kind: 'refused', message: e.message };
    return { kind: 'fault', message: e instanceof Error ? (e.stack ?? e.message) : String(e) };
  }
}
