/** Before and after, with structured and effective figures apart, and what each was measured on. */
import { html, nothing, type TemplateResult } from 'lit';
import { originalOf } from '../../../src/protocol/original-of';
import type { Candidate } from '../../../src/protocol/policy';
import type { RunSnapshot } from '../../../src/protocol/run-summary';
import { ARROW, bytes, count, milliseconds, percent } from '../figures';
import { t } from '../l10n';

interface Row {
  readonly name: string;
  readonly title?: string;
  /** What this row is a part of; it stands below that row. */
  readonly of?: string;
  readonly before: string;
  readonly after: string;
  readonly change: string;
}

/** "−49 %" of a size, "×1.9" of a time. */
const share = (before: number, after: number): string =>
  before > 0 ? `${after <= before ? '\u2212' : '+'}${Math.abs((1 - after / before) * 100).toFixed(0)}\u00a0%` : '';

export function comparison(run: RunSnapshot, candidate: Candidate | undefined, title: string): TemplateResult {
  const original = originalOf(run.summary, candidate);
  if (!original) return html`<p class="empty">${t('The original model is being measured.')}</p>`;
  if (!candidate) return html`<p class="empty">${t('Nothing has been scored completely yet.')}</p>`;
  const a = original.cost;
  const b = candidate.cost;
  const points = (candidate.accuracy - original.accuracy) * 100;
  const rows: Row[] = [
    {
      name: t('accuracy'),
      title: t('top-1, on {0} images', candidate.images.toLocaleString('en')),
      before: percent(original.accuracy),
      after: percent(candidate.accuracy),
      change: t('{0} points', `${points < 0 ? '\u2212' : '+'}${Math.abs(points).toFixed(1)}`),
    },
    {
      name: t('parameters'),
      title: t('what dense kernels hold'),
      before: count(a.params),
      after: count(b.params),
      change: share(a.params, b.params),
    },
    {
      name: t('effective'),
      of: t('parameters'),
      title: t('only weights that are not zero'),
      before: count(a.effectiveParams),
      after: count(b.effectiveParams),
      change: share(a.effectiveParams, b.effectiveParams),
    },
    { name: t('MACs'), title: t('what dense kernels compute'), before: count(a.macs), after: count(b.macs), change: share(a.macs, b.macs) },
    {
      name: t('effective'),
      of: t('MACs'),
      title: t('only products with weights that are not zero'),
      before: count(a.effectiveMacs),
      after: count(b.effectiveMacs),
      change: share(a.effectiveMacs, b.effectiveMacs),
    },
    {
      name: t('weight bytes'),
      title: t('computed: weights at their bit-widths plus scales'),
      before: bytes(a.weightBytes),
      after: bytes(b.weightBytes),
      change: share(a.weightBytes, b.weightBytes),
    },
  ];
  if (a.brotliBytes !== undefined && b.brotliBytes !== undefined)
    rows.push({
      name: t('on disk, brotli'),
      title: t('the written files, compressed'),
      before: bytes(a.brotliBytes),
      after: bytes(b.brotliBytes),
      change: share(a.brotliBytes, b.brotliBytes),
    });
  const timed: number[] = [];
  for (const after of candidate.latency ?? []) {
    const before = original.latency?.find((latency) => latency.batch === after.batch);
    timed.push(after.runs);
    rows.push({
      name: t('time, batch {0}', after.batch),
      title: t(
        'median of {0} runs{1}; middle half {2} to {3}',
        after.runs,
        threadsText(after.threads),
        milliseconds(after.low),
        milliseconds(after.high),
      ),
      before: before ? milliseconds(before.median) : '',
      after: milliseconds(after.median),
      change: before ? t('{0} faster', `×${(before.median / after.median).toFixed(1)}`) : '',
    });
  }
  const cpu = run.machine?.cpu;
  return html`<table class="comparison">
      <caption>${title}</caption>
      <thead><tr><th scope="col"><span class="hidden">${t('figure')}</span></th><th scope="col">${t('before')}</th><th scope="col"><span class="hidden">${t('after')}</span><span aria-hidden="true">${ARROW} ${t('after')}</span></th><th scope="col"><span class="hidden">${t('change')}</span></th></tr></thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr><th scope="row" class=${row.of ? 'part' : ''} title=${row.title ?? nothing}>${row.of ? html`<span class="hidden">${row.of}, </span>` : nothing}${row.name}</th><td>${row.before}</td><td class="after">${row.after}</td><td class="change">${row.change}</td></tr>`,
        )}
      </tbody>
    </table>
    <p class="note">${
      original.images !== undefined && original.images !== candidate.images
        ? t(
            'Accuracy before on {0} images, after on {1}: they do not compare exactly.',
            original.images.toLocaleString('en'),
            candidate.images.toLocaleString('en'),
          )
        : t('Accuracy on {0} images.', candidate.images.toLocaleString('en'))
    }
      ${timed.length > 0 ? t('Times: median of {0} runs{1}.', Math.min(...timed), cpu ? t(' on {0}', cpu) : '') : nothing}
      ${b.brotliBytes === undefined ? t('Sizes are computed.') : t('Sizes are computed, files on disk measured.')}</p>`;
}

/** The quicker of one thread and all cores is what a file's time tells of. Empty for runs of before this was told. */
const threadsText = (threads: number | undefined): string =>
  threads === undefined ? '' : threads === 1 ? t(' with one thread') : t(' with {0} threads', threads);
