/**
 * TensorFlow.js models that source code builds: the module is imported, which runs it, and the model it makes is taken through a save
 * handler of its own TensorFlow.js, whatever version and backend that is.
 */
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { type ImportOptions, importSource } from './source-module';
import { type ModelArtifacts, modelFromTfjs } from './tfjs-layers';

/** What this reader needs of a tf.LayersModel. */
interface Savable {
  save(handler: { save(artifacts: ModelArtifacts): Promise<unknown> }): Promise<unknown>;
}

const isLayersModel = (value: unknown): value is Savable =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { save?: unknown }).save === 'function' &&
  Array.isArray((value as { layers?: unknown }).layers);

/**
 * The model that an export of a module is (a variable), gives (a function, which may be asynchronous) or holds (a class, in itself or
 * in its `model`). Running the module runs the user's code: only where that is trusted.
 * @param name the exported function, class or variable; 'default' for the default export
 * @param argumentsText what a function or class is called with, as JavaScript: '10, { depth: 3 }'; '' for nothing
 * @throws UserError naming the file, the export or the layer, and the next step
 */
export async function modelFromModule(file: string, name: string, argumentsText = '', options: ImportOptions = {}): Promise<Model> {
  const exported = await importSource(file, options);
  if (!Object.hasOwn(exported, name) && !(name in exported)) {
    const others = Object.keys(exported).filter((k) => k !== 'default' && k !== '__esModule' && k !== 'module.exports');
    throw new UserError(
      `${file} exports no '${name}'`,
      others.length > 0 ? `It exports ${others.join(', ')}; add "export" before '${name}'.` : `Add "export" before '${name}'.`,
    );
  }
  const model = await modelOf(exported[name], file, name, argumentsText);
  const artifacts = await artifactsOf(model, file, name);
  try {
    return modelFromTfjs(artifacts);
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(`the model '${name}' of ${file}: ${cause.message}`, cause.hint, { cause });
  }
}

async function modelOf(value: unknown, file: string, name: string, argumentsText: string): Promise<Savable> {
  const made = typeof value === 'function' ? await call(value, file, name, argumentsText) : await value;
  if (isLayersModel(made)) return made;
  const held = typeof made === 'object' && made !== null ? await (made as { model?: unknown }).model : undefined;
  if (isLayersModel(held)) return held;
  throw new UserError(
    `'${name}' of ${file} ${typeof value === 'function' ? 'gives' : 'is'} no tf.LayersModel`,
    'Export a model, a function that returns one, or a class that holds one as "model" (made by tf.sequential or tf.model).',
  );
}

async function call(callee: unknown, file: string, name: string, argumentsText: string): Promise<unknown> {
  let values: unknown[];
  try {
    values = new Function(`'use strict'; return [${argumentsText}\n];`)() as unknown[];
  } catch (cause) {
    throw new UserError(
      `the arguments '${argumentsText}' of ${name} are no JavaScript: ${text(cause)}`,
      'Write them as in a call, for example: 10, { depth: 3 }.',
      { cause },
    );
  }
  try {
    const isClass = /^class\b/.test(Function.prototype.toString.call(callee));
    if (isClass) return new (callee as new (...a: unknown[]) => unknown)(...values);
    return await (callee as (...a: unknown[]) => unknown)(...values);
  } catch (cause) {
    throw new UserError(
      `${name}(${argumentsText}) of ${file} failed: ${text(cause)}`,
      values.length === 0 ? 'If it takes arguments, state them in "definition.arguments".' : 'Check "definition.arguments" in the config.',
      { cause },
    );
  }
}

async function artifactsOf(model: Savable, file: string, name: string): Promise<ModelArtifacts> {
  let artifacts: ModelArtifacts | undefined;
  try {
    await model.save({
      save: async (given) => {
        artifacts = given;
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
      },
    });
  } catch (cause) {
    throw new UserError(
      `the model '${name}' of ${file} cannot be saved: ${text(cause)}`,
      'A model whose input shape is not known yet is first built: state inputShape in its first layer.',
      { cause },
    );
  }
  if (!artifacts) throw new UserError(`the model '${name}' of ${file} was saved without giving its layers`, 'Check its "save" method.');
  return artifacts;
}

const text = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split('\n')[0].slice(0, 400);
