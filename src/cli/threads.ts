/** The bundled worker threads, which lie beside the command's own bundle. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const bundled = (name: string): string | undefined => {
  const path = join(__dirname, name);
  return existsSync(path) ? path : undefined;
};

export const threadFiles = (): { actor?: string; augment?: string; sensitivity?: string } => ({
  actor: bundled('actor-thread.js'),
  augment: bundled('augment-thread.js'),
  sensitivity: bundled('sensitivity-thread.js'),
});
