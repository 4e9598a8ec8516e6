import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { isImageFolder, isLabelledFolder, readImageFolder } from './image-folder';

const root = mkdtempSync(join(tmpdir(), 'espalier-images-'));
let folders = 0;

/** A folder of images of one colour each, by their paths. */
function folderOf(images: Readonly<Record<string, readonly [number, number, number]>>, width = 4, height = 4): string {
  const folder = join(root, `f${folders++}`);
  for (const [path, colour] of Object.entries(images)) {
    const data = new Uint8Array(width * height * 3).map((_, i) => colour[i % 3]);
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), encode({ width, height, data, channels: 3 }));
  }
  return folder;
}
const text = (path: string, content: string): void => writeFileSync(path, content);

const form = (channels: number, side: number) => ({ name: 'image', shape: [channels, side, side], whole: false });
const red = [200, 10, 30] as const;
const blue = [0, 20, 220] as const;

describe('what a folder is', () => {
  it('images in it, in folders in it, or in train and test; not those of data sets further down', () => {
    expect(isImageFolder(folderOf({ 'a.png': red }))).toBe(true);
    expect(isImageFolder(folderOf({ 'cat/a.png': red }))).toBe(true);
    expect(isImageFolder(folderOf({ 'train/cat/a.png': red }))).toBe(true);
    expect(isImageFolder(folderOf({ 'sets/flowers/a.png': red }))).toBe(false);
    const other = folderOf({ 'a.png': red });
    mkdirSync(join(other, 'empty'));
    expect(isImageFolder(join(other, 'empty'))).toBe(false);
  });

  it('labels come from folders or a table', () => {
    expect(isLabelledFolder(folderOf({ 'a.png': red, 'b.png': blue }))).toBe(false);
    expect(isLabelledFolder(folderOf({ 'images/a.png': red, 'images/b.png': blue }))).toBe(false);
    expect(isLabelledFolder(folderOf({ 'cat/a.png': red, 'dog/b.png': blue }))).toBe(true);
    expect(isLabelledFolder(folderOf({ 'train/cat/a.png': red, 'train/dog/b.png': blue, 'val/cat/c.png': red }))).toBe(true);
  });
});

describe('reading', () => {
  it('a folder for each class: classes by name, colours in planes', async () => {
    const folder = folderOf({ 'dog/1.png': blue, 'cat/1.png': red, 'cat/2.png': red });
    const { all } = await readImageFolder(folder, { input: form(3, 4) });
    expect(all).toMatchObject({ count: 3, shape: [3, 4, 4], classes: 2, classNames: ['cat', 'dog'] });
    for (let i = 0; i < 3; i++) {
      const colour = all!.labels![i] === 0 ? red : blue;
      expect([0, 1, 2].map((c) => all!.inputs[i * 48 + c * 16 + 5])).toEqual([...colour]);
    }
    expect([...all!.labels!].sort()).toEqual([0, 0, 1]);
  });

  it('folders with numbers are class numbers, not an order of names', async () => {
    const { all } = await readImageFolder(folderOf({ '2/a.png': red, '10/b.png': blue }), { input: form(3, 4) });
    const label = (first: number): number => all!.labels![[0, 1].find((i) => all!.inputs[i * 48] === first)!];
    expect([label(red[0]), label(blue[0]), all!.classes]).toEqual([2, 10, 11]);
  });

  it('train and test are parts of their own', async () => {
    const folder = folderOf({ 'train/cat/1.png': red, 'train/dog/1.png': blue, 'val/dog/2.png': blue, 'val/cat/3.png': red });
    const { train, test, all } = await readImageFolder(folder, { input: form(3, 4) });
    expect([train?.count, test?.count, all]).toEqual([2, 2, undefined]);
    expect(test!.classNames).toEqual(['cat', 'dog']);
  });

  it('a table beside a flat folder names the classes; images it leaves out are left out', async () => {
    const folder = folderOf({ 'images/a.png': red, 'images/b.png': blue, 'images/c.png': blue });
    text(join(folder, 'labels.tsv'), 'file\tclass_index\tname\na.png\t7\ttench\nb.png\t3\tshark\n');
    const { all } = await readImageFolder(folder, { input: form(3, 4) });
    const label = (first: number): number => all!.labels![[0, 1].find((i) => all!.inputs[i * 48] === first)!];
    expect([all!.count, label(red[0]), label(blue[0]), all!.classes]).toEqual([2, 7, 3, 8]);
    // The same where the images alone are named.
    expect((await readImageFolder(join(folder, 'images'), { input: form(3, 4) })).all!.classes).toBe(8);
    const unlabelled = (await readImageFolder(folder, { input: form(3, 4), unlabelled: true })).all!;
    expect([unlabelled.count, unlabelled.labels]).toEqual([3, undefined]);
  });

  it('blue first, grey, and only so many', async () => {
    const folder = folderOf({ 'a.png': red });
    const bgr = (await readImageFolder(folder, { input: form(3, 4), settings: { order: 'bgr' } })).all!;
    expect([bgr.inputs[0], bgr.inputs[16], bgr.inputs[32]]).toEqual([30, 10, 200]);
    const grey = (await readImageFolder(folder, { input: form(1, 4) })).all!;
    // Pillow's convert('L') of (200, 10, 30): 0.299·200 + 0.587·10 + 0.114·30 = 69.09.
    expect([grey.shape, grey.inputs[0]]).toEqual([[1, 4, 4], 69]);
    const many = folderOf(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`${i}.png`, [i, 0, 0] as const])));
    const { all, notes } = await readImageFolder(many, { input: form(3, 4), settings: { limit: 4 } });
    expect([all!.count, notes[0]]).toEqual([4, expect.stringMatching(/^4 of the 6 images/)]);
    // The order does not follow the names, and is always the same.
    const order = (await readImageFolder(many, { input: form(3, 4) })).all!;
    const firsts = Array.from({ length: 6 }, (_, i) => order.inputs[i * 48]);
    expect(firsts).not.toEqual([0, 1, 2, 3, 4, 5]);
    expect([...firsts].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('the shorter side goes to 8/7 of the crop, then the middle is taken', async () => {
    // Left half dark, right half light; 32×16 → 16×8 (shorter side 7·8/7) → the middle 7×7.
    const data = new Uint8Array(32 * 16 * 3).map((_, i) => (Math.floor(i / 3) % 32 < 16 ? 10 : 250));
    const folder = join(root, `f${folders++}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.png'), encode({ width: 32, height: 16, data, channels: 3 }));
    const { all } = await readImageFolder(folder, { input: form(3, 7) });
    const row = [...all!.inputs.slice(0, 7)];
    expect(row.slice(0, 3)).toEqual([10, 10, 10]);
    expect(row.slice(-2)).toEqual([250, 250]);
    expect(all!.shape).toEqual([3, 7, 7]);
    const stretched = await readImageFolder(folder, { input: form(3, 8), settings: { resize: [8, 8] } });
    expect([...stretched.all!.inputs.slice(0, 8)].filter((v) => v < 100)).toHaveLength(4);
  });

  it('what is wrong is said', async () => {
    const folder = folderOf({ 'a.png': red });
    const wrong = (options: Parameters<typeof readImageFolder>[1]) => readImageFolder(folder, options).catch((e: Error) => e.message);
    expect(await wrong({ input: { name: 'x', shape: [5], whole: false } })).toMatch(/input 'x' takes \[5\], which is no image/);
    expect(await wrong({ input: form(4, 4) })).toMatch(/takes 4 channels, but images have 1 or 3/);
    expect(await wrong({ input: { name: 'x', shape: [3, 'h', 'w'], whole: false } })).toMatch(/leaves the height and width of images open/);
    expect(await wrong({ input: form(3, 8), settings: { resize: 6 } })).toMatch(
      /a\.png is 6×6 pixels after resizing, less than the crop of 8×8/,
    );
    text(join(folder, 'b.jpg'), 'no picture');
    expect(await wrong({ input: form(3, 4) })).toMatch(/b\.jpg is neither a JPEG nor a PNG file/);
    text(join(folder, 'other.csv'), 'file,label\nzzz.png,1\n');
    expect(await wrong({ input: form(3, 4), labels: join(folder, 'other.csv') })).toMatch(/other\.csv names none of the images/);
  });
});
