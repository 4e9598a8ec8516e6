/**
 * Downloads the original data sets to a folder, under the names that `locateDataset` finds. Every download is checked against its published MD5 sum before anything
 * appears in the folder; files appear whole or not at all.
 */

import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { UserError } from '../errors';
import { readTar } from './tar';

export type FetchableDataset = 'mnist' | 'fashion-mnist' | 'cifar10';

export interface DatasetOrigin {
  /** Folder under the data folder. */
  readonly folder: string;
  readonly downloads: readonly {
    readonly url: string;
    /** Published MD5 sum of the packed file. */
    readonly md5: string;
    /** Names of the unpacked files in the folder: the one of a .gz, or those taken from a .tar.gz. */
    readonly files: readonly string[];
  }[];
}

function idxOrigin(folder: string, mirror: string, sums: Readonly<Record<string, string>>): DatasetOrigin {
  return { folder, downloads: Object.entries(sums).map(([file, md5]) => ({ url: `${mirror}${file}.gz`, md5, files: [file] })) };
}

/** Where the data sets come from; MD5 sums as their authors and torchvision publish them. */
export const datasetOrigins: Readonly<Record<FetchableDataset, DatasetOrigin>> = {
  mnist: idxOrigin('mnist', 'https://ossci-datasets.s3.amazonaws.com/mnist/', {
    'train-images-idx3-ubyte': 'f68b3c2dcbeaaa9fbdd348bbdeb94873',
    'train-labels-idx1-ubyte': 'd53e105ee54ea40749a09fcbcd1e9432',
    't10k-images-idx3-ubyte': '9fb629c4189551a2d022fa330f9573f3',
    't10k-labels-idx1-ubyte': 'ec29112dd5afa0611ce80d1b7f02629c',
  }),
  'fashion-mnist': idxOrigin('fashion-mnist', 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/', {
    'train-images-idx3-ubyte': '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
    'train-labels-idx1-ubyte': '25c81989df183df01b3e8a0aad5dffbe',
    't10k-images-idx3-ubyte': 'bef4ecab320f06d8554ea6380940ec79',
    't10k-labels-idx1-ubyte': 'bb300cfdad3c16e7a12a480ee83cd310',
  }),
  cifar10: {
    folder: 'cifar-10-batches-bin',
    downloads: [
      {
        url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
        md5: 'c32a1d4ab5d03f1284b67883e8d87530',
        files: [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), 'test_batch.bin', 'batches.meta.txt'],
      },
    ],
  },
};

export interface FetchProgress {
  readonly url: string;
  /** Bytes of this download so far. */
  readonly received: number;
  /** Its whole size, where the server says it. */
  readonly total?: number;
}

export interface FetchOptions {
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
  /** Another origin, e.g. a mirror of one's own. */
  readonly origin?: DatasetOrigin;
}

/** Downloads what the folder lacks and returns the data set's own folder. Throws a UserError where the network, a checksum or an archive fails. */
export async function fetchDataset(name: FetchableDataset, dataFolder: string, options: FetchOptions = {}): Promise<string> {
  const origin = options.origin ?? datasetOrigins[name];
  const folder = join(dataFolder, origin.folder);
  for (const { url, md5, files } of origin.downloads) {
    if (files.every((file) => existsSync(join(folder, file)))) continue;
    const packed = await download(url, md5, folder, options);
    let unpacked: Uint8Array;
    try {
      unpacked = await promisify(gunzip)(packed);
    } catch (cause) {
      throw new UserError(`${url} is not a gzip file: ${(cause as Error).message}.`, 'The origin has changed; download the data by hand.', {
        cause,
      });
    }
    const contents = url.endsWith('.tar.gz') ? membersOf(unpacked, url, files) : new Map([[files[0], unpacked]]);
    for (const [file, bytes] of contents) await writeWhole(join(folder, file), bytes);
  }
  return folder;
}

/** The wanted files of an archive, by their last name: where the archive would put them does not matter. */
function membersOf(archive: Uint8Array, url: string, wanted: readonly string[]): Map<string, Uint8Array> {
  const members = new Map(readTar(archive, url).map((file) => [file.path.split('/').at(-1)!, file.bytes]));
  return new Map(
    wanted.map((file) => {
      const bytes = members.get(file);
      if (!bytes) throw new UserError(`The archive ${url} holds no ${file}.`, 'The origin has changed; download the data by hand.');
      return [file, bytes];
    }),
  );
}

async function download(url: string, md5: string, folder: string, { onProgress, signal }: FetchOptions): Promise<Uint8Array> {
  const byHand = `Check the network, or download it elsewhere and unpack it into ${folder}.`;
  const chunks: Uint8Array[] = [];
  const hash = createHash('md5');
  let received = 0;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok || !response.body) {
      throw new UserError(
        `${url} cannot be downloaded: the server answered ${response.status} ${response.statusText}`.trim().concat('.'),
        byHand,
      );
    }
    const total = Number(response.headers.get('content-length')) || undefined;
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      hash.update(chunk);
      received += chunk.length;
      onProgress?.({ url, received, total });
    }
  } catch (cause) {
    if (cause instanceof UserError || signal?.aborted) throw cause;
    const inner = (cause as Error).cause;
    const reason = inner instanceof Error && inner.message ? inner.message : (inner as NodeJS.ErrnoException | undefined)?.code;
    throw new UserError(`${url} cannot be downloaded: ${reason ?? (cause as Error).message}.`, byHand, { cause });
  }
  const found = hash.digest('hex');
  if (found !== md5) {
    throw new UserError(
      `${url} has the MD5 sum ${found} (${received} bytes), expected ${md5}.`,
      `The download is broken or the origin has changed. ${byHand}`,
    );
  }
  return Buffer.concat(chunks);
}

/** Writes a file so that it exists whole or not at all. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes, { flush: true });
    await rename(temporary, path);
  } catch (cause) {
    // Where even this fails, e.g. as the folder is a file, the first error is the one to tell.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new UserError(`${path} cannot be written: ${(cause as Error).message}.`, 'Check the space and permissions of the data folder.', {
      cause,
    });
  }
}
