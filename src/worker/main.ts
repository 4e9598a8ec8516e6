/** The worker process of the extension: JSON-RPC over the fork's IPC. It ends when its parent does. */
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { threadFilesIn, WorkerServer } from './server';

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
const server = new WorkerServer(connection, threadFilesIn(__dirname));

let closing = false;
async function close(reason: string): Promise<void> {
  if (closing) return;
  closing = true;
  await server.close(reason);
  process.exit(0);
}
process.on('disconnect', () => void close('the window was closed or reloaded'));
process.on('SIGTERM', () => void close('its process was asked to end'));
server.listen();
