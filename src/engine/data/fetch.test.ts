import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DatasetOrigin, datasetOrigins, type FetchProgress, fetchDataset } from './fetch';
import { locateDataset } from './locate';
import { cifarBytes, idxBytes, put, temporaryFolder } from './testing/sample-files';

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');

/** A tar archive of these files, below a folder as CIFAR-10's is. */
function tarBytes(files: Record<string, Uint8Array>): Uint8Array {
  const blocks: Uint8Array[] = [];
  const entry = (path: string, bytes: Uint8Array, type: string) => {
    const header = new Uint8Array(512);
    const write = (text: string, at: number) => header.set(new TextEncoder().encode(text), at);
    write(path, 0);
    write('0000644\0', 100);
    write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    write('        ', 148);
    write(type, 156);
    write('ustar\0', 257);
    const sum = header.reduce((a, b) => a + b, 0);
    write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    const content = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
    content.set(bytes);
    blocks.push(header, content);
  };
  entry('cifar-10-batches-bin/', new Uint8Array(0), '5');
  for (const [name, bytes] of Object.entries(files)) entry(`cifar-10-batches-bin/${name}`, bytes, '0');
  blocks.push(new Uint8Array(1024));
  return Buffer.concat(blocks);
}

const idx: Record<string, Uint8Array> = {
  'train-images-idx3-ubyte': idxBytes([3, 2, 2], new Uint8Array(12).fill(7)),
  'train-labels-idx1-ubyte': idxBytes([3], [0, 1, 2]),
  't10k-images-idx3-ubyte': idxBytes([2, 2, 2], new Uint8Array(8)),
  't10k-labels-idx1-ubyte': idxBytes([2], [0, 1]),
};
const cifarFiles = datasetOrigins.cifar10.downloads[0].files;
const archive = tarBytes(
  Object.fromEntries(cifarFiles.map((file, i) => [file, file.endsWith('.bin') ? cifarBytes(i + 1) : new Uint8Array(5)])),
);
const served = new Map<string, Uint8Array>([
  ...Object.entries(idx).map(([name, bytes]) => [`/${name}.gz`, gzipSync(bytes)] as const),
  ['/cifar.tar.gz', gzipSync(archive)],
  ['/cut.tar.gz', gzipSync(archive.subarray(0, 2000))],
  ['/broken.tar.gz', gzipSync(archive.map((b, i) => (i === 3 ? b + 1 : b)))],
  ['/plain.gz', new TextEncoder().encode('not packed')],
]);

let server: Server;
let root: string;
let requests = 0;
beforeAll(async () => {
  server = createServer((request, response) => {
    requests++;
    const bytes = served.get(request.url!);
    if (bytes) response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    else response.writeHead(404).end('no');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

const origin = (path: string, files: readonly string[], sum = md5(served.get(path) ?? new Uint8Array())): DatasetOrigin => ({
  folder: 'set',
  downloads: [{ url: root + path, md5: sum, files }],
});
const mnist = (): DatasetOrigin => ({
  folder: 'mnist',
  downloads: Object.keys(idx).map((name) => ({ url: `${root}/${name}.gz`, md5: md5(served.get(`/${name}.gz`)!), files: [name] })),
});

describe('fetching data sets', () => {
  it('MNIST: downloads, checks, unpacks, and is then found', async () => {
    const folder = temporaryFolder();
    const progress: FetchProgress[] = [];
    expect(await fetchDataset('mnist', folder, { origin: mnist(), onProgress: (p) => progress.push(p) })).toBe(join(folder, 'mnist'));
    for (const [name, bytes] of Object.entries(idx)) expect(new Uint8Array(readFileSync(join(folder, 'mnist', name)))).toEqual(bytes);
    expect(readdirSync(join(folder, 'mnist')).sort()).toEqual(Object.keys(idx).sort());
    expect(progress.at(-1)).toMatchObject({
      received: served.get('/t10k-labels-idx1-ubyte.gz')!.length,
      total: served.get('/t10k-labels-idx1-ubyte.gz')!.length,
    });
    expect(locateDataset('mnist', { dataFolder: folder, env: {} }).train?.count).toBe(3);
    const before = requests;
    await fetchDataset('mnist', folder, { origin: mnist() });
    expect(requests, 'nothing is downloaded twice').toBe(before);
  });

  it('CIFAR-10: takes the batches out of the archive', async () => {
    const folder = temporaryFolder();
    await fetchDataset('cifar10', folder, { origin: { ...origin('/cifar.tar.gz', cifarFiles), folder: 'cifar-10-batches-bin' } });
    const source = locateDataset('cifar10', { dataFolder: folder, env: {} });
    expect([source.train?.count, source.test?.count]).toEqual([15, 6]);
  });

  it.each([
    ['/absent.gz', undefined, /absent\.gz cannot be downloaded: the server answered 404 Not Found\./],
    ['/train-images-idx3-ubyte.gz', '0'.repeat(32), /has the MD5 sum [0-9a-f]{32} \(\d+ bytes\), expected 0{32}/],
    ['/plain.gz', undefined, /plain\.gz is not a gzip file/],
    ['/cut.tar.gz', undefined, /cut\.tar\.gz ends within cifar-10-batches-bin\/data_batch_1\.bin/],
    ['/broken.tar.gz', undefined, /broken\.tar\.gz is not a whole tar archive: the header at byte 0 is broken/],
    ['/cifar.tar.gz', undefined, /holds no other\.bin/],
  ])('%s: says what is wrong and leaves nothing behind', async (path, sum, sentence) => {
    const folder = temporaryFolder();
    const failure = fetchDataset('mnist', folder, { origin: origin(path, ['other.bin'], sum) });
    await expect(failure).rejects.toThrow(sentence);
    await expect(failure).rejects.toMatchObject({ name: 'UserError', hint: expect.stringMatching(/./) });
    expect(existsSync(join(folder, 'set'))).toBe(false);
  });

  it('offline: names the address and what to do', async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    const failure = fetchDataset('mnist', temporaryFolder(), {
      origin: { folder: 'set', downloads: [{ url: `http://127.0.0.1:${port}/x.gz`, md5: '', files: ['x'] }] },
    });
    await expect(failure).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/x\.gz cannot be downloaded: .*ECONNREFUSED/),
      hint: expect.stringMatching(/Check the network, or download it elsewhere and unpack it into .*set/),
    });
  });

  it('a folder that cannot be written to is named', async () => {
    const file = put(join(temporaryFolder(), 'file'), Uint8Array.of(1));
    await expect(fetchDataset('mnist', file, { origin: mnist() })).rejects.toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/train-images-idx3-ubyte cannot be written: /),
    });
  });

  it('can be stopped', async () => {
    const stop = AbortSignal.abort();
    await expect(fetchDataset('mnist', temporaryFolder(), { origin: mnist(), signal: stop })).rejects.toMatchObject({ name: 'AbortError' });
  });
});
