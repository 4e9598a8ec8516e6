/** The frame of a suite that works as a person does: a workspace, an editor and a window of their own, and all gone afterwards. */
import { explained } from './failure.mjs';
import { freshWorkspace } from './prepare.mjs';
import { removeFolder } from './remove-folder.mjs';
import { startServer } from './server.mjs';
import { openWindow } from './window.mjs';

/**
 * @param suite its name, for the picture where it fails
 * @param development folder of the extension to load from source; absent where one is installed in `home`
 * @param prepare what is put into the workspace's folder before the editor opens it
 * @param act gets the page, the folder and `note`, which it tells what it has seen
 * @returns what was seen, for the log
 */
export async function personAtWindow(suite, { development, home, prepare }, act) {
  const folder = freshWorkspace();
  prepare?.(folder);
  const server = await startServer(home ? { home } : {});
  const notes = [];
  let page;
  try {
    const window = await openWindow(server, { folder, development });
    page = window.page;
    await act({ page, folder, note: (seen) => notes.push(seen) });
    await window.browser.close();
    return notes;
  } catch (error) {
    throw await explained(error, suite, page, notes);
  } finally {
    await server.stop();
    await removeFolder(folder);
  }
}
