/** Which of the data sets in a folder a model was made for: by its input shape, and where several fit, by how well it answers. */
import type { DataSource, Dataset } from '../data/dataset';
import { knownDatasets, locateDataset } from '../data/locate';
import { normalizations } from '../data/normalize';
import { UserError } from '../errors';
import { loadAnyModel } from '../formats/registry';
import { normalize } from '../graph/passes/normalize';
import type { Model } from '../onnx/model';
import { accuracyOf, checkFits, scoringSignature } from '../runtime/evaluate';
import { formatPercent } from './figures';
import { materialize } from './prepare';

/** Images of each data set that are tried. */
const PROBE = 500;

/** @throws UserError naming what was looked for and the next step */
export async function chooseData(modelPath: string, dataFolder: string | undefined): Promise<{ name: string; note?: string }> {
  const { model } = normalize(await loadAnyModel(modelPath));
  const [input] = scoringSignature(model).inputs;
  const wanted = `[${(input.shape ?? [])
    .slice(1)
    .map((d) => d || '?')
    .join(', ')}]`;
  const roots = dataFolder ?? process.env['ESPALIER_DATA'];
  if (!roots) {
    throw new UserError(
      `no data was named to test ${modelPath} on (its input takes ${wanted})`,
      'Pass --data DIR (a folder of data sets; in VS Code the setting espalier.dataFolder), --data mnist or another name, --data inputs.npy for a label-free run, or write a config with "data".',
    );
  }
  const found: DataSource[] = [];
  for (const name of knownDatasets) {
    if (name === 'digits') continue;
    let source: DataSource;
    try {
      source = locateDataset(name, { dataFolder, only: 'test' });
    } catch (e) {
      if (e instanceof UserError) continue;
      throw e;
    }
    if (fits(model, source.test!)) found.push(source);
  }
  if (found.length === 0) {
    throw new UserError(
      `no data set in ${roots} has samples that fit the input '${input.name}' of ${modelPath}, which takes ${wanted}`,
      `Known data sets: ${knownDatasets.filter((n) => n !== 'digits').join(', ')}; for others write a config with "data.files".`,
    );
  }
  if (found.length === 1) return { name: found[0].name, note: `data: ${found[0].name}` };
  const scored: Array<{ name: string; accuracy: number }> = [];
  for (const source of found) scored.push({ name: source.name, accuracy: await bestAccuracy(model, source) });
  scored.sort((a, b) => b.accuracy - a.accuracy);
  const listed = scored.map((s) => `${s.name} ${formatPercent(s.accuracy, 1)}`).join(', ');
  // Chance answers on data a model was not made for; what it was made for stands far above.
  if (scored[0].accuracy < 0.5 || scored[0].accuracy - scored[1].accuracy < 0.1) {
    throw new UserError(`several data sets fit the model's input (accuracy: ${listed})`, `Name one: --data ${scored[0].name}.`);
  }
  return { name: scored[0].name, note: `data: ${scored[0].name}, which the model answers best (${listed})` };
}

function fits(model: Model, dataset: Dataset): boolean {
  try {
    checkFits(model, dataset, dataset.name);
    return true;
  } catch (e) {
    if (e instanceof UserError) return false;
    throw e;
  }
}

async function bestAccuracy(model: Model, source: DataSource): Promise<number> {
  const dataset = source.test!;
  const rows = Uint32Array.from({ length: Math.min(PROBE, dataset.count) }, (_, i) => i);
  const labels = Int32Array.from(rows, (r) => dataset.labels![r]);
  const tried = [source.normalization, ...Object.values(normalizations)].filter(
    (n) => n.mean.length === 1 || n.mean.length === dataset.shape[0],
  );
  let best = 0;
  for (const normalization of tried) {
    best = Math.max(best, await accuracyOf(model, { ...(await materialize({ dataset, rows }, normalization)), labels }));
  }
  return best;
}
