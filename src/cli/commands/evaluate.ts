/** `espalier evaluate <model>`: accuracy from the file, sizes, and milliseconds on this machine. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { asOnnxFile } from '../../engine/formats/registry';
import { parseModel } from '../../engine/onnx/file';
import { diskSizes } from '../../engine/quantization/write-quantized';
import { accuracyOf } from '../../engine/runtime/evaluate';
import { measureLatency } from '../../engine/runtime/latency';
import { runtimeVersion } from '../../engine/runtime/onnxruntime';
import { chooseData } from '../../engine/search/choose-data';
import { formatBytes, formatCount, formatMilliseconds, formatPercent } from '../../engine/search/figures';
import { prepare } from '../../engine/search/prepare';
import type { Latency } from '../../protocol/policy';
import { type ConfigOptions, configFrom } from '../config-input';
import { interruptible } from '../interrupt';
import { tableText } from '../table';

export async function evaluate(path: string, options: ConfigOptions & { json?: boolean }): Promise<void> {
  const { config, folder, dataFolder, notes } = await configFrom(path, options, chooseData);
  const threads = config.threads ?? availableParallelism();
  const found = await interruptible(async (signal) => {
    const prepared = await prepare(config, { folder, dataFolder, threads, signal, anyModel: true });
    const { report } = prepared.data;
    // Other formats, and data in files of its own, are measured as the one ONNX file they become.
    const temporary = mkdtempSync(join(tmpdir(), 'espalier-'));
    let bytes: Uint8Array;
    let sizes: ReturnType<typeof diskSizes>;
    try {
      const path = await asOnnxFile(prepared.modelPath, join(temporary, 'model.onnx'));
      [bytes, sizes] = [readFileSync(path), diskSizes(path)];
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
    const accuracy = await accuracyOf(parseModel(bytes), report, { threads, signal });
    const latency: Latency[] = [];
    for (const batch of [1, 32]) {
      signal.throwIfAborted();
      const [measured] = await measureLatency([bytes], report, batch, { cores: threads });
      if (measured) latency.push(measured);
    }
    return { prepared, accuracy, latency, sizes };
  });
  const { prepared, accuracy, latency, sizes } = found;
  const { costs, data } = prepared;
  const { layers: _, ...cost } = costs;
  const figures = {
    model: prepared.modelPath,
    data: data.name,
    measure: data.labelled ? data.measure : 'agreement',
    accuracy,
    images: data.report.count,
    cost: { ...cost, ...sizes },
    latency,
    machine: { cpu: cpus()[0]?.model.trim(), threads, onnxruntime: await runtimeVersion() },
  };
  if (options.json) {
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    return;
  }
  const rows = [
    [`${figures.measure} (${figures.images} held-out samples of ${data.name})`, formatPercent(accuracy)],
    ['parameters', formatCount(cost.params)],
    ['parameters, not zero', formatCount(cost.effectiveParams)],
    ['multiply-accumulates', formatCount(cost.macs)],
    ['multiply-accumulates, effective', formatCount(cost.effectiveMacs)],
    ['file', formatBytes(figures.cost.fileBytes)],
    ['file, brotli', formatBytes(figures.cost.brotliBytes)],
    ...latency.map((l) => [
      `ms at batch ${l.batch}`,
      `${formatMilliseconds(l)}, median and middle half of ${l.runs} runs, ${l.threads === 1 ? 'one thread' : `${l.threads} threads`}`,
    ]),
  ];
  for (const note of [...notes, ...prepared.notes]) process.stderr.write(`note: ${note}\n`);
  process.stdout.write(
    `${prepared.modelPath}\n${tableText(rows)}\n${figures.machine.cpu}, at most ${threads} threads, ${figures.machine.onnxruntime}\n`,
  );
}
