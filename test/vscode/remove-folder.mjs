/** Removes a folder that processes which are just ending may still write to. */
import { rmSync } from 'node:fs';

const PATIENCE = 20_000;

/** Tries until it is gone. What stays after that is said and left: it lies among temporary files, and no test is about it. */
export async function removeFolder(path) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      rmSync(path, { recursive: true, force: true });
      return;
    } catch (error) {
      if (Date.now() > end) {
        console.log(`could not remove ${path}: ${error.message}`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
