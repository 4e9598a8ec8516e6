/** The worker process of the extension: JSON-RPC over the fork's IPC. It ends when its parent does. */
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { threadFilesIn, WorkerServer } from './server';

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
const server = new WorkerServer(connection, threadFilesIn(__dirname));

let closing = false;
async function close(): Promise<void> {
  if (closing) return;
  closing = true;
  await server.close();
  process.exit(0);
}
process.on('disconnect', () => void close());
process.on('SIGTERM', () => void close());
server.listen();
