import type { Model } from '../../onnx/model';
import { removeDeadCode } from './dead-code';
import { keepBlocked } from './keep-blocked';

/**
 * The form in which a model is written for others to run: shortcuts that do not break onnxruntime's blocked layout, and no constant that
 * nothing reads any more (onnxruntime prints a warning for each, whenever the file is loaded).
 */
export const forRuntimes = (model: Model): Model => removeDeadCode(keepBlocked(model).model).model;
