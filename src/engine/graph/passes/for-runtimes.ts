import type { Model } from '../../onnx/model';
import { blockedInputs } from './blocked-inputs';
import { removeDeadCode } from './dead-code';
import { keepBlocked } from './keep-blocked';

/**
 * The form in which a model is written for others to run: shortcuts that do not break onnxruntime's blocked layout, and no constant that
 * nothing reads any more (onnxruntime prints a warning for each, whenever the file is loaded).
 */
export const forRuntimes = (model: Model): Model => removeDeadCode(keepBlocked(model).model).model;

/** The form in which a part of a model is run that goes on from values computed before. */
export const partForRuntimes = (part: Model): Model => keepBlocked(blockedInputs(part).model).model;
