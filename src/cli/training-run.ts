/** Training a baseline network with its progress shown: what `train` and `demo` share. */
import { formatBytes, formatCount, formatPercent } from '../engine/search/figures';
import { type TrainedBaseline, trainBaseline } from '../engine/search/train-baseline';
import type { Config } from '../protocol/config';
import { durationText } from '../protocol/duration';
import { interruptible } from './interrupt';
import { ProgressLine } from './progress-line';
import { threadFiles } from './threads';

export async function shownTraining(
  config: Config,
  options: { folder: string; dataFolder?: string; json: boolean },
): Promise<TrainedBaseline> {
  const { json, folder, dataFolder } = options;
  const line = new ProgressLine();
  try {
    const trained = await interruptible((signal) =>
      trainBaseline(config, {
        folder,
        dataFolder,
        augmentThread: threadFiles().augment,
        signal,
        onProgress: (p) => {
          if (!json)
            line.show(
              `train · epoch ${p.epoch + 1}/${p.epochs} · loss ${p.loss.toFixed(3)} · ${formatPercent(p.accuracy, 1)} of the training images · ${durationText(p.secondsLeft)} left`,
            );
        },
        onEpoch: (epoch, accuracy) => {
          if (json) process.stdout.write(`${JSON.stringify({ type: 'epoch', epoch: epoch + 1, accuracy })}\n`);
          else line.note(`epoch ${epoch + 1}: ${formatPercent(accuracy)} of the held-out search images`);
        },
      }),
    );
    if (json) process.stdout.write(`${JSON.stringify({ type: 'trained', ...trained })}\n`);
    else {
      line.note(
        `trained ${trained.path}: ${formatPercent(trained.accuracy)} of ${trained.images} held-out images, ${formatCount(trained.parameters)} parameters, ${formatBytes(trained.fileBytes)} (epoch ${trained.epoch})`,
      );
    }
    return trained;
  } finally {
    line.clear();
  }
}
