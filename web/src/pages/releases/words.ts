// Releases in words: what a state means, what stands on its way, and what a gate asks to be done.

import type { Release, ReleaseEdge, ReleaseFinding } from '../../generated/api';
import type { Mood } from '../../kit/State.svelte';
import { count, measure } from '../../lib/format';

export const is_over = (release: Release) =>
  release.stage === 'retired' || release.stage === 'rolled_back';

// What a list or a head shows of it: waiting for a person comes before the stage.
export function state_of(release: Release): { state: string; mood: Mood } {
  if (release.stage === 'rolled_back') return { state: 'rolled back', mood: 'bad' };
  if (release.stage === 'retired') return { state: 'done', mood: 'good' };
  if (release.held) return { state: 'held', mood: 'warning' };
  if (release.paused) return { state: 'paused', mood: 'warning' };
  return { state: release.stage === 'registered' ? 'gates' : release.stage, mood: 'running' };
}

export const verdict_mood = (verdict: string): Mood =>
  verdict === 'pass' ? 'good' : verdict === 'warn' ? 'warning' : 'bad';

const kAdvice: Record<string, string> = {
  opens: 'Run it on its input example where you logged it; then log a version that answers.',
  signature: 'Register a version that takes and gives what the live one does.',
  answers: 'Ask both versions one of these requests, and look why they differ.',
  artifacts: 'Log the model again without these calls, or in a format without pickles.',
  load: 'Make the model smaller, or allow more with --limit latency_ratio=N.',
  inputs: 'Ask the version this request where you trained it, and see what it says.',
  memory: 'Make the model smaller, or allow more with --limit memory_ratio=N.',
  golden: 'Look at the slices below; train for them, or allow more with --margin.',
  questions: 'Open the five questions on the page of the version; each says what to do.',
};
export const advice_of = (gate: string) => kAdvice[gate] ?? 'See the reason.';

const kEvents: Record<string, string> = {
  gates_passed: 'Gates passed',
  gates_failed: 'A gate failed',
  ready: 'Candidate open',
  enough: 'Evidence gathered',
  doubt: 'In doubt',
  harm: 'A limit broken',
  stuck: 'Stuck',
  followed: 'Endpoint follows',
  superseded: 'Superseded',
  drained: 'Drained',
  paused: 'Paused',
  resumed: 'Resumed',
  promoted: 'Promoted by hand',
  overridden: 'Gates overridden',
  rolled_back: 'Rolled back by hand',
};
export const event_words = (event: string) => kEvents[event] ?? event.replaceAll('_', ' ');

export const percent = (share: number) => `${measure(share, 4)} %`;

// What a person decided against the evidence. It is shown for as long as the release is known.
export const by_hand = (edges: ReleaseEdge[]) =>
  edges.filter((edge) => edge.event === 'overridden' || edge.event === 'promoted');

export function findings_in(evidence: unknown): ReleaseFinding[] {
  if (!Array.isArray(evidence)) return [];
  return evidence.filter((one) => typeof one?.p_value === 'number') as ReleaseFinding[];
}

// The numbers that decided, or those of now.
export function findings_of(release: Release): ReleaseFinding[] {
  if (release.findings.length) return release.findings;
  const told = release.edges.map((edge) => findings_in(edge.evidence)).filter((f) => f.length);
  return told.at(-1) ?? [];
}

export const certain = (finding: ReleaseFinding) => finding.p_value <= finding.needed;

export function value_of(finding: ReleaseFinding, value: number): string {
  if (finding.unit === 'share') return `${measure(100 * value, 4)} %`;
  return finding.metric === 'latency' ? `${measure(value / 1000, 4)} ms` : measure(value, 4);
}

export function effect_of(finding: ReleaseFinding, value: number): string {
  if (finding.unit !== 'share') return `× ${measure(value, 4)}`;
  return `${value > 0 ? '+' : ''}${points_of(value)}`;
}

// A difference of shares.
export function points_of(share: number): string {
  const points = measure(100 * share, 4);
  return `${points} ${points === '1' ? 'point' : 'points'}`;
}

export interface Station {
  id: string;
  title: string;
  need: string; // what it takes to go on
  state: 'done' | 'now' | 'next' | 'left out' | 'ended here';
  edge?: ReleaseEdge; // by which it was reached
}

// Edges that stay where they are say nothing about the way.
const kStays = ['paused', 'resumed', 'doubt', 'gates_failed', 'stuck'];

// The way of a release: gates, shadow, each share, and the end, with where it is.
export function stations_of(release: Release): Station[] {
  const { plan, edges } = release;
  const moves = edges.filter((edge) => !kStays.includes(edge.event));
  const to = (stage: string, share?: number) =>
    moves.find((e) => e.to === stage && (share === undefined || e.percent === share));
  const way: Station[] = [
    { id: 'gates', title: 'Gates', need: 'all hold', state: 'next' },
    {
      id: 'shadow',
      title: 'Shadow',
      need: plan.shadow_sample ? `${count(plan.shadow_sample)} answers` : 'none is wanted',
      state: 'next',
      edge: to('shadow'),
    },
    ...plan.steps.map((step) => ({
      id: `canary ${step.percent}`,
      title: percent(step.percent),
      need: `${count(step.sample)} in each arm`,
      state: 'next' as const,
      edge: to('canary', step.percent),
    })),
    { id: 'live', title: 'Live', need: 'the endpoint follows', state: 'next', edge: to('live') },
    {
      id: 'draining',
      title: 'Draining',
      need: `${plan.drain_seconds} s to go back`,
      state: 'next',
      edge: to('draining'),
    },
    { id: 'retired', title: 'Done', need: '', state: 'next', edge: to('retired') },
  ];
  const back = moves.find((e) => e.to === 'rolled_back');
  const reached = Math.max(
    0,
    way.findLastIndex((station) => station.edge),
  );
  const over = release.stage === 'retired';
  for (const [i, station] of way.entries()) {
    if (i < reached || (over && i === reached)) station.state = 'done';
    else if (i === reached) station.state = back ? 'ended here' : 'now';
    else if (back) station.state = 'left out';
    const skipped = station.id === 'shadow' && !plan.shadow_sample;
    if (skipped) station.state = 'left out';
  }
  if (back) {
    way.splice(reached + 1, 0, {
      id: 'rolled_back',
      title: 'Rolled back',
      need: '',
      state: 'ended here',
      edge: back,
    });
    way[reached]!.state = 'done';
  }
  return way;
}
