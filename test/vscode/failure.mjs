/** What a person at the window would have seen when a suite failed. */
import { join } from 'node:path';
import { cache } from './prepare.mjs';

/**
 * The error with what had been done before it, and a picture of the window.
 * @param page the window, where it was opened
 * @param notes what was seen so far
 */
export async function explained(error, suite, page, notes) {
  const picture = join(cache, `${suite}-failed.png`);
  await page?.screenshot({ path: picture }).catch(() => undefined);
  return new Error(`after "${notes.at(-1) ?? 'the start'}": ${error.message} (a picture of the window is in ${picture})`, { cause: error });
}
